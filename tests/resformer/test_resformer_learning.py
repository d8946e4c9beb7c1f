"""Every ResFormer network learns one batch by heart: lesions above DSC 0.9, all labels right."""

import pytest
import torch

from resformer import model, released
from tests.resformer.one_batch import N_CLS, N_SEG, SIZE, learn

VARIANTS = {
    "full": {"n_seg": N_SEG, "n_cls": N_CLS},
    "cls_only": {"n_seg": None, "n_cls": N_CLS},
    "seg_only": {"n_seg": N_SEG, "n_cls": None},
    "no_dfe": {"n_seg": N_SEG, "n_cls": N_CLS, "dfe": False},
}


@pytest.mark.parametrize("mode", ["sequential", "parallel"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_printed_network_learns_one_batch(mode, variant):
    torch.manual_seed(0)
    network = model.build(image_size=SIZE, mode=mode, **VARIANTS[variant])
    learned = learn(network, lr=3e-4, max_steps=40)
    assert learned.by_heart, learned


@pytest.mark.parametrize("mode", ["sequential", "parallel"])
def test_released_network_learns_one_batch(mode):
    torch.manual_seed(0)
    network = released.build(image_size=SIZE, n_seg=N_SEG, n_cls=N_CLS, mode=mode)
    learned = learn(network, lr=1e-3, max_steps=40)
    assert learned.by_heart, learned


def test_equal_seeds_learn_equal_bits():
    runs = []
    for _ in range(2):
        torch.manual_seed(5)
        options = {"conv_depths": (1, 1, 1, 1), "mode": "parallel", "drop_path": 0.5}
        network = model.build(image_size=32, n_seg=N_SEG, n_cls=N_CLS, **options)
        learned = learn(network, lr=1e-3, max_steps=2, size=32)
        runs.append((learned, network.state_dict()))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(runs[0][1][name], value) for name, value in runs[1][1].items())
