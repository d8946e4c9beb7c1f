"""Every compared method learns one batch by heart, at the size of ISIC 2017 and at that of OCT.

The 512-pixel half takes minutes: `pytest -m large`.
"""

import pytest
import torch

from tests.baselines.methods import COMPARED, build
from tests.resformer.one_batch import learn

# Rates of AdamW that suit a fresh network on one batch; 1e-3 where nothing is said.
RATES = {"vit": 3e-5, "swint": 3e-5, "tang": 3e-4, "swinunet": 3e-4, "eiunet": 1e-2}


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("size", [224, pytest.param(512, marks=pytest.mark.large)])
def test_method_learns_one_batch(name, size):
    torch.manual_seed(0)
    network = build(name, size)
    learned = learn(network, lr=RATES.get(name, 1e-3), max_steps=120, size=size, images=2)
    assert learned.by_heart, learned
