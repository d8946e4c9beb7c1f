"""The masked-image model: its loss by hand, its loop, and the same bits from the same seed."""

import functools
import math

import pytest
import torch
from torch import nn

from tests.workflow.training.pretraining.small_network import build_inpainting, masking, silent
from workflow.config.sections import Policy
from workflow.training.pretraining import fitting
from workflow.training.pretraining.inpainting import (
    evaluate_inpainting,
    hide,
    inpainting_loss,
    train_inpainting,
)
from workflow.training.state.record import weights_hash

BASE = Policy(superpixels=9, masked=3)
build = functools.partial(build_inpainting, image_size=32)


def test_masked_pixels_go_black_and_the_others_stay():
    images = torch.rand(2, 3, 4, 4) * 2 - 1
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, :2] = True
    hidden = hide(images, mask)
    assert (hidden[0, :, :2] == -1).all()
    assert torch.equal(hidden[0, :, 2:], images[0, :, 2:])
    assert torch.equal(hidden[1], images[1])


def test_the_loss_by_hand():
    images = torch.full((1, 3, 2, 2), 0.5)
    mask = torch.tensor([[[[True, False], [False, False]]]])
    painted = torch.full((1, 3, 2, 2), 7.0)  # clamped to 1 under the mask, ignored elsewhere
    # 3 of 12 values are 0.5 off: 100 * 3 * 0.25 / 12.
    assert inpainting_loss(painted, images, mask).item() == pytest.approx(6.25)
    painted[:, :, 0, 0] = 0.5
    assert inpainting_loss(painted, images, mask).item() == 0


def test_no_gradient_comes_from_outside_of_the_mask():
    painted = torch.zeros(1, 3, 2, 2, requires_grad=True)
    mask = torch.tensor([[[[True, False], [False, True]]]])
    inpainting_loss(painted, torch.ones(1, 3, 2, 2), mask).backward()
    assert torch.equal(painted.grad != 0, mask.expand(1, 3, 2, 2))


def test_same_seed_same_bits_whatever_was_drawn_before():
    def run(seed):
        network, losses = train_inpainting(build, masking(seed), BASE, silent)
        return weights_hash(network.carried_over()), losses

    first = run(0)
    torch.rand(7)
    assert run(0) == first
    assert run(1) != first


def test_it_learns_and_keeps_the_epoch_that_validates_best():
    made = masking(epochs=40, learning_rate=0.01)
    held_out = made.rows()[1]
    torch.manual_seed(0)
    untrained = evaluate_inpainting(build().eval(), made, BASE, held_out)
    network, losses = train_inpainting(build, made, BASE, silent)
    assert len(losses) == 40
    assert min(losses) < untrained / 2
    again = evaluate_inpainting(network, made, BASE, held_out)
    assert again == pytest.approx(min(losses), rel=1e-6)


def test_more_masked_is_more_lost():
    made = masking(epochs=10, learning_rate=0.01)
    network, _ = train_inpainting(build, made, BASE, silent)
    losses = [
        evaluate_inpainting(network, made, Policy(superpixels=16, masked=n), torch.arange(15))
        for n in (1, 3, 6)
    ]
    assert losses == sorted(losses)


class Scripted(nn.Module):
    """One number that is learned; validation says what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))


def fit_scripted(answers, **settings):
    network, made, rates, seen = Scripted(), masking(**settings), [], []
    answers, values = iter(answers), []

    class Watched(torch.optim.Adam):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    def loss(rows, generator):
        seen.append(rows.tolist())
        return -network.value

    def validate():
        values.append(network.value.item())
        return next(answers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting.torch.optim, "Adam", Watched)
        losses = fitting.fit(network, made, made.settings.epochs, loss, validate, silent)
    return network, losses, values, rates, seen


def test_the_best_epochs_weights_are_put_back():
    network, losses, values, _, _ = fit_scripted([3.0, 1.0, 2.0, 1.0], epochs=4)
    assert losses == [3.0, 1.0, 2.0, 1.0]
    assert network.value.item() == values[1]  # a tie goes to the earlier epoch
    assert not network.training


def test_the_rate_falls_to_zero_along_a_cosine():
    _, _, _, rates, seen = fit_scripted([1.0, 1.0], epochs=2, learning_rate=0.1)
    # 12 images in batches of 4: three steps an epoch.
    assert [len(rows) for rows in seen] == [4] * 6
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * i / 6)) for i in range(6)])


def test_every_learned_image_is_seen_once_an_epoch_and_no_other():
    _, _, _, _, seen = fit_scripted([1.0, 1.0], epochs=2)
    learned = sorted(masking().rows()[0].tolist())
    first, second = ([row for rows in part for row in rows] for part in (seen[:3], seen[3:]))
    assert sorted(first) == sorted(second) == learned
    assert first != second


def test_a_last_batch_of_one_image_is_left_out():
    _, _, _, _, seen = fit_scripted([1.0], epochs=1, batch_size=11)
    assert [len(rows) for rows in seen] == [11]


def test_a_loss_that_is_not_finite_ends_it_and_says_where():
    message = r"validation loss nan after epoch 2; lower `pretraining.learning_rate`"
    with pytest.raises(fitting.PretrainingDiverged, match=message):
        fit_scripted([1.0, math.nan], epochs=3)
