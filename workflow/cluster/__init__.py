"""What a Slurm cluster needs beside the rules: places, limits, checks, and patience.

In go the rules, `slurm/site.yaml` and what Slurm says of itself; out come rules that ask for the
right partition and time, a check ahead of the first job, and word of the end. Open `placement.py`
first; `hooks.py` is what the Snakefile calls before and after jobs.
"""
