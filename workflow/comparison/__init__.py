"""Two results of the same experiment beside each other: two presets, or two versions of the code.

In go two folders of results; out come, number by number, how much they differ and whether that is
more than seeds and test images explain, and what was different about them. Open `compare.py` first.
"""
