"""Where a reproduction stands, from files alone, while jobs run and when they have ended.

In go the configuration and what jobs have written: records, logs and saved states; out come the
standing of each run, the time that is left, and what failed and why. Open `runs.py` first.
"""
