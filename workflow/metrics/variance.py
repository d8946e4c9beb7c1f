"""The variance of a mean over seeds and groups, honest with four groups.

The base is the hierarchical bootstrap that draws S seeds and G groups independently. What its
variance becomes with ever more draws is known in closed form, for groups of equal size:

    (1 - 1/G) A + (1 - 1/S) B + (1 - 1/G)(1 - 1/S) E

A is the variance between the groups' means over G, B that between the seeds' means over S, E that
of what is left over GS. With G = 4 and S = 5 this misleads in four ways, each mended here:

1. A and B are too small by their factors. Each is divided by what it lacks.
2. A and B both hold all of E, so E enters three times. The variance here is A + B - min(A, B, E):
   E once, and never less than the larger of A and B.
3. A ratio of sums leans on its large groups, whose residuals are small because they draw the ratio
   to themselves. Each group's part is divided by the share of its own variance that it shows
   (the correction CR2 of Bell and McCaffrey, 2002), under a working model: groups vary equally,
   and the classes of a group vary as one. With groups of equal size, that share is 1 - 1/G.
4. The percentiles of draws from four values are no quantiles. The interval is a t interval. The
   degrees of freedom of A follow from the same working model: G - 1 with groups of equal size, near
   1 where one group holds nearly everything. Satterthwaite's formula joins them to the S - 1 of B,
   with a term for the danger that B looks small by chance.

What is then left of the draws is noise alone, so nothing is drawn and every number is exact. With
groups of equal size and one seed, or no variance between seeds, this is the t test of the groups'
means. How well it holds: `python -m benchmarks.simulate`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A group whose part shows less than this share of its own variance cannot be compared with others.
COMPARABLE = 1e-9
# What floating point makes of equal numbers, in points.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Linear:
    """A metric by what each group adds to it.

    Attributes:
        values: values in per cent `[..., seeds]`; NaN where a seed has none.
        influence: points `[..., seeds, groups]`; what a group holds above its due, summing to 0.
        weights: `[..., groups, classes]`; the share of a group and class in the metric, summing
            to 1.
    """

    values: Array
    influence: Array
    weights: Array


@dataclass(frozen=True)
class Spread:
    """The doubt about a mean over seeds and groups.

    Attributes:
        error: the standard error in points `[...]`, of what is known of seeds and groups.
        degrees: the degrees of freedom `[...]` of the t quantile of an interval.
        tail: the degrees of freedom `[...]` of the t tail beyond that quantile.
        comparable: `[...]`, whether each group could be compared with another. If not, the error
            is that of seeds alone.
        seeds: the part of the error in points `[...]` that is between seeds on these groups; 0
            with one seed, whose variance nobody can know.
    """

    error: Array
    degrees: Array
    tail: Array
    comparable: Mask
    seeds: Array


def linearise(numerator: Array, denominator: Array) -> Linear:
    """What each group adds to a mean over classes of ratios of sums over groups.

    As in `Ratios.values`, a class without denominator in a seed is left out of that seed.

    Args:
        numerator: `[..., seeds, groups, classes]`.
        denominator: an array of the same shape.
    """
    total = denominator.sum(axis=-2)
    defined = total > 0
    count = defined.sum(axis=-1)
    ratios = np.divide(numerator.sum(axis=-2), total, out=np.zeros(total.shape), where=defined)
    scale = np.divide(1, total * count[..., None], out=np.zeros(total.shape), where=defined)
    parts = (numerator - ratios[..., None, :] * denominator) * scale[..., None, :]
    usable = count > 0
    return Linear(
        values=np.where(usable, 100 * ratios.sum(axis=-1) / np.maximum(count, 1), np.nan),
        influence=100 * parts.sum(axis=-1),
        weights=(denominator * scale[..., None, :]).sum(axis=-3)
        / np.maximum(usable.sum(axis=-1), 1)[..., None, None],
    )


def leverage(weights: Array) -> tuple[Array, Array, Mask]:
    """How the groups' parts show the variance of their sum, under the working model.

    Args:
        weights: `[..., groups, classes]`, as in `Linear`.

    Returns:
        factor: `[..., groups]`; the sum over groups of factor times squared part has the variance
            of the whole as its mean.
        degrees: `[...]`, of freedom of that sum, at least 1.
        comparable: `[...]`, whether each group with any weight could be compared with another.
    """
    held = weights.sum(axis=-2, keepdims=True)
    share = np.divide(weights, held, out=np.zeros_like(weights), where=held > 0)
    whole = weights.sum(axis=-1)
    # The parts' covariance is diag(own) + weights @ cross.T + cross @ weights.T: what a group
    # varies by, less what it and the others draw the ratio to themselves.
    own = whole**2
    cross = weights @ (np.swapaxes(share, -1, -2) @ share) / 2 - share * whole[..., None]
    drawn = 2 * (weights * cross).sum(axis=-1)
    only_noise = own + drawn <= COMPARABLE * own
    factor = np.divide(own, own + drawn, out=np.zeros_like(own), where=~only_noise)
    comparable = (~only_noise | (own == 0)).all(axis=-1) & (own > 0).any(axis=-1)

    scaled = factor[..., None]
    ww = np.swapaxes(weights, -1, -2) @ (scaled * weights)
    wc = np.swapaxes(weights, -1, -2) @ (scaled * cross)
    cc = np.swapaxes(cross, -1, -2) @ (scaled * cross)
    # The trace of the squared covariance of the scaled parts; that of the covariance is own's sum.
    squares = (factor**2 * own * (own + 2 * drawn)).sum(axis=-1)
    squares += 2 * (wc * np.swapaxes(wc, -1, -2) + ww * cc).sum(axis=(-1, -2))
    degrees = np.divide(own.sum(axis=-1) ** 2, squares, out=np.ones_like(squares), where=comparable)
    return factor, np.maximum(degrees, 1), comparable


def spread(linear: Linear) -> Spread:
    """The doubt about the mean of `linear.values`, none of which is NaN, over seeds and groups."""
    seeds = linear.values.shape[-1]
    factor, group_degrees, comparable = leverage(linear.weights)
    mean = linear.influence.mean(axis=-2)
    groups = np.where(comparable, (factor * mean**2).sum(axis=-1), 0)
    between, both, degrees, tail = np.zeros_like(groups), 0.0, group_degrees, group_degrees
    if seeds > 1:
        between = linear.values.var(axis=-1, ddof=1) / seeds
        rest = (linear.influence - mean[..., None, :]) ** 2
        both = (factor[..., None, :] * rest).sum(axis=-1).sum(axis=-1) / (seeds * (seeds - 1))
        degrees, tail = joined_degrees(groups, between, group_degrees, seeds - 1)
    error = np.sqrt(groups + between - np.minimum(np.minimum(groups, between), both))
    error = np.where(error > ROUNDING, error, 0)
    return Spread(error, degrees, tail, comparable, np.sqrt(between))


def joined_degrees(a: Array, b: Array, a_degrees: Array, b_degrees: float) -> tuple[Array, Array]:
    """Degrees of freedom of the sum of two variances, and of the tail of its t test.

    Satterthwaite's 1 / (sum of share² / degrees) trusts the shares. But `b`, of the seeds, may be
    small by chance, and the sum then seems to have more degrees than it has: most of all where `a`
    has many. A term makes up for it; its least, half of 1 / b's degrees, was found by simulation.
    Far in the tail, where corrected tests lie, such chances are most of what is left: there, both
    shares count as they are instead of squared.
    """
    total = a + b
    share = np.divide(a, total, out=np.ones_like(total), where=total > 0)
    rest = 1 - share
    of_a, of_b = 1 / a_degrees, 1 / b_degrees
    danger = share * rest * np.maximum(of_b - of_a, of_b / 2)
    degrees = 1 / (share**2 * of_a + rest**2 * of_b + danger)
    return degrees, 1 / (share * of_a + rest * of_b)
