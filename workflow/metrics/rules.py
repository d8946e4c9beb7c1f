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

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from workflow.config.metrics import METRICS, Count, Ratio, ratios
from workflow.config.sections import SegmentationRule
from workflow.metrics.saved import Pixels

RULES: tuple[SegmentationRule, ...] = get_args(SegmentationRule)
# The Jaccard index that the ISIC challenge of 2018 takes for a success.
SUCCESS = 0.65

Floats = NDArray[np.float64]
Counted = Mapping[Count, Floats]


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


def segmentation_parts(
    pixels: Pixels, rule: SegmentationRule, also: Collection[str] = ()
) -> dict[str, Parts]:
    """metric -> its parts under a rule.

    Args:
        pixels: what the masks of a run count.
        rule: how images become one number.
        also: names of metrics that are wanted whatever the rule is; others are not asked for here.

    Returns:
        The shares of counts (`ji`, `dsc`), then what the rule brings and what is wanted also.
    """
    found = {
        metric: _PARTS[rule](pixels, ratio) for metric, ratio in ratios("segmentation").items()
    }
    for metric, parts in _OTHERS.items():
        if METRICS[metric].rule == rule or metric in also:
            found[metric] = parts(pixels)
    return found


def share(counts: Counted, ratio: Ratio, empty: float) -> Floats:
    """A share of counts, from 0 to 1; `empty` where nothing is below the line."""
    above, below = (sum_of(counts, names) for names in ratio)
    return np.divide(above, below, out=np.full_like(below, empty), where=below > 0)


def sum_of(counts: Counted, names: Sequence[Count]) -> Floats:
    """The sum of some counts: whole numbers, so in any order the same."""
    return reduce(np.add, (counts[name] for name in names))


def _counts(pixels: Pixels) -> Counted:
    return {"tp": pixels.tp, "fp": pixels.fp, "fn": pixels.fn, "tn": pixels.tn}


def _per_image(pixels: Pixels, ratio: Ratio) -> Parts:
    held, images = pixels.tp + pixels.fn > 0, pixels.images
    # Only images that hold the class count; where nothing of it was found, a share is 0.
    scores = share(_counts(pixels), ratio, empty=0) * held
    return Parts(images.sums(scores), images.sums(held), held.sum(axis=0), images.groups)


def _pooled(pixels: Pixels, ratio: Ratio) -> Parts:
    images = pixels.images
    above, below = (images.sums(sum_of(_counts(pixels), names)) for names in ratio)
    held = (pixels.tp + pixels.fn > 0).any(axis=0) & (below > 0).any(axis=0)
    # Found where there is none of it, a class that no reference holds would count as 0 for some
    # methods and be left out for others.
    n = np.where(held, len(images.ids), 0)
    return Parts(above, below * held, n, images.groups)


def _per_volume(pixels: Pixels, ratio: Ratio) -> Parts:
    sums = pixels.images.sums
    counts: Counted = {name: sums(values) for name, values in _counts(pixels).items()}
    held = counts["tp"] + counts["fn"] > 0
    scores = share(counts, ratio, empty=0) * held
    return Parts(scores, held.astype(np.float64), held.sum(axis=0), pixels.images.groups)


def _empty_is_one(pixels: Pixels, ratio: Ratio) -> Parts:
    return _of_all(pixels, share(_counts(pixels), ratio, empty=1))


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


def _above_success(pixels: Pixels) -> Parts:
    jaccard = share(_counts(pixels), ratios("segmentation")["ji"], empty=1)
    return _of_all(pixels, np.where(jaccard >= SUCCESS, jaccard, 0))


_PARTS: dict[SegmentationRule, Callable[[Pixels, Ratio], Parts]] = {
    "per_image": _per_image,
    "pooled": _pooled,
    "per_volume": _per_volume,
    "empty_is_one": _empty_is_one,
    "challenge": _empty_is_one,
}
# Metrics of their own, which are no shares of one image's or volume's counts.
_OTHERS: dict[str, Callable[[Pixels], Parts]] = {
    "avd": _volume_difference,
    "ji_65": _above_success,
}
