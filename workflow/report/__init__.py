"""The HTML report, readable from disk.

In go tables, figures, verdicts, records and samples; out comes one folder of pages. Open `site.py`
first; `browser/` is the image browser.
"""
