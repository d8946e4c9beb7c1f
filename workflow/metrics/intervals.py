"""Means over seeds and paired differences between methods, with intervals and tests.

Everything is in per cent, differences in points. The standard errors and degrees of freedom are
those of `variance`, which says why they are no plain bootstrap's. Intervals end where their metric
does. That of a mean between 0 and 100 is made on the logit scale, where a score that is skewed
because it has a bound is less so (`python -m benchmarks.verdict_words` says what that gains); that
of a difference is cut. With one seed nothing is tested: what another seed would give is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import expit, logit, nctdtrinc, stdtr, stdtrit

from workflow.base.errors import DataError
from workflow.metrics.ratios import Ratios
from workflow.metrics.variance import ROUNDING, Array, Linear, Mask, Spread, linearise, spread

# What a metric and a difference between two can be.
BOUNDS = (0.0, 100.0)
DIFFERENCES = (-100.0, 100.0)
# In place of an interval that holds all of it.
NOT_ESTIMABLE = "not estimable"

# From this share of a class on, what one group does decides the class.
DOMINANT = 0.9

SEEDS_UNKNOWN = "one seed: what other seeds would give is not in the interval"
FEW = "two seeds or two groups: a test at .05 may err in .10"
GROUPS_UNKNOWN = "no groups to compare: what other groups would give is not in the interval"
DOMINATED = "unreliable: one volume or image holds ≥ 90 % of a lesion or label"
NO_SPREAD = "no variation between seeds or groups: the interval has no width"


@dataclass(frozen=True)
class Design:
    """What is chosen about the statistics before any result is seen.

    Attributes:
        level: the level of all intervals.
        resamples: how often seeds and groups are drawn where there is no closed form.
        seed: the seed of these draws.
        margin: the margin of equivalence in points; values that differ by no more are equivalent.
        gain_margin: the same of a gain of one method over another.
        power: the power of the test at the smallest detectable difference.
        spread_ddof: 1 for an SD with n - 1 in the divisor, 0 for n.
        printed_seeds: over how many seeds each printed number is the mean.
    """

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    margin: float = 2.0
    gain_margin: float = 1.0
    power: float = 0.8
    spread_ddof: int = 1
    printed_seeds: int = 5

    @property
    def alpha(self) -> float:
        """The level of the tests."""
        return 1 - self.level


@dataclass(frozen=True)
class MeanEstimate:
    """A metric's mean over seeds.

    Attributes:
        value: the mean over the seeds that have a value.
        sd: the standard deviation over these seeds; None where they are too few.
        n: how many seeds these are.
        low: lower end of the interval; None, like all that follow, where there is one seed only and
            no two groups to compare.
        high: upper end.
        error: the standard error.
        degrees: the degrees of freedom of the interval's t quantile.
        notes: what is not in the interval, or what it stands on.
        seed_error: the part of the standard error that is between seeds on these same groups; None
            with one seed.
    """

    value: float
    sd: float | None
    n: int
    low: float | None
    high: float | None
    error: float | None
    degrees: float | None
    notes: tuple[str, ...]
    seed_error: float | None = None

    @property
    def estimable(self) -> bool:
        """Whether the interval leaves out anything that the metric can be."""
        return _leaves_out(self.low, self.high, BOUNDS)


@dataclass(frozen=True)
class Difference:
    """A method's metric less another's, on the same groups and their common seeds.

    Attributes:
        value: the mean over the common seeds.
        n: how many seeds are common.
        low: lower end of the interval; None as in `MeanEstimate`.
        high: upper end.
        p: two-sided, less than the design's alpha exactly where the interval leaves out 0; None
            with one seed, where nothing is tested.
        detectable: the true difference that this design finds with the power asked for; None where
            that is more than a difference can be, and with one seed.
        error: the standard error.
        degrees: the degrees of freedom of the interval's t quantile.
        notes: the same as in `MeanEstimate`.
        seed_error: likewise.
        tail: the degrees of freedom of the tail beyond that quantile.
    """

    value: float
    n: int
    low: float | None
    high: float | None
    p: float | None
    detectable: float | None
    error: float | None
    degrees: float | None
    notes: tuple[str, ...]
    seed_error: float | None = None
    tail: float | None = None

    def detectable_among(self, tests: int, design: Design) -> float | None:
        """The true difference that is found when it is the first of so many tests, by Holm's steps.

        None as `detectable` is.
        """
        if self.p is None or self.error is None or self.degrees is None or self.tail is None:
            return None
        return detectable_among(tests, self.error, self.degrees, self.tail, design)

    @property
    def estimable(self) -> bool:
        """Whether the interval leaves out anything that the difference can be."""
        return _leaves_out(self.low, self.high, DIFFERENCES)


def _leaves_out(low: float | None, high: float | None, bounds: tuple[float, float]) -> bool:
    return low is not None and high is not None and (low > bounds[0] or high < bounds[1])


def estimate(
    ratios: Ratios, design: Design, bounds: tuple[float, float] = BOUNDS
) -> MeanEstimate | None:
    """A metric's mean over seeds, with an interval over seeds and groups.

    Args:
        ratios: the metric of one (data set, method).
        design: the interval's level, and how the SD is taken.
        bounds: what the metric cannot go beyond: from 0 to 100 the interval is made on the logit
            scale, with other bounds it is cut there.

    Returns:
        None where no seed has a value.
    """
    linear = linearise(ratios.numerator, ratios.denominator)
    linear = on_seeds(linear, np.isfinite(linear.values))
    n = linear.values.shape[-1]
    if n == 0:
        return None
    value = float(linear.values.mean())
    sd = float(linear.values.std(ddof=design.spread_ddof)) if n > design.spread_ddof else None
    doubt = spread(linear)
    notes = _notes(linear.weights, n, doubt)
    if n == 1 and not doubt.comparable:
        return MeanEstimate(value, sd, n, None, None, None, None, notes)
    low, high = interval(value, doubt.error, doubt.degrees, design, bounds)
    error, degrees = float(doubt.error), float(doubt.degrees)
    of_seeds = float(doubt.seeds) if n > 1 else None
    return MeanEstimate(value, sd, n, float(low), float(high), error, degrees, notes, of_seeds)


def interval(
    value: Array | float,
    error: Array | float,
    degrees: Array | float,
    design: Design,
    bounds: tuple[float, float] = BOUNDS,
) -> tuple[Array, Array]:
    """The interval of means in points, from their standard errors and degrees of freedom, `[...]`.

    Between 0 and 100 it is symmetric on the logit scale. A mean at a bound has no logit, and one
    whose symmetric interval would hold all of the scale is left with all of it: both are cut.
    """
    value, reach = np.asarray(value), t_quantile(np.asarray(degrees), design) * error
    low, high = np.maximum(value - reach, bounds[0]), np.minimum(value + reach, bounds[1])
    if bounds != BOUNDS:
        return low, high
    inner = (value > BOUNDS[0]) & (value < BOUNDS[1]) & ((low > BOUNDS[0]) | (high < BOUNDS[1]))
    share = np.where(inner, value, 50) / 100
    steps = reach / (100 * share * (1 - share))
    ends = (100 * expit(logit(share) + sign * steps) for sign in (-1, 1))
    curved_low, curved_high = ends
    return np.where(inner, curved_low, low), np.where(inner, curved_high, high)


def difference(a: Ratios, b: Ratios, design: Design) -> Difference | None:
    """`a` less `b`, paired by group and seed.

    Returns:
        None where no seed has a value in both.

    Raises:
        DataError: the two have other groups.
    """
    return differences({"the first": a, "the second": b}, design)["the first", "the second"]


def differences(
    column: Mapping[str, Ratios], design: Design, of: str | None = None
) -> dict[tuple[str, str], Difference | None]:
    """The paired differences between the methods of a column.

    A pair's numbers depend neither on the other methods of the column nor on their order.

    Args:
        column: method -> one metric on one data set.
        design: the intervals' level, and the power at the detectable difference.
        of: the method that all others are taken from; None for all pairs.

    Returns:
        (method, other) -> method less other, or None where they have no seed in common. Each pair
        is there once, in the order of the column.

    Raises:
        DataError: two methods have other groups.
    """
    _check_groups(column)
    if of is None:
        pairs = list(combinations(column, 2))
    else:
        pairs = [(of, name) for name in column if name != of]
    seeds = sorted({seed for ratios in column.values() for seed in ratios.seeds})
    linear = {name: _spread_out(ratios, seeds) for name, ratios in column.items()}
    # Pairs with the same seeds in common are computed together.
    together: dict[tuple[bool, ...], list[tuple[str, str]]] = {}
    for a, b in pairs:
        common = np.isfinite(linear[a].values) & np.isfinite(linear[b].values)
        together.setdefault(tuple(common.tolist()), []).append((a, b))
    found: dict[tuple[str, str], Difference | None] = {}
    for common, members in together.items():
        found |= _subtract(linear, members, np.array(common), design)
    return {pair: found[pair] for pair in pairs}


def on_seeds(linear: Linear, chosen: Mask) -> Linear:
    """The same on the chosen seeds alone."""
    return Linear(linear.values[..., chosen], linear.influence[..., chosen, :], linear.weights)


def p_value(value: Array, doubt: Spread, design: Design) -> Array:
    """Two-sided p `[...]` of values that are 0 if there is nothing to them.

    The t distribution has the tail's degrees, and is stretched so that p is below alpha exactly
    where the interval leaves out 0. Without any spread, p is 0, or 1 for what rounding explains.
    """
    certain = np.where(np.abs(value) > ROUNDING, np.inf, 0)
    t = np.divide(np.abs(value), doubt.error, out=certain, where=doubt.error > 0)
    stretch = t_quantile(doubt.tail, design) / t_quantile(doubt.degrees, design)
    return 2 * stdtr(doubt.tail, -t * stretch)


def detectable(doubt: Spread, design: Design) -> Array:
    """The true difference `[...]` in points that the test finds with the design's power."""
    return (
        nctdtrinc(doubt.degrees, 1 - design.power, t_quantile(doubt.degrees, design)) * doubt.error
    )


