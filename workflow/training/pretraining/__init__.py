"""autoSMIM's first stage: pretraining on masked superpixels without labels, and its search.

In go training images alone; out come weights that training starts from, and the masking policy that
a search found best. A base network learns to paint masked superpixels back in (`inpainting.py`), a
small head learns a jigsaw on its frozen encoder (`proxy.py`), and a search compares policies by the
two (`search.py`). Open `pretrain.py` first: it trains again with the best one.
"""
