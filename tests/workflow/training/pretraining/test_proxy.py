"""The jigsaw: tiles in every order, a head on an encoder that stays as it is."""

import functools

import pytest
import torch

from tests.workflow.training.pretraining.small_network import build_inpainting, masking, silent
from workflow.config.sections import Policy
from workflow.training.pretraining import masking as masking_module
from workflow.training.pretraining.proxy import (
    PERMUTATIONS,
    Jigsaw,
    evaluate_jigsaw,
    tiles,
    train_jigsaw,
)
from workflow.training.state.record import weights_hash

BASE = Policy(superpixels=9, masked=3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_inpainting(image_size=32).eval()


def test_quarters_are_told_apart_and_put_in_order():
    quarters = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    image = quarters.repeat_interleave(3, 0).repeat_interleave(3, 1).expand(2, 3, 6, 6)
    orders = torch.tensor([[0, 1, 2, 3], [3, 1, 0, 2]])
    made = tiles(image, orders)
    assert made.shape == (2, 4, 3, 3, 3)
    assert torch.equal(made, orders.float()[:, :, None, None, None].expand(2, 4, 3, 3, 3))


def test_a_quarter_keeps_its_pixels():
    image = torch.rand(1, 3, 8, 12)
    made = tiles(image, torch.tensor([[0, 1, 2, 3]]))[0]
    assert torch.equal(made[1], image[0, :, :4, 6:])
    assert torch.equal(made[2], image[0, :, 4:, :6])


def test_there_are_twenty_four_orders():
    assert len({tuple(row) for row in PERMUTATIONS.tolist()}) == 24
    assert all(sorted(row) == [0, 1, 2, 3] for row in PERMUTATIONS.tolist())


def test_the_head_is_the_one_on_record():
    head = Jigsaw(256)
    assert sum(p.numel() for p in head.parameters()) == 256 * 512 + 512 + 2048 * 24 + 24
    maps = torch.rand(2, 4, 256, 3, 3)
    pooled = maps.mean(dim=(3, 4))
    row = torch.cat([head.tile(pooled[:, i]) for i in range(4)], dim=1)
    assert torch.allclose(head(maps), head.order(row), atol=1e-5)


def test_only_the_head_learns(network):
    before = weights_hash(network.state_dict())
    head, losses = train_jigsaw(network, masking(), BASE, silent)
    assert weights_hash(network.state_dict()) == before
    assert all(p.grad is None for p in network.parameters())
    assert len(losses) == 2
    torch.manual_seed(0)
    assert weights_hash(head.state_dict()) != weights_hash(Jigsaw(8).state_dict())


def test_same_seed_same_bits(network):
    def run(seed):
        head, losses = train_jigsaw(network, masking(seed), BASE, silent)
        return weights_hash(head.state_dict()), losses

    first = run(0)
    torch.rand(5)
    assert run(0) == first
    assert run(1)[0] != first[0]


def test_the_policy_shows_in_the_loss(network):
    made = masking()
    head, _ = train_jigsaw(network, made, BASE, silent)
    loss = functools.partial(evaluate_jigsaw, head, network, made, rows=torch.arange(15))
    other = Policy(superpixels=16, masked=8)
    assert loss(policy=BASE) == loss(policy=BASE)
    assert loss(policy=BASE) != loss(policy=other)


def test_a_jigsaw_can_be_solved(network, monkeypatch):
    """Quarters of four different colours, always seen whole: the head learns no more than that."""
    monkeypatch.setattr(masking_module, "training_view", lambda images, labels, _: (images, labels))
    made = masking(proxy_epochs=60, learning_rate=0.02)
    colours = torch.tensor([[250, 0, 0], [0, 250, 0], [0, 0, 250], [120, 120, 120]])
    grid = colours.T.reshape(3, 2, 2).repeat_interleave(16, 1).repeat_interleave(16, 2)
    made.pool.images[:] = grid.to(torch.uint8)
    light = Policy(superpixels=16, masked=1)
    head, _ = train_jigsaw(network, made, light, silent)
    assert evaluate_jigsaw(head, network, made, light, torch.arange(15)) < 0.5
