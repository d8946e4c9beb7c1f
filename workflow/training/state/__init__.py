"""What a run saves so that it can be interrupted and resumed to the same bits.

In go network, optimiser and generators; out comes a folder that is written whole and removed at the
end. Open `saved.py` first.
"""
