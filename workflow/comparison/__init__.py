"""Two results of the same experiment beside each other: two presets, or two versions of the code.

In go two folders of results; out come the numbers that differ, by how much, whether that is more
than seeds and test images explain, and what was different about the two. Open `compare.py` first.
"""
