"""Pixels counted per image and lesion: what every segmentation metric is computed from."""

import torch
from torch import Tensor


def pixel_counts(predicted: Tensor, reference: Tensor, lesions: int) -> Tensor:
    """True positive, false positive, false negative and true negative pixels.

    Args:
        predicted: integer `[B, H, W]`, the predicted class of each pixel.
        reference: integer `[B, H, W]`; a value above `lesions` counts as none of them.
        lesions: number n of lesion classes, which have values 1 to n.

    Returns:
        int64 `[B, n, 4]` in the order TP, FP, FN, TN.
    """
    classes = torch.arange(1, lesions + 1, device=predicted.device).view(1, -1, 1, 1)
    found = predicted.unsqueeze(1) == classes
    true = reference.unsqueeze(1) == classes
    cells = (found & true, found & ~true, ~found & true, ~found & ~true)
    return torch.stack([cell.sum(dim=(2, 3)) for cell in cells], dim=-1)


def jaccard_where_present(counts: Tensor) -> Tensor:
    """Mean Jaccard index per image over images whose reference holds the lesion, then lesions.

    Lesions that no image holds are left out; NaN if that is all of them.

    Args:
        counts: `[N, n, 4]` as from `pixel_counts`.
    """
    tp, fp, fn, _ = counts.double().unbind(dim=-1)
    return _mean_where(tp + fn > 0, tp / (tp + fp + fn).clamp(min=1))


def dice_where_present(counts: Tensor) -> Tensor:
    """Mean Dice per image, over the same images and lesions as `jaccard_where_present`.

    Args:
        counts: `[N, n, 4]` as from `pixel_counts`.
    """
    tp, fp, fn, _ = counts.double().unbind(dim=-1)
    return _mean_where(tp + fn > 0, 2 * tp / (2 * tp + fp + fn).clamp(min=1))


def _mean_where(held: Tensor, scores: Tensor) -> Tensor:
    return torch.nanmean(torch.where(held, scores, 0.0).sum(dim=0) / held.sum(dim=0))
