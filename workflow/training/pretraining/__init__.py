"""autoSMIM's first stage: self-supervised pretraining on masked superpixels, and its search.

On the training images alone, and without their labels: a base network learns to paint masked
superpixels back in (`inpainting`), a small head learns to solve a jigsaw on its frozen encoder
(`proxy`), a search evaluates the two under other masking policies (`search`), and the network is
trained again with the best one (`pretrain`). The second stage starts from its weights (`weights`).
"""
