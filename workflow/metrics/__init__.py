"""From saved counts to numbers with intervals and tests; no network is run here.

In go counts and scores per test image; out come metrics by seed, intervals over seeds and groups,
and paired tests. Open `metrics.py` first.
"""
