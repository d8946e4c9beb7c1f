"""What carries values and is never part of a result: files, folders, errors, threads, wording.

Nothing of the project goes in. Everything else may import it, and a change here re-trains nothing.
Open `files.py` first: a file appears whole or not at all.
"""
