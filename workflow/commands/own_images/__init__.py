"""Commands for images of one's own: a first configuration, and a look at what it brings in.

In goes a folder or a configuration, out come a file of YAML, a summary and a page of samples. Open
`check.py` first.
"""
