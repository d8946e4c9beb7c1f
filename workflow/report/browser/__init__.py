"""The data of the report's image browser: test images, references, and what each method said.

In go prepared images, saved masks and counts; out come pictures, and scripts that call a global,
with masks as PNGs in base64, because a page on disk cannot read other files. Open `write.py` first:
it lists all that is written.
"""
