"""How far the border of a predicted mask is from that of the reference, in pixels.

A mask's border is its pixels that have a neighbour (of four) outside it, or lie at the image's
edge. HD95: the 95th percentile of the distances from each border pixel to the other border, of the
two directions the larger one. ASD: the mean of these distances, both directions together. Pixels
are taken as squares: of OCT, whose slices have other lengths down than across, neither is in mm.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

PERCENTILE = 95


def boundary_distances(
    predicted: NDArray[np.uint8], reference: NDArray[np.uint8], lesions: int
) -> NDArray[np.float32]:
    """HD95 and ASD of each lesion.

    Args:
        predicted: classes `[H, W]`.
        reference: classes `[H, W]`.
        lesions: number n of lesion classes, which have values 1 to n.

    Returns:
        `[n, 2]` in the order HD95, ASD; NaN where either mask lacks the lesion.
    """
    pairs = ((predicted == k, reference == k) for k in range(1, lesions + 1))
    return np.array([_distances(*pair) for pair in pairs], np.float32)


def _distances(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    if not (one.any() and other.any()):
        return float("nan"), float("nan")
    window = _window(one | other)
    borders = [_border(mask[window]) for mask in (one, other)]
    there, back = (
        np.asarray(ndimage.distance_transform_edt(~target))[source]
        for source, target in (borders, borders[::-1])
    )
    farthest = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
    return float(farthest), float(np.concatenate([there, back]).mean())


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = np.asarray(ndimage.binary_erosion(mask), bool)
    return mask & ~inside


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest window that holds all of a mask: outside it there is nothing to measure."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
