"""What the runs left, read once for all that follows, beside the paper's printed numbers.

In go counts, records and logs under `results/`; out come results by run and the cells of tables.
Open `read.py` first.
"""
