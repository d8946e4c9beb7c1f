"""Trained networks at work on images that the workflow never saw.

In go trained networks (runs, or files that `export.py` wrote) and images or volumes; out come masks
at the images' own size, tables, overlays and a page, and scores where there are references. Images
are prepared by the functions that prepared those of training. Open `predict.py` first.
"""
