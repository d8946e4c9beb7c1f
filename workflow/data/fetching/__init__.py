"""From addresses to unpacked archives.

In go the addresses and sizes on record; out come verified archives and their files, which cannot
lie outside their folder. Open `download.py` first.
"""
