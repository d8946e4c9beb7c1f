"""The paper's network, ResFormer, laid out in the order of the paper's section III.

In goes an image batch; out come mask logits and label logits. `blocks.py` and `attention.py` hold
the pieces of one ResFormer block, `encoder.py` stacks four levels of them (III-A), and `dfe.py` and
`decoder.py` are the segmentation path (III-B). `released.py` is the network of the authors' public
repository where it departs from the printed one. Nothing here knows of the workflow, and nothing
but torch is imported. Open `model.py` first: it adds the output heads (III-C), and the
configuration names it.
"""
