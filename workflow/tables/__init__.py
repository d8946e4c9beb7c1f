"""The paper's tables and those beyond them, in five formats.

In go results and a table's definition; out come CSV, parquet, Markdown, LaTeX and HTML. Open
`build.py` first.
"""
