"""The paper's network, ResFormer, laid out in the order of the paper's section III.

``blocks`` and ``attention`` hold the pieces of one ResFormer block, ``encoder`` stacks four levels
of them (III-A), ``dfe`` and ``decoder`` are the segmentation path (III-B), ``model`` adds the two
output heads (III-C) and is what the configuration names. ``released`` is the network of the
authors' public repository where it departs from the printed one. Nothing here knows of the
workflow, and nothing but torch is imported.
"""
