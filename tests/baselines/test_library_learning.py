"""Each of the six compared methods from libraries learns one batch by heart."""

import pytest
import torch

from baselines import deeplabv3plus, efficientnet, inceptionv3, swint, unetpp, vit
from tests.resformer.one_batch import N_CLS, N_SEG, SIZE, learn

# The transformers need the small steps of their own recipes; InceptionV3 needs 75 pixels.
CASES = [
    (unetpp, SIZE, 1e-3),
    (deeplabv3plus, SIZE, 1e-3),
    (inceptionv3, 80, 1e-3),
    (efficientnet, SIZE, 1e-3),
    (vit, SIZE, 3e-5),
    (swint, SIZE, 3e-5),
]


@pytest.mark.parametrize(("module", "size", "lr"), CASES)
def test_method_learns_one_batch(module, size, lr):
    torch.manual_seed(0)
    network = module.build(image_size=size, n_seg=N_SEG, n_cls=N_CLS)
    learned = learn(network, lr=lr, max_steps=40, size=size)
    assert learned.by_heart, learned
