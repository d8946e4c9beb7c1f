"""The audit of a paper's printed numbers: what rounding, arithmetic and its own text allow.

In goes a CSV of printed numbers, and YAML of the paper's claims; out come problems, each with the
single corrections that would solve it. Nothing is known of runs: any paper can be audited. Open
`engine.py` first: it runs the rules, of which each has its module (`repeats.py`, `prevalence.py`,
`overlap.py`, `counts.py`, `claim_check.py`).
"""
