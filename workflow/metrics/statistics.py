"""What a table may claim: corrected tests, ranks with ties, agreement with printed numbers.

It stands on the intervals and tests of `intervals`. Only the interval of a rank correlation has no
closed form: it draws seeds and groups, the same for all methods of a data set.
"""

import hashlib
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import ndtri

from workflow.metrics.intervals import (
    Design,
    Difference,
    differences,
    on_seeds,
    t_quantile,
)
from workflow.metrics.ratios import Ratios
from workflow.metrics.variance import Array, leverage, linearise, spread

# Names a column of a table.
Column = TypeVar("Column", bound=Hashable)


@dataclass(frozen=True)
class Standing:
    """Where a method stands in its column.

    Attributes:
        place: the method's place by its mean, 1 being the best; equal means share a place.
        first: the best place that the tests leave open.
        last: the worst.
        behind: the best method less this one; None for the best itself, and without common seeds.
        p: the p value of `behind`, corrected for all pairs of the column; None where there is no
            test.
        with_best: whether this is the best method, or a test leaves open that it is.
    """

    place: int
    first: int
    last: int
    behind: Difference | None
    p: float | None
    with_best: bool


@dataclass(frozen=True)
class Ranking:
    """The methods of a column, in order.

    Attributes:
        standings: method -> standing, from the best to the worst; methods without a value are not
            among them.
        told_apart: the pairs, (better, worse), that the tests tell apart.
        tested: whether any pair was tested; none is with one seed.
        family: how many tests there are in all columns together.
        first_step: the true difference in points that a pair of this column must have, in the
            median, to be found as the first of them; None where that is more than it can be.
    """

    standings: dict[str, Standing]
    told_apart: frozenset[tuple[str, str]]
    tested: bool = True
    family: int = 0
    first_step: float | None = None

    @property
    def resolvable(self) -> bool:
        """Whether this design can tell any two methods of the column apart."""
        return bool(self.told_apart)


@dataclass(frozen=True)
class Agreement:
    """How the order of a column agrees with that of the printed numbers.

    Attributes:
        tau: Kendall's tau-b of our means and the printed numbers.
        low: lower end of its interval.
        high: upper end.
        n: how many methods have both.
    """

    tau: float
    low: float
    high: float
    n: int


def holm(p: Iterable[float | None]) -> list[float | None]:
    """The p-values of a family of tests, corrected by Holm's steps; None is not of the family."""
    given = list(p)
    tests = sorted((value, k) for k, value in enumerate(given) if value is not None)
    corrected: list[float | None] = [None] * len(given)
    reached = 0.0
    for step, (value, k) in enumerate(tests):
        reached = min(max(reached, (len(tests) - step) * value), 1.0)
        corrected[k] = reached
    return corrected


def rank(
    column: Mapping[str, Ratios | None], design: Design, higher_is_better: bool = True
) -> Ranking:
    """Rank the methods of one column, its pairs being a family of tests; see `rank_together`."""
    return rank_together({"the column": column}, design, higher_is_better)["the column"]


def rank_together(
    columns: Mapping[Column, Mapping[str, Ratios | None]],
    design: Design,
    higher_is_better: bool | Mapping[Column, bool] = True,
) -> dict[Column, Ranking]:
    """Rank the methods of each column of a table, and say which places are open.

    All pairs of all columns are one family of Holm's tests. Comparisons with the best method alone
    would not do: it is chosen by the same numbers, and of equal methods one is then called worse
    than the best too often (`simulate` says how often). A method's open places are those between
    the methods that are told apart from it, so all of them together hold at the design's level.

    Args:
        columns: column -> method -> one metric on one data set; None, or no value, for a method
            without one.
        design: its alpha is that of the tests.
        higher_is_better: whether the best is the highest mean; of each column, or of all.

    Raises:
        DataError: two methods of a column have other groups.
    """
    up = higher_is_better
    upward = dict.fromkeys(columns, up) if isinstance(up, bool) else up
    sign = {key: 1 if upward[key] else -1 for key in columns}
    means = {key: _means(column) for key, column in columns.items()}
    found = {
        key: differences(
            {name: ratios for name in _ordered(means[key], sign[key]) if (ratios := column[name])},
            design,
        )
        for key, column in columns.items()
    }
    pairs = [(key, pair) for key, of_column in found.items() for pair in of_column]
    tested = holm(None if (d := found[key][pair]) is None else d.p for key, pair in pairs)
    corrected: dict[Column, dict[tuple[str, str], float | None]] = {key: {} for key in columns}
    for (key, pair), p in zip(pairs, tested, strict=True):
        corrected[key][pair] = p
    family = sum(p is not None for p in tested)
    return {
        key: _ranking(means[key], found[key], corrected[key], design, sign[key], family)
        for key in columns
    }


