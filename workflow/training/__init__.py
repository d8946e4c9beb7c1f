"""From prepared arrays and a network to weights, a history and a record of the run.

In goes one (data set, method, seed); out come `weights.safetensors`, `history.csv` and `run.json`.
Open `train.py` first, then `loop.py`.
"""
