"""The loss: cases worked by hand, an independent computation in numpy, and its limits."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resformer.prediction import Prediction
from workflow.config.training import Loss
from workflow.training.losses import class_weights, combined_loss, dice_loss, focal_loss

# What float32 sums over a small batch can promise on any processor.
close = functools.partial(pytest.approx, rel=1e-5)


def options(**changes):
    values = {
        "classification": 0.25,
        "segmentation": 1.0,
        "classification_form": "weighted",
        "class_weights": "none",
        "segmentation_form": "overlap",
        "dice": 1.0,
        "dice_form": "linear",
        "dice_over": "batch",
        "dice_smooth": 1e-5,
        "cross_entropy": 0.0,
        "focal": 0.0,
        "focal_gamma": 2.0,
    }
    return Loss.model_validate({**values, **changes})


def batch(seed, *, images=3, classes=4, labels=3, height=5, width=7):
    generator = torch.Generator().manual_seed(seed)
    segmentation = 3 * torch.randn(images, classes, height, width, generator=generator)
    classification = 3 * torch.randn(images, labels, generator=generator)
    masks = torch.randint(0, classes, (images, height, width), generator=generator)
    targets = torch.randint(0, 2, (images, labels), generator=generator).float()
    return Prediction(segmentation, classification), masks, targets


def probabilities(logits):
    """Softmax over the channels, float64."""
    logits = logits.double().numpy()
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def dice_by_definition(logits, masks, smooth):
    p, scores = probabilities(logits), []
    for channel in range(p.shape[1]):
        true = masks.numpy() == channel
        overlap, size = p[:, channel][true].sum(), p[:, channel].sum() + true.sum()
        scores.append((2 * overlap + smooth) / (size + smooth))
    return 1 - np.mean(scores)


def cross_entropy_by_definition(logits, targets, weights):
    """Mean over images and labels of weight * binary cross entropy."""
    total = 0.0
    for row, wanted in zip(logits.double().tolist(), targets.tolist(), strict=True):
        for logit, target, weight in zip(row, wanted, weights, strict=True):
            p = 1 / (1 + math.exp(-logit))
            total -= weight * (target * math.log(p) + (1 - target) * math.log(1 - p))
    return total / targets.numel()


def test_dice_of_a_coin_toss_by_hand():
    # Two pixels, one of each class, both called 50:50. Each channel: overlap 1/2, size 1 + 1.
    logits, masks = torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]])
    assert dice_loss(logits, masks, 1e-9).item() == close(0.5)
    assert dice_loss(logits, masks, 1.0).item() == close(1 - 2 / 3)


def test_dice_by_hand_with_unequal_classes():
    # Four pixels, p = (3/4, 1/4) everywhere, one true lesion pixel.
    # Background: overlap 9/4, size 3 + 3; lesion: overlap 1/4, size 1 + 1.
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    masks = torch.tensor([[[0, 0], [0, 1]]])
    expected = 1 - (2 * 9 / 4 / 6 + 2 * 1 / 4 / 2) / 2
    assert dice_loss(logits, masks, 1e-9).item() == close(expected)


def test_dice_sums_over_the_batch_before_it_divides():
    # Image 1 has the lesion everywhere and all of it is found, image 2 has none and none is found.
    logits = torch.zeros(2, 2, 1, 3)
    logits[0, 1], logits[1, 0] = 200.0, 200.0
    masks = torch.tensor([[[1, 1, 1]], [[0, 0, 0]]])
    assert dice_loss(logits, masks, 1e-9).item() == close(0, abs=1e-6)
    # Image 2 is now missed altogether. Background: 0 of 0 + 3. Lesion: 3 found of 6 + 3.
    logits[1] = logits[1].flip(0)
    expected = 1 - (0 + 2 * 3 / 9) / 2
    assert dice_loss(logits, masks, 1e-9).item() == close(expected)


def test_an_absent_class_found_absent_counts_as_perfect():
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 0] = 500.0
    assert dice_loss(logits, torch.zeros(1, 2, 2, dtype=torch.long), 1e-5).item() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([1e-5, 1.0]))
def test_dice_is_its_definition(seed, classes, smooth):
    prediction, masks, _ = batch(seed, classes=classes)
    expected = dice_by_definition(prediction.segmentation, masks, smooth)
    assert dice_loss(prediction.segmentation, masks, smooth).item() == close(expected)
    assert 0 <= expected <= 1


def test_focal_without_focus_is_cross_entropy():
    prediction, masks, _ = batch(1)
    expected = F.cross_entropy(prediction.segmentation, masks)
    assert focal_loss(prediction.segmentation, masks, 0.0).item() == close(expected.item())


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_is_its_definition(gamma):
    prediction, masks, _ = batch(2)
    p = np.take_along_axis(probabilities(prediction.segmentation), masks.numpy()[:, None], axis=1)
    expected = np.mean((1 - p) ** gamma * -np.log(p))
    assert focal_loss(prediction.segmentation, masks, gamma).item() == close(expected)


def test_focal_by_hand():
    # p = 3/4 for the true class: (1/4)^2 * log(4/3).
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1)
    masks = torch.zeros(1, 1, 1, dtype=torch.long)
    assert focal_loss(logits, masks, 2.0).item() == close(math.log(4 / 3) / 16)


@pytest.mark.parametrize("weights", [None, [1.78, 2.62, 0.49]])
def test_classification_is_weighted_binary_cross_entropy(weights):
    prediction, masks, labels = batch(3)
    given_weights = None if weights is None else torch.tensor(weights)
    parts = combined_loss(prediction, masks, labels, given_weights, options())
    expected = cross_entropy_by_definition(prediction.classification, labels, weights or [1, 1, 1])
    assert parts.classification.item() == close(expected)


@pytest.mark.parametrize(
    ("changes", "lambda_1", "lambda_2"),
    [({}, 0.25, 1.0), ({"classification": 2.0, "segmentation": 0.5}, 2.0, 0.5)],
)
def test_the_total_weighs_the_two_parts(changes, lambda_1, lambda_2):
    prediction, masks, labels = batch(4)
    parts = combined_loss(prediction, masks, labels, None, options(**changes))
    dice = dice_by_definition(prediction.segmentation, masks, 1e-5)
    entropy = cross_entropy_by_definition(prediction.classification, labels, [1, 1, 1])
    assert parts.segmentation.item() == close(dice)
    assert parts.total.item() == close(lambda_1 * entropy + lambda_2 * dice)


def test_focal_is_added_to_dice_with_its_weight():
    prediction, masks, labels = batch(5)
    plain = combined_loss(prediction, masks, labels, None, options())
    both = combined_loss(prediction, masks, labels, None, options(focal=0.5))
    focal = focal_loss(prediction.segmentation, masks, 2.0)
    assert (both.segmentation - plain.segmentation).item() == close(0.5 * focal.item())
    assert both.classification == plain.classification


def test_a_task_that_is_not_done_counts_nothing():
    prediction, masks, labels = batch(6)
    whole = combined_loss(prediction, masks, labels, None, options())
    only = combined_loss(prediction._replace(classification=None), masks, labels, None, options())
    assert only.classification == 0
    assert only.total.item() == close(whole.segmentation.item())
    only = combined_loss(prediction._replace(segmentation=None), masks, labels, None, options())
    assert only.segmentation == 0
    assert only.total.item() == close(0.25 * whole.classification.item())


def test_a_classifier_never_looks_at_the_masks():
    prediction, masks, labels = batch(7)
    prediction = prediction._replace(segmentation=None)
    without = torch.full_like(masks, 255)
    seen = combined_loss(prediction, masks, labels, None, options())
    unseen = combined_loss(prediction, without, labels, None, options())
    assert seen.total == unseen.total


def test_the_loss_is_float32_whatever_the_network_computed_in():
    prediction, masks, labels = batch(8)
    short = Prediction(*(logits.bfloat16() for logits in prediction[:2]))
    parts = combined_loss(short, masks, labels, None, options(focal=1.0))
    assert {part.dtype for part in parts} == {torch.float32}
    rounded = dice_by_definition(short.segmentation.float(), masks, 1e-5)
    focal = focal_loss(short.segmentation.float(), masks, 2.0)
    assert parts.segmentation.item() == close(rounded + focal.item())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("size", [30.0, 200.0, 1e4])
@pytest.mark.parametrize("right", [True, False])
def test_gradients_are_finite_where_the_network_is_certain(gamma, size, right):
    masks = torch.tensor([[[0, 1], [1, 0]]])
    sign = F.one_hot(masks, 2).movedim(-1, 1) * 2.0 - 1
    segmentation = (sign if right else -sign) * size
    labels = torch.tensor([[1.0, 0.0]])
    classification = (labels * 2 - 1) * (size if right else -size)
    logits = [segmentation.requires_grad_(), classification.requires_grad_()]
    loss = options(focal=1.0, focal_gamma=gamma)
    parts = combined_loss(Prediction(*logits), masks, labels, torch.ones(2), loss)
    parts.total.backward()
    assert torch.isfinite(parts.total)
    assert all(torch.isfinite(values.grad).all() for values in logits)
    assert (parts.total.item() < 1e-6) == right


def test_a_step_down_the_gradient_lowers_the_loss():
    prediction, masks, labels = batch(9)
    logits = [values.clone().requires_grad_() for values in prediction[:2]]
    before = combined_loss(Prediction(*logits), masks, labels, None, options(focal=1.0)).total
    before.backward()
    moved = Prediction(*(values.detach() - 0.1 * values.grad for values in logits))
    assert combined_loss(moved, masks, labels, None, options(focal=1.0)).total < before


def test_class_weights_are_inverse_prevalence_with_mean_one():
    # Shares 1/2, 1/4 and 1 are 2, 4 and 1 inverted, of mean 7/3.
    labels = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 1]]).float()
    weights = class_weights(labels, options(class_weights="inverse_prevalence"))
    assert weights.tolist() == close([6 / 7, 12 / 7, 3 / 7])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_weight_times_prevalence_is_the_same_for_every_label(positives):
    labels = torch.zeros(20, len(positives))
    for label, count in enumerate(positives):
        labels[:count, label] = 1
    weights = class_weights(labels, options(class_weights="inverse_prevalence"))
    assert weights.mean().item() == close(1)
    balanced = weights * labels.mean(dim=0)
    assert torch.allclose(balanced, balanced[:1], rtol=1e-5)


def test_class_weights_that_are_given_and_none():
    labels = torch.ones(2, 3)
    assert class_weights(labels, options(class_weights="none")) is None
    given_weights = class_weights(labels, options(class_weights=[1.78, 2.62, 0.49]))
    assert given_weights.dtype == torch.float32
    assert given_weights.tolist() == close([1.78, 2.62, 0.49])