def _ordered(means: Mapping[str, float], sign: int) -> list[str]:
    """The methods from the best to the worst; equal means by name."""
    return sorted(means, key=lambda name: (-sign * means[name], name))


def _ranking(
    means: Mapping[str, float],
    found: Mapping[tuple[str, str], Difference | None],
    corrected: Mapping[tuple[str, str], float | None],
    design: Design,
    sign: int,
    family: int,
) -> Ranking:
    """The standings of one column, from the differences of its pairs and their p-values."""
    order = _ordered(means, sign)
    told_apart = set[tuple[str, str]]()
    for (a, b), p in corrected.items():
        d = found[a, b]
        # On the common seeds alone, the better of the two may be the other one.
        if d is not None and p is not None and p < design.alpha:
            told_apart.add((a, b) if sign * d.value > 0 else (b, a))
    standings = {}
    for name in order:
        pair = (order[0], name)
        standings[name] = Standing(
            place=1 + sum(sign * means[other] > sign * means[name] for other in order),
            first=1 + sum(worse == name for _, worse in told_apart),
            last=len(order) - sum(better == name for better, _ in told_apart),
            behind=found.get(pair),
            p=corrected.get(pair),
            with_best=name == order[0]
            or (corrected.get(pair) is not None and pair not in told_apart),
        )
    tested = [d for pair, d in found.items() if d is not None and corrected[pair] is not None]
    points = [d.detectable_among(family, design) for d in tested]
    size = float(np.median([math.inf if x is None else x for x in points])) if points else math.inf
    first_step = size if math.isfinite(size) else None
    return Ranking(standings, frozenset(told_apart), bool(tested), family, first_step)


def agreement(
    column: Mapping[str, Ratios | None],
    ranking: Ranking,
    printed: Mapping[str, float],
    dataset: str,
    design: Design,
) -> Agreement | None:
    """Kendall's tau-b between our order of a column and the printed one.

    Its interval draws seeds and groups, the same for all methods. The drawn deviations of the means
    are widened to the variance of `variance`, and by their t quantile over the normal one. Drawing
    adds noise to means that hold noise already, so drawn orders agree less than ours does; the
    interval therefore reaches over the percentiles of the draws and their reflection at tau. Where
    no two methods can be told apart, every order is open, and it is all of -1 to 1.

    Args:
        column: method -> one metric on one data set.
        ranking: the ranking of that column.
        printed: method -> printed number.
        dataset: its name, the key of the draws.
        design: the interval's level, the number of draws and their seed.

    Returns:
        None where fewer than two methods have both numbers, or either has one value throughout.
    """
    means = _means(column)
    names = sorted(means.keys() & printed.keys())
    ours, theirs = (np.array([source[name] for name in names]) for source in (means, printed))
    tau = float(kendall(ours, theirs))
    if np.isnan(tau):
        return None
    if not ranking.resolvable:
        return Agreement(tau, -1.0, 1.0, len(names))
    drawn = kendall(
        ours + _deviations({name: column[name] for name in names}, dataset, design), theirs
    )
    ends = np.nanquantile(drawn, [design.alpha / 2, 1 - design.alpha / 2])
    low, high = ends.tolist()
    low, high = min(low, 2 * tau - high), max(high, 2 * tau - low)
    return Agreement(tau, max(low, -1.0), min(high, 1.0), len(names))


def kendall(x: Array, y: Array) -> Array:
    """Kendall's tau-b of `x` `[..., n]` and `y` `[n]`; NaN where either is constant."""
    first, second = np.triu_indices(len(y), 1)
    dx, dy = np.sign(x[..., first] - x[..., second]), np.sign(y[first] - y[second])
    norm = np.sqrt((dx != 0).sum(axis=-1) * (dy != 0).sum())
    total = (dx * dy).sum(axis=-1)
    return np.divide(total, norm, out=np.full(np.shape(norm), np.nan), where=norm > 0)


