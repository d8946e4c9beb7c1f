"""The losses of the compared methods' authors: by hand, and against plain recomputations."""

import math

import pytest
import torch
from test_losses import batch, close, cross_entropy_by_definition, options, probabilities
from torch import nn
from torch.nn import functional as F

from resformer.prediction import Prediction
from workflow.networks.conditional import MARGIN, ConditionalLabels, conditional_mixture
from workflow.training.losses import (
    class_weights,
    combined_loss,
    cross_entropy,
    dice_loss,
    segmentation_loss,
)

# Two labels: 4 images have the first, 2 the second, 2 both. One of two others has neither.
TWO = torch.tensor([[1, 0], [1, 0], [1, 1], [1, 1], [0, 0]]).float()
EXCLUSIVE = torch.eye(3).repeat(4, 1)


class Labels(nn.Module):
    """A network whose classification logits are its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, logits):
        return Prediction(torch.zeros(len(logits), 2, 2, 2), logits + self.weight)


def conditional(logits, labels, training_labels):
    """The classification part of a network with these logits, trained on these labels."""
    network = ConditionalLabels(Labels(), conditional_mixture(training_labels))
    masks = torch.zeros(len(logits), 2, 2, dtype=torch.long)
    loss = options(classification_form="conditional", classification=1.0)
    return combined_loss(network(logits), masks, labels, None, loss).classification


def dice_ratio(p, t, smooth, form):
    """2 sum(p t) / (sum(p) + sum(t)) of two lists, written out."""
    above, below = smooth if isinstance(smooth, tuple) else (smooth, smooth)
    overlap = sum(a * b for a, b in zip(p, t, strict=True))
    size = sum((a * a if form == "squared" else a) + b for a, b in zip(p, t, strict=True))
    return (2 * overlap + above) / (size + below)


def dice_written_out(logits, masks, smooth, form, over):
    p, masks = probabilities(logits), masks.numpy()
    images, classes = p.shape[:2]
    pairs = [(i, c) for i in range(images) for c in range(classes)]
    groups = {
        "batch": [[(i, c) for i in range(images)] for c in range(classes)],
        "image": [[pair] for pair in pairs],
        "all": [pairs],
    }[over]
    ratios = []
    for group in groups:
        found = [value for i, c in group for value in p[i, c].ravel().tolist()]
        true = [float(value == c) for i, c in group for value in masks[i].ravel().tolist()]
        ratios.append(dice_ratio(found, true, smooth, form))
    return 1 - sum(ratios) / len(ratios)


@pytest.mark.parametrize("over", ["batch", "image", "all"])
@pytest.mark.parametrize("form", ["linear", "squared"])
@pytest.mark.parametrize("smooth", [1e-5, 1.0, (0.0, 1e-6), (1.0, 3.0)])
def test_dice_is_its_definition_in_every_form(over, form, smooth):
    prediction, masks, _ = batch(11)
    expected = dice_written_out(prediction.segmentation, masks, smooth, form, over)
    found = dice_loss(prediction.segmentation, masks, smooth, form=form, over=over)
    assert found.item() == close(expected)
    loss = options(dice_form=form, dice_over=over, dice_smooth=smooth)
    assert segmentation_loss(prediction, masks, loss).item() == close(expected)


def test_squared_dice_by_hand():
    # Two pixels, one of each class, both called 50:50. Each channel: overlap 1/2, size 1/2 + 1.
    logits, masks = torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]])
    assert dice_loss(logits, masks, 1e-9, form="squared").item() == close(1 / 3)


def test_dice_per_image_weighs_images_alike_whatever_they_hold():
    # Image 1 is right, image 2 all wrong: its two channels score 0 of 3 and 0 of 3.
    logits = torch.zeros(2, 2, 1, 3)
    logits[:, 0] = 200.0
    masks = torch.tensor([[[0, 0, 0]], [[1, 1, 1]]])
    # Image 1: background 1, lesion absent and not found 1. Image 2: 0 and 0.
    assert dice_loss(logits, masks, 1e-9, over="image").item() == close(0.5)
    # Over everything: 3 of 6 pixels are right.
    assert dice_loss(logits, masks, 1e-9, over="all").item() == close(0.5)
    # Per class: background 2 * 3 / (6 + 3), lesion 0.
    assert dice_loss(logits, masks, 1e-9, over="batch").item() == close(1 - (6 / 9) / 2)


def test_an_absent_class_costs_one_and_teaches_nothing_without_smoothing_above():
    logits = torch.tensor([2.0, -2.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4).requires_grad_()
    masks = torch.zeros(1, 4, 4, dtype=torch.long)
    only_background = dice_loss(logits, masks, (0.0, 1e-6), form="squared", over="image")
    p = torch.sigmoid(torch.tensor(4.0)).item()
    background = 2 * 16 * p / (16 + 16 * p * p + 1e-6)
    assert only_background.item() == close(1 - (background + 0) / 2)
    # With smoothing above the line, the lesion's channel pulls as well.
    (gradient,) = torch.autograd.grad(only_background, logits)
    alone = 1 - 2 * logits.softmax(1)[:, 0].sum() / (
        16 + logits.softmax(1)[:, 0].square().sum() + 1e-6
    )
    (expected,) = torch.autograd.grad(alone / 2, logits)
    torch.testing.assert_close(gradient, expected)


def test_cross_entropy_is_torchs():
    prediction, masks, _ = batch(12)
    logits = prediction.segmentation.requires_grad_()
    found, expected = cross_entropy(logits, masks), F.cross_entropy(logits, masks)
    assert found.item() == close(expected.item())
    gradients = [torch.autograd.grad(value, logits)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_the_terms_of_the_overlap_add_up_with_their_weights():
    prediction, masks, _ = batch(13)
    dice = dice_written_out(prediction.segmentation, masks, 1e-5, "squared", "batch")
    entropy = F.cross_entropy(prediction.segmentation, masks).item()
    loss = options(dice=0.6, cross_entropy=0.4, dice_form="squared")
    found = segmentation_loss(prediction, masks, loss).item()
    assert found == close(0.6 * dice + 0.4 * entropy)
    alone = options(dice=0.0, cross_entropy=2.0)
    assert segmentation_loss(prediction, masks, alone).item() == close(2 * entropy)


def test_side_outputs_weigh_as_much_as_the_main_one():
    prediction, masks, labels = batch(14)
    side = [batch(seed)[0].segmentation for seed in (15, 16, 17)]
    supervised = prediction._replace(auxiliary={"side": tuple(side)})
    loss = options(cross_entropy=0.5)
    alone = [
        segmentation_loss(Prediction(logits, None), masks, loss).item()
        for logits in (prediction.segmentation, *side)
    ]
    parts = combined_loss(supervised, masks, labels, None, loss)
    assert parts.segmentation.item() == close(sum(alone) / 4)


class TestConditional:
    def test_he_by_hand(self):
        # N1 = 4, N2 = 2, both = 2: P12 = 1/2, P21 = 1, so A = [[2 - 1, 1/2], [1, 2 - 1/2]].
        mixture = conditional_mixture(TWO)
        assert (2 * mixture).tolist() == [[1.0, 0.5], [1.0, 1.5]]
        logits = torch.logit(torch.tensor([[0.8, 0.4]]))
        network = ConditionalLabels(Labels(), mixture)
        mixed = network(logits).classification.sigmoid()
        assert mixed.tolist()[0] == close([0.6, 0.5])
        labels = torch.tensor([[1.0, 0.0]])
        assert conditional(logits, labels, TWO).item() == close(-math.log(0.6) - math.log(0.5))
        assert conditional(logits, labels, TWO).item() == pytest.approx(1.2040, abs=5e-5)

    def test_the_loss_is_the_sum_over_labels_of_the_batch_mean(self):
        prediction, _, labels = batch(18, images=5, labels=4)
        training = batch(19, images=30, labels=4)[2]
        p = prediction.classification.double().sigmoid() @ conditional_mixture(training).double()
        expected = F.binary_cross_entropy(p, labels.double(), reduction="none").mean(0).sum()
        found = conditional(prediction.classification, labels, training)
        assert found.item() == close(expected.item())

    def test_labels_that_exclude_each_other_give_plain_summed_cross_entropy(self):
        prediction, _, _ = batch(20, images=6)
        labels = EXCLUSIVE[:6]
        assert conditional_mixture(EXCLUSIVE).tolist() == torch.eye(3).tolist()
        expected = 3 * cross_entropy_by_definition(prediction.classification, labels, [1, 1, 1])
        assert conditional(prediction.classification, labels, EXCLUSIVE).item() == close(expected)

    @pytest.mark.parametrize("seed", range(5))
    def test_columns_sum_to_one_and_nothing_is_negative(self, seed):
        generator = torch.Generator().manual_seed(seed)
        labels = (torch.rand(40, 5, generator=generator) < 0.4).float()
        mixture = conditional_mixture(labels)
        torch.testing.assert_close(mixture.sum(dim=0), torch.ones(5))
        assert (mixture >= 0).all()

    def test_conditional_shares_are_counted(self):
        labels = batch(21, images=50, labels=3)[2]
        mixture = 3 * conditional_mixture(labels)
        for i in range(3):
            for j in range(3):
                if i != j:
                    share = (labels[:, i] * labels[:, j]).sum() / labels[:, i].sum()
                    assert mixture[i, j].item() == close(share.item())

    def test_a_label_that_no_image_has_says_nothing_of_the_others(self):
        labels = torch.cat([TWO, torch.zeros(len(TWO), 1)], dim=1)
        mixture = 3 * conditional_mixture(labels)
        assert mixture[2].tolist() == [0, 0, 3]
        assert mixture[:2, 2].tolist() == [0, 0]
        assert torch.isfinite(mixture).all()

    def test_certainty_has_a_finite_loss_and_gradient(self):
        logits = torch.tensor([[200.0, -200.0, 200.0]], requires_grad=True)
        loss = conditional(logits, torch.tensor([[0.0, 1.0, 1.0]]), EXCLUSIVE)
        # Twice wrong at the margin, once right.
        assert loss.item() == pytest.approx(-2 * math.log(MARGIN), rel=0.02)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(gradient).all()

    def test_the_mixture_goes_with_the_weights(self):
        trained = ConditionalLabels(Labels(), conditional_mixture(TWO))
        loaded = ConditionalLabels(Labels(), torch.eye(2))
        loaded.load_state_dict(trained.state_dict())
        logits = torch.randn(4, 2)
        found = loaded(logits).classification
        assert torch.equal(found, trained(logits).classification)
        assert not torch.allclose(found, logits)
        assert [name for name, _ in trained.named_parameters()] == ["network.weight"]

    def test_bfloat16_logits_are_mixed_in_float32(self):
        network = ConditionalLabels(Labels(), conditional_mixture(TWO))
        logits = torch.randn(3, 2).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            found = network(logits).classification
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, network(logits.float()).classification)

    def test_class_weights_are_left_out(self):
        loss = options(classification_form="conditional", class_weights="inverse_prevalence")
        assert class_weights(TWO, loss) is None
