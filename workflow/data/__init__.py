"""From raw files to prepared arrays that have passed their gates.

In go archives, folders or phantoms; out come an inventory, a split, `images.npy` and `masks.npy`
per split, and what the gates found. Open `make.py` first: its steps stand in their order.
"""
