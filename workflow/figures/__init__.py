"""The paper's figures: test images with the outlines of each method.

In go saved masks and prepared images; out come PNG and PDF. Open `paper.py` first; `plots/` has the
larger figures.
"""
