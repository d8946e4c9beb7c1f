"""What this run says of each printed number, claim and ranking of the paper.

In go results and the printed record; out come sheets of verdicts. Open `judge.py` first.
"""
