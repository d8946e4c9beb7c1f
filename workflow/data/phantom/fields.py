"""Smooth random fields: the raw material of retinal layers, skin mottling and lesion borders."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

# float32 wherever whole volumes are concerned; small intermediate fields may be float64.
Field = NDArray[np.floating]


def smooth_field(
    rng: np.random.Generator,
    shape: Sequence[int],
    extent: Sequence[float],
    length: float | Sequence[float],
) -> Field:
    """Gaussian random field of zero mean and unit variance, smooth over `length`.

    White noise on a coarse grid of control points, spread by cubic B-splines. How many random
    numbers are drawn depends on `extent / length` only, so the same generator gives the same
    field at every sampling `shape`.

    Args:
        rng: source of randomness.
        shape: samples along each axis.
        extent: physical size of each axis, in any unit.
        length: distance between control points in the same unit, one for all axes or one each.

    Returns:
        float32 array of `shape`.
    """
    lengths = [length] * len(shape) if isinstance(length, float | int) else list(length)
    cells = [max(1, ceil(size / step)) for size, step in zip(extent, lengths, strict=True)]
    field = rng.standard_normal([n + 3 for n in cells], dtype=np.float32)
    for axis, (samples, n) in enumerate(zip(shape, cells, strict=True)):
        first, weights = _spline_weights(samples, n)
        along = (slice(None),) + (None,) * (len(shape) - axis - 1)
        field = sum(
            np.take(field, first + tap, axis=axis) * weights[tap][along] for tap in range(4)
        )
    return np.asarray(field, dtype=np.float32)


def _spline_weights(samples: int, cells: int) -> tuple[NDArray[np.intp], list[Field]]:
    """First control point [samples] and the four B-spline weights [samples] of each sample."""
    position = (np.arange(samples) + 0.5) * (cells / samples)
    first = np.minimum(position.astype(np.intp), cells - 1)
    t = position - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    )
    # Independent unit variances add as squares of the weights: this makes their sum one.
    weights /= np.sqrt((weights**2).sum(axis=0))
    return first, list(weights.astype(np.float32))


def ridges(field: Field, width: float) -> Field:
    """Turn the zero crossings of `field` into a net of lines: 1 on a line, 0 away from it.

    Args:
        field: any smooth field of unit variance.
        width: half-width of a line in units of the field; 0.3 gives thin lines.
    """
    return np.exp(-((field / np.float32(width)) ** 2))
