"""Files that somebody else made, read as a viewer shows them, or refused.

In go the paths of images, masks and tables; out come arrays and names, or an error that says what
was found. Open `pictures.py` first: it opens every image file of the workflow.
"""
