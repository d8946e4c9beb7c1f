"""How much methods differ about each test image: what the image browser sorts by at first.

Of two masks, it is 1 - Dice of the pixels that both give the same lesion, over all lesions; nothing
where both are empty. Of more, the mean over pairs.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FULL = 200


def differences(blocks: Iterable[Sequence[NDArray[np.uint8]]], lesions: int) -> NDArray[np.uint8]:
    """How much the methods differ about each image, 0 to 200.

    Args:
        blocks: each method's masks of some images at a time, uint8 `[B, H, W]`; two methods or
            more.
        lesions: how many there are; their labels are 1, 2, ...

    Returns:
        uint8 `[N]`.
    """
    found = []
    for methods in blocks:
        for masks in zip(*methods, strict=True):
            found.append(_difference(np.stack([mask.ravel() for mask in masks]), lesions))
    return np.rint(FULL * np.array(found)).astype(np.uint8)


def _difference(masks: NDArray[np.uint8], lesions: int) -> float:
    """Mean over pairs of rows of `[M, P]`."""
    drawn = masks[:, masks.any(axis=0)]
    common = np.zeros((len(drawn), len(drawn)), np.float32)
    for label in range(1, lesions + 1):
        where = (drawn == label).astype(np.float32)  # whole numbers up to 2**24 are exact
        common += where @ where.T
    sizes = common.diagonal()
    total = sizes[:, None] + sizes
    dice = np.divide(2 * common, total, out=np.ones_like(common), where=total > 0)
    return float(np.mean(1 - dice[np.triu_indices(len(dice), 1)]))
