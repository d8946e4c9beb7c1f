"""How pixel counts become one JI and one DSC: five conventions, all from the same counts.

per_image: the mean over the images whose reference holds the class, then over classes. The paper's
    (docs/fidelity.md says why).
pooled: the pixels of all images counted together, then the mean over classes.
per_volume: the RETOUCH challenge's: the pixels of each volume counted together, then the mean over
    the volumes whose reference holds the class, then over classes. Adds `avd`, the absolute volume
    difference: over all volumes, with or without the class, and as a share of the imaged volume,
    because prepared data has no length in mm. The challenge's mm³ is this share times the extent
    of the scan.
empty_is_one: the mean over all images, where a class that neither mask holds counts as 1.
challenge: the ISIC challenge's, which is `empty_is_one` too. Adds `ji_65`, by which it ranked from
    2018 on: a Jaccard index below 0.65 counts as 0.

A class that no reference holds is left out, except where a rule counts images without it.
"""

from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from workflow.config.sections import SegmentationRule
from workflow.metrics.saved import Pixels

RULES: tuple[SegmentationRule, ...] = get_args(SegmentationRule)
# What true positive pixels weigh in each metric: weight·TP / (weight·TP + FP + FN).
WEIGHTS = {"ji": 1, "dsc": 2}
# The Jaccard index that the ISIC challenge of 2018 takes for a success.
SUCCESS = 0.65

Floats = NDArray[np.float64]


class Parts(NamedTuple):
    """A metric of one seed: what `Ratios` has for several.

    Attributes:
        numerator, denominator: `[G, C]`, of each group and class.
        n: `[C]`, how many (image, class) or (volume, class) pairs a class's value rests on.
        groups: the G groups.
    """

    numerator: Floats
    denominator: Floats
    n: NDArray[np.int64]
    groups: tuple[str, ...]


def segmentation_parts(pixels: Pixels, rule: SegmentationRule) -> dict[str, Parts]:
    """metric -> its parts under a rule: `ji`, `dsc`, and what else the rule has."""
    found = {metric: _PARTS[rule](pixels, weight) for metric, weight in WEIGHTS.items()}
    if rule == "per_volume":
        found["avd"] = _volume_difference(pixels)
    if rule == "challenge":
        jaccard = _overlap(pixels.tp, pixels.fp, pixels.fn, WEIGHTS["ji"], empty=1)
        found["ji_65"] = _of_all(pixels, np.where(jaccard >= SUCCESS, jaccard, 0))
    return found


def _overlap(tp: Floats, fp: Floats, fn: Floats, weight: int, empty: float) -> Floats:
    """JI (weight 1) or DSC (weight 2), from 0 to 1; `empty` where neither mask holds the class."""
    whole = weight * tp + fp + fn
    return np.divide(weight * tp, whole, out=np.full_like(whole, empty), where=whole > 0)


def _per_image(pixels: Pixels, weight: int) -> Parts:
    held, images = pixels.tp + pixels.fn > 0, pixels.images
    # An image that does not hold the class has no true positive pixel, and scores 0.
    scores = _overlap(pixels.tp, pixels.fp, pixels.fn, weight, empty=0)
    return Parts(images.sums(scores), images.sums(held), held.sum(axis=0), images.groups)


def _pooled(pixels: Pixels, weight: int) -> Parts:
    held, images = (pixels.tp + pixels.fn > 0).any(axis=0), pixels.images
    whole = images.sums(weight * pixels.tp + pixels.fp + pixels.fn)
    # Found where there is none of it, a class that no reference holds would count as 0 for some
    # methods and be left out for others.
    n = np.where(held, len(images.ids), 0)
    return Parts(images.sums(weight * pixels.tp), whole * held, n, images.groups)


def _per_volume(pixels: Pixels, weight: int) -> Parts:
    tp, fp, fn = (pixels.images.sums(x) for x in (pixels.tp, pixels.fp, pixels.fn))
    held = tp + fn > 0
    scores = _overlap(tp, fp, fn, weight, empty=0)
    return Parts(scores, held.astype(np.float64), held.sum(axis=0), pixels.images.groups)


def _empty_is_one(pixels: Pixels, weight: int) -> Parts:
    return _of_all(pixels, _overlap(pixels.tp, pixels.fp, pixels.fn, weight, empty=1))


def _of_all(pixels: Pixels, scores: Floats) -> Parts:
    """The mean of a score over all images."""
    images = pixels.images
    n = np.full(len(images.names), len(images.ids))
    return Parts(images.sums(scores), images.sums(np.ones_like(scores)), n, images.groups)


def _volume_difference(pixels: Pixels) -> Parts:
    sums = pixels.images.sums
    voxels = sums(pixels.tp + pixels.fp + pixels.fn + pixels.tn)
    share = np.abs(sums(pixels.fp - pixels.fn)) / voxels
    n = np.full(share.shape[1], share.shape[0])
    return Parts(share, np.ones_like(share), n, pixels.images.groups)


_PARTS: dict[SegmentationRule, Callable[[Pixels, int], Parts]] = {
    "per_image": _per_image,
    "pooled": _pooled,
    "per_volume": _per_volume,
    "empty_is_one": _empty_is_one,
    "challenge": _empty_is_one,
}
