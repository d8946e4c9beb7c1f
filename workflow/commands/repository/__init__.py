"""Commands that write files of this repository anew, for whoever changes it.

In goes the code as it is; out come ARCHITECTURE.md, docs/fidelity.md, the configuration's schema,
the counts of networks, and the conda and Apptainer files. Open `architecture.py` first: the others
are like it.
"""
