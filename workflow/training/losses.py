"""The paper's loss, L = lambda1 * L_wce + lambda2 * L_dice (section III-C), and its parts.

The other forms of the parts are those of the compared methods' authors (docs/fidelity.md).
"""

import functools
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from resformer.prediction import Prediction
from workflow.config.training import Loss
from workflow.training.connectivity import retifluidnet_loss

# The axes of `[B, n + 1, H, W]` that one Dice ratio sums over.
DICE_AXES = {"batch": (0, 2, 3), "image": (2, 3), "all": (0, 1, 2, 3)}


class LossParts(NamedTuple):
    """The loss and its two weighted-in components; a task that is not done counts 0."""

    total: Tensor
    segmentation: Tensor
    classification: Tensor


def combined_loss(
    prediction: Prediction, masks: Tensor, labels: Tensor, weights: Tensor | None, loss: Loss
) -> LossParts:
    """The loss of one batch, in float32 whatever the network computed in.

    Args:
        prediction: logits `[B, n + 1, H, W]` and `[B, n_cls]`, either may be None.
        masks: int64 `[B, H, W]`, 0 background, k the k-th lesion.
        labels: float32 `[B, n_cls]` of 0 and 1.
        weights: float32 `[n_cls]` class weights, None for equal ones.
        loss: the configuration's `training.loss`.
    """
    segmentation = classification = torch.zeros((), device=masks.device)
    if prediction.segmentation is not None:
        segmentation = segmentation_loss(prediction, masks, loss)
    if prediction.classification is not None:
        # Mean over labels, then images, of weight * binary cross entropy (multi-label CE).
        classification = F.multilabel_soft_margin_loss(
            prediction.classification.float(), labels, weights
        )
        if loss.classification_form == "conditional":
            classification = classification * labels.shape[1]
    total = loss.classification * classification + loss.segmentation * segmentation
    return LossParts(total, segmentation, classification)


def segmentation_loss(prediction: Prediction, masks: Tensor, loss: Loss) -> Tensor:
    """The segmentation part; where the network supervises further outputs, the mean over all."""
    main = prediction.segmentation
    assert main is not None  # the caller asks of networks that segment
    if loss.segmentation_form == "connectivity":
        return retifluidnet_loss(prediction, masks)
    side = prediction.auxiliary.get("side") if prediction.auxiliary else None
    if not side:
        return overlap_loss(main.float(), masks, loss)
    losses = [overlap_loss(logits.float(), masks, loss) for logits in (main, *side)]
    return torch.stack(losses).mean()


def overlap_loss(logits: Tensor, masks: Tensor, loss: Loss) -> Tensor:
    """Dice, cross entropy and focal loss of one output `[B, n + 1, H, W]`, each with its weight."""
    terms = []
    if loss.dice:
        dice = dice_loss(logits, masks, loss.dice_smooth, form=loss.dice_form, over=loss.dice_over)
        terms.append(loss.dice * dice)
    if loss.cross_entropy:
        terms.append(loss.cross_entropy * cross_entropy(logits, masks))
    if loss.focal:
        terms.append(loss.focal * focal_loss(logits, masks, loss.focal_gamma))
    return functools.reduce(torch.add, terms)


def dice_loss(
    logits: Tensor,
    masks: Tensor,
    smooth: float | tuple[float, float],
    *,
    form: Literal["linear", "squared"] = "linear",
    over: Literal["batch", "image", "all"] = "batch",
) -> Tensor:
    """One minus the mean soft Dice, 2 sum(p t) / (sum(p) + sum(t)), of all n + 1 channels.

    Args:
        logits: `[B, n + 1, H, W]`; p is their softmax.
        masks: int64 `[B, H, W]`; t is 1 where they are the channel's class.
        smooth: added to numerator and denominator, so that an absent class found absent scores 1;
            a pair where the two differ.
        form: `squared` has sum(p^2) in place of sum(p).
        over: sums run over a class in the batch, over a class in one image, or over everything.
    """
    above, below = smooth if isinstance(smooth, tuple) else (smooth, smooth)
    probabilities = logits.softmax(dim=1)
    reference = F.one_hot(masks, logits.shape[1]).movedim(-1, 1).to(probabilities.dtype)
    measured = probabilities.square() if form == "squared" else probabilities
    overlap = (probabilities * reference).sum(dim=DICE_AXES[over])
    size = (measured + reference).sum(dim=DICE_AXES[over])
    return 1 - ((2 * overlap + above) / (size + below)).mean()


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean over pixels of -log p, p the probability of the true class.

    Written out because torch's own has no deterministic version on a GPU.
    """
    classes = torch.arange(logits.shape[1], device=masks.device).view(1, -1, 1, 1)
    true = masks.unsqueeze(1) == classes
    return -torch.where(true, logits.log_softmax(dim=1), 0.0).sum(dim=1).mean()


def focal_loss(logits: Tensor, masks: Tensor, gamma: float) -> Tensor:
    """Mean over pixels of (1 - p)^gamma * -log p, p the probability of the true class.

    The released code adds it to Dice on OCT; the paper has none.
    """
    log_p = logits.log_softmax(dim=1).gather(1, masks.unsqueeze(1))
    # 1 - p, kept above 0, where the power's slope would be infinite for a gamma below 1.
    doubt = (-log_p.expm1()).clamp(min=torch.finfo(log_p.dtype).tiny)
    return (-(doubt**gamma) * log_p).mean()


def class_weights(labels: Tensor, loss: Loss) -> Tensor | None:
    """The weights of the classification loss, float32 `[n_cls]`.

    `inverse_prevalence` is proportional to one over each label's share of the training images,
    scaled to mean 1 (decision: the paper says "weighted" and no more).

    Args:
        labels: float32 `[N, n_cls]` of the whole training split; every label has a positive.
        loss: the configuration's `training.loss`.
    """
    if loss.class_weights == "none" or loss.classification_form == "conditional":
        return None
    if loss.class_weights == "inverse_prevalence":
        inverse = 1 / labels.mean(dim=0)
        return inverse / inverse.mean()
    return torch.tensor(loss.class_weights, device=labels.device)
