"""Which test images a qualitative figure shows, and where its white box goes: a rule, no taste.

A pixel says most about the methods where about half of them are right: the variance of being right
over methods, q (1 - q), is largest there. An image scores by its best window of that variance, the
highest scores are shown, from different volumes while there are any, and the window is the box.
The paper does not say how its cases were chosen [decision].
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Side of the box as a share of the image's side.
BOX_SHARE = 0.25


class PixelWindow(NamedTuple):
    """A square window in pixels."""

    top: int
    left: int
    side: int


class ShownCase(NamedTuple):
    """A chosen test image; `box` is None where no method is more right than another."""

    position: int
    id: str
    group: str
    box: PixelWindow | None


def disagreement(right: np.ndarray, methods: int) -> np.ndarray:
    """How much methods differ about right and wrong, per pixel.

    Args:
        right: how many methods are right, integer `[H, W]`.
        methods: how many methods there are. One alone cannot disagree: then its errors count.

    Returns:
        int64 `[H, W]`: the variance of being right times methods², so that sums are exact.
    """
    right = right.astype(np.int64)
    return right * (methods - right) if methods > 1 else methods - right


def best_window(values: np.ndarray, side: int) -> tuple[int, PixelWindow]:
    """The `side` × `side` window with the largest sum, the first in reading order of equal ones.

    Args:
        values: int64 `[H, W]`.
        side: pixels, at most H and W.

    Returns:
        The sum, and the window.
    """
    integral = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = (
        integral[side:, side:]
        - integral[:-side, side:]
        - integral[side:, :-side]
        + integral[:-side, :-side]
    )
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(sums[top, left]), PixelWindow(int(top), int(left), side)


def choose_cases(
    reference: np.ndarray,
    right: np.ndarray,
    methods: int,
    ids: Sequence[str],
    groups: Sequence[str],
    count: int,
) -> list[ShownCase]:
    """The cases of one data set: highest disagreement first, from different groups where possible.

    Equal scores are decided by the larger reference lesion, then by id, so that the choice depends
    on nothing but the masks.

    Args:
        reference: masks uint8 `[N, H, W]`; 255 everywhere where an image has none.
        right: how many methods are right at each pixel, integer `[N, H, W]`.
        methods: how many methods were compared; 0 leaves the lesion's size to decide.
        ids: the names of the images, `[N]`.
        groups: the groups of the images, `[N]`.
        count: how many cases to take.
    """
    side = max(1, round(min(reference.shape[1:]) * BOX_SHARE))
    ranked = []
    for index, (image_id, group) in enumerate(zip(ids, groups, strict=True)):
        lesion = int(((reference[index] > 0) & (reference[index] < 255)).sum())
        if lesion == 0:
            continue
        score, box = best_window(disagreement(right[index], methods), side)
        case = ShownCase(index, image_id, group, box if score > 0 else None)
        ranked.append(((-score, -lesion, image_id), case))
    cases = [case for _, case in sorted(ranked)]
    seen: set[str] = set()
    first_of_group = [c for c in cases if not (c.group in seen or seen.add(c.group))]
    others = [case for case in cases if case not in first_of_group]
    return (first_of_group + others)[:count]