def detectable_among(
    tests: int, error: float, degrees: float, tail: float, design: Design
) -> float | None:
    """The true difference in points that is found with the design's power as the first of `tests`.

    By Holm's steps the first has to be significant at alpha over their number. None where that
    takes more than a difference can be.

    Args:
        tests: how many tests there are.
        error: the standard error of a difference.
        degrees: its degrees of freedom.
        tail: those of the tail beyond the quantile.
        design: its level and power.
    """
    stretch = t_quantile(tail, design) / t_quantile(degrees, design)
    reach = -stdtrit(tail, design.alpha / tests / 2) / stretch
    points = float(nctdtrinc(tail, 1 - design.power, reach) * error)
    return points if points <= DIFFERENCES[1] else None


def t_quantile(degrees: Array | float, design: Design) -> Array:
    """How many standard errors an interval reaches to either side."""
    return stdtrit(degrees, 1 - design.alpha / 2)


def _subtract(
    linear: Mapping[str, Linear], pairs: list[tuple[str, str]], common: Mask, design: Design
) -> dict[tuple[str, str], Difference | None]:
    """The differences of pairs that have the same seeds in common."""
    n = int(common.sum())
    if n == 0:
        return dict.fromkeys(pairs)
    both = [(linear[a], linear[b]) for a, b in pairs]
    stacked = Linear(
        np.stack([a.values - b.values for a, b in both]),
        np.stack([a.influence - b.influence for a, b in both]),
        np.stack([(a.weights + b.weights) / 2 for a, b in both]),
    )
    stacked = on_seeds(stacked, common)
    value, doubt = stacked.values.mean(axis=-1), spread(stacked)
    quantile = t_quantile(doubt.degrees, design)
    low, high = np.clip(
        [value - quantile * doubt.error, value + quantile * doubt.error], *DIFFERENCES
    )
    tests = (p_value(value, doubt, design), detectable(doubt, design))
    columns = (low, high, *tests, doubt.error, doubt.degrees, doubt.seeds, doubt.tail)
    # What one seed says nothing of.
    one_seed = (False, False, True, True, False, False, True, True)
    found: dict[tuple[str, str], Difference | None] = {}
    for k, pair in enumerate(pairs):
        one = Spread(*(part[k] for part in vars(doubt).values()))
        *numbers, of_seeds, tail = (
            None if n == 1 and (untold or not one.comparable) else float(column[k])
            for column, untold in zip(columns, one_seed, strict=True)
        )
        notes = _notes(stacked.weights[k], n, one)
        of_pair = Difference(
            float(value[k]), n, *numbers, notes=notes, seed_error=of_seeds, tail=tail
        )
        if of_pair.detectable is not None and of_pair.detectable > DIFFERENCES[1]:
            of_pair = replace(of_pair, detectable=None)
        found[pair] = of_pair
    return found


