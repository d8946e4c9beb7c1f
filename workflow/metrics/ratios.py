"""The one form that every metric of a table has: a mean over classes of ratios of sums over groups.

A Jaccard index averaged over images is the sum of the images' indices over their number; accuracy
is the sum of right decisions over that of all. Sums over groups (volumes, or images where each
stands for itself) are all that resampling groups needs, so intervals never touch an image again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ratios:
    """One metric of one (data set, method), for each seed, group and class.

    Attributes:
        numerator: float `[seeds, groups, classes]`.
        denominator: float `[seeds, groups, classes]`; 0 where a group has nothing of a class.
        seeds: the seeds in their order.
        groups: the groups in their order; the same for every method on a data set.
    """

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    seeds: tuple[int, ...]
    groups: tuple[str, ...]

    def values(self) -> NDArray[np.float64]:
        """The metric of each seed in per cent `[seeds]`; NaN where every class is undefined."""
        return ratio_of_sums(self.numerator.sum(axis=1), self.denominator.sum(axis=1))


def ratio_of_sums(
    numerator: NDArray[np.float64], denominator: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean over classes (the last axis) of numerator / denominator, in per cent.

    A class whose denominator is 0 is left out; NaN where all are.
    """
    defined = denominator > 0
    shares = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=defined)
    count = defined.sum(axis=-1)
    total = 100 * shares.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
