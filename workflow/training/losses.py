"""The paper's loss, L = lambda1 * L_wce + lambda2 * L_dice (section III-C), and its parts."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from resformer.prediction import Prediction
from workflow.config import Loss


class LossParts(NamedTuple):
    """The loss and its two weighted-in components; a task that is not done counts 0."""

    total: Tensor
    segmentation: Tensor
    classification: Tensor


def combined_loss(
    prediction: Prediction, masks: Tensor, labels: Tensor, weights: Tensor | None, loss: Loss
) -> LossParts:
    """The paper's loss of one batch, in float32 whatever the network computed in.

    Args:
        prediction: logits `[B, n + 1, H, W]` and `[B, n_cls]`, either may be None.
        masks: int64 `[B, H, W]`, 0 background, k the k-th lesion.
        labels: float32 `[B, n_cls]` of 0 and 1.
        weights: float32 `[n_cls]` class weights, None for equal ones.
        loss: the configuration's `training.loss`.
    """
    segmentation = classification = torch.zeros((), device=masks.device)
    if prediction.segmentation is not None:
        logits = prediction.segmentation.float()
        segmentation = dice_loss(logits, masks, loss.dice_smooth)
        if loss.focal:
            segmentation = segmentation + loss.focal * focal_loss(logits, masks, loss.focal_gamma)
    if prediction.classification is not None:
        # Mean over labels, then images, of weight * binary cross entropy (multi-label CE).
        classification = F.multilabel_soft_margin_loss(
            prediction.classification.float(), labels, weights
        )
    total = loss.classification * classification + loss.segmentation * segmentation
    return LossParts(total, segmentation, classification)


def dice_loss(logits: Tensor, masks: Tensor, smooth: float) -> Tensor:
    """One minus the mean soft Dice over all n + 1 channels; sums run over the whole batch.

    Args:
        logits: `[B, n + 1, H, W]`.
        masks: int64 `[B, H, W]`.
        smooth: added to numerator and denominator, so that an absent class found absent scores 1.
    """
    probabilities = logits.softmax(dim=1)
    reference = F.one_hot(masks, logits.shape[1]).movedim(-1, 1).to(probabilities.dtype)
    overlap = (probabilities * reference).sum(dim=(0, 2, 3))
    size = (probabilities + reference).sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + smooth) / (size + smooth)).mean()


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
    if loss.class_weights == "none":
        return None
    if loss.class_weights == "inverse_prevalence":
        inverse = 1 / labels.mean(dim=0)
        return inverse / inverse.mean()
    return torch.tensor(loss.class_weights, device=labels.device)