def permutation_p(measured: Mapping[str, float], printed: Mapping[str, float]) -> float:
    """How many of all orders of the printed numbers agree, or disagree, as well with this run's.

    Exact: the number of inversions over all arrangements of a multiset has a Gaussian multinomial
    coefficient as its generating function. Where measured numbers are equal it errs on the side of
    doubt, for their pairs count for nothing, as if each way round had its half.

    Args:
        measured: method -> this run's number.
        printed: method -> printed number; methods that only one has are left out.
    """
    names = sorted(measured.keys() & printed.keys())
    ours, theirs = (np.array([source[name] for name in names]) for source in (measured, printed))
    first, second = np.triu_indices(len(names), 1)
    signs = np.sign(ours[first] - ours[second]) * np.sign(theirs[first] - theirs[second])
    _, ties = np.unique(theirs, return_counts=True)
    counts, placed = [1], 0
    for tied in ties.tolist():
        placed += tied
        counts = _product(counts, _gaussian(placed, tied))
    # So many inversions leave this many pairs in order, less those out of order.
    scores = (len(counts) - 1) - 2 * np.arange(len(counts))
    far = np.abs(scores) >= abs(int(signs.sum()))
    return sum(count for count, is_far in zip(counts, far, strict=True) if is_far) / sum(counts)


def _gaussian(n: int, k: int) -> list[int]:
    """The coefficients of the Gaussian binomial coefficient of n and k."""
    rows = [[1]]  # of 0 things, by how many are chosen
    for size in range(1, n + 1):
        chosen = [[1]]
        for j in range(1, min(size, k) + 1):
            taken = [0] * (size - j) + rows[j - 1]  # q^(size - j) times the one before
            left = rows[j] if j < len(rows) else []
            length = max(len(taken), len(left))
            parts = (part + [0] * (length - len(part)) for part in (taken, left))
            chosen.append([sum(pair) for pair in zip(*parts, strict=True)])
        rows = chosen
    return rows[k]


def _product(a: list[int], b: list[int]) -> list[int]:
    """The product of two polynomials."""
    found = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            found[i + j] += x * y
    return found


def _means(column: Mapping[str, Ratios | None]) -> dict[str, float]:
    """method -> mean over the seeds that have a value."""
    values = {name: ratios.values() for name, ratios in column.items() if ratios is not None}
    finite = {name: seeds[np.isfinite(seeds)] for name, seeds in values.items()}
    return {name: float(seeds.mean()) for name, seeds in finite.items() if len(seeds)}


def _deviations(column: Mapping[str, Ratios | None], dataset: str, design: Design) -> Array:
    """Drawn deviations of the methods' means `[resamples, methods]`, in points."""
    present = [ratios for ratios in column.values() if ratios is not None]
    groups = present[0].groups
    seeds = sorted({seed for ratios in present for seed in ratios.seeds})
    group_counts = _draws(groups, f"{dataset}: groups", design)
    seed_counts = _draws(tuple(map(str, seeds)), f"{dataset}: seeds", design)
    deviations, quantiles = [], []
    for ratios in present:
        linear = linearise(ratios.numerator, ratios.denominator)
        valid = np.isfinite(linear.values)
        places = [
            seeds.index(seed) for seed, holds in zip(ratios.seeds, valid, strict=True) if holds
        ]
        linear = on_seeds(linear, valid)
        n = len(places)
        factor, _, _ = leverage(linear.weights)
        parts = np.sqrt(factor) * linear.influence.mean(axis=0)
        shares = (linear.values - linear.values.mean()) / np.sqrt(n * max(n - 1, 1))
        # One product for each method, so that its numbers do not depend on the others.
        deviations.append(group_counts @ parts + seed_counts[:, places] @ shares)
        quantiles.append(t_quantile(spread(linear).degrees, design))
    widening = np.median(quantiles) / ndtri(1 - design.alpha / 2)
    return widening * np.stack(deviations, axis=-1)


def _draws(names: tuple[str, ...], key: str, design: Design) -> Array:
    """How often each of `names` is drawn `[resamples, names]`; the same in any order of names."""
    digest = hashlib.sha256(key.encode()).digest()
    generator = np.random.default_rng([design.seed, int.from_bytes(digest[:8])])
    counts = generator.multinomial(len(names), [1 / len(names)] * len(names), design.resamples)
    places = np.argsort(np.argsort(names))
    return counts[:, places].astype(float)
