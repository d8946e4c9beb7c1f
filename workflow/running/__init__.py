"""How a job is started, kept apart from others, and known again.

In goes a resolved configuration and the name of a step; out come the files that a rule reads, a
started step, a lock, a lease of a GPU, and the hash that decides whether a result still stands.
Open `fingerprint.py` first.
"""
