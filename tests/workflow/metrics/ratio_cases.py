"""Metrics as sums over groups for the tests of statistics."""

import numpy as np

from workflow.metrics.ratios import Ratios


def made(values, images=1.0, seeds=None):
    """Of values in per cent `[seeds, groups]` or `[seeds, groups, classes]`, and images per group.

    Args:
        values: a group's metric.
        images: one number, `[groups]` or `[groups, classes]`.
        seeds: 0, 1, ... where not given.
    """
    values = np.asarray(values, float)
    values = values[..., None] if values.ndim == 2 else values
    images = np.asarray(images, float)
    images = images[:, None] if images.ndim == 1 else images
    weight = np.broadcast_to(images, values.shape).copy()
    count, groups, _ = values.shape
    seeds = tuple(range(count)) if seeds is None else tuple(seeds)
    return Ratios(values / 100 * weight, weight, seeds, tuple(f"g{k}" for k in range(groups)))


def noisy(seed, seeds=5, groups=4, classes=1, level=70.0, images=1.0, sd=(4.0, 2.0, 2.0)):
    """Values with effects of groups, seeds and both, `sd` points each."""
    draw = np.random.default_rng(seed).standard_normal
    values = (
        level
        + sd[0] * draw((1, groups, classes))
        + sd[1] * draw((seeds, 1, classes))
        + sd[2] * draw((seeds, groups, classes))
    )
    return made(values, images)


def spaced(*levels, sd=(2.0, 0.3, 0.3), seeds=5):
    """Methods `m0`, `m1`, ... with certain means and little noise, `sd` as in `noisy`."""
    return {
        f"m{k}": noisy(k + 1, seeds=seeds, level=level, sd=sd) for k, level in enumerate(levels)
    }