def _spread_out(ratios: Ratios, seeds: list[int]) -> Linear:
    """A method's parts at the places of its seeds among all; NaN where it has no such seed."""
    own = linearise(ratios.numerator, ratios.denominator)
    places = [seeds.index(seed) for seed in ratios.seeds]
    values = np.full(len(seeds), np.nan)
    influence = np.zeros((len(seeds), len(ratios.groups)))
    values[places], influence[places] = own.values, own.influence
    return Linear(values, influence, own.weights)


def _check_groups(column: Mapping[str, Ratios]) -> None:
    first = next(iter(column), "")
    for name, ratios in column.items():
        if ratios.groups != column[first].groups:
            raise DataError(
                f"{name}: its {len(ratios.groups)} groups are not the {len(column[first].groups)} "
                f"of {first}, in the same order; evaluate both on the same test set"
            )


def _notes(weights: Array, n: int, doubt: Spread) -> tuple[str, ...]:
    """What a reader of the interval must know; of one mean or difference."""
    comparable = bool(doubt.comparable)
    held = weights.sum(axis=0)
    dominated = (weights.max(axis=0) >= DOMINANT * held) & (held > 0)
    conditions = {
        SEEDS_UNKNOWN: n == 1,
        FEW: n == 2 or (n > 2 and comparable and int((weights.sum(axis=-1) > 0).sum()) == 2),
        GROUPS_UNKNOWN: not comparable,
        DOMINATED: comparable and bool(dominated.any()),
        NO_SPREAD: doubt.error == 0 and (n > 1 or comparable),
    }
    return tuple(note for note, holds in conditions.items() if holds)
