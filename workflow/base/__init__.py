"""What carries values and is never part of a result: files, folders, errors, threads, wording.

In goes nothing of the project, so everything else may import it; out come files that appear whole
or not at all, and a change here trains nothing anew. Open `files.py` first.
"""
