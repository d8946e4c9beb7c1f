"""Where the numbers of each epoch go while a run trains, beside its history.

In go the names of `training.log`; out come TensorBoard's event files, or whatever a logger of the
user's own makes of the numbers. Nothing of it decides a result. Open `epochs.py` first.
"""
