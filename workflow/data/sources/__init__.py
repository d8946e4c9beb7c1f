"""Where raw images come from, one file for each layout: RETOUCH, ISIC 2017, a folder of one's own.

In go raw files; out come rows of the inventory, and pixels with masks. Open `source.py` first: it
says what a source has to offer.
"""
