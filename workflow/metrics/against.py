"""A number of this run held against a printed one, which has a doubt of its own.

A printed mean over seeds would be another one with other seeds and on other test images, as this
run's would. So a difference between the two is judged by the doubt of both:

- On other test images than the paper's (OCT: which volumes it tested on is not known), the printed
  number is taken to be as doubtful as this run's: with as many seeds, the interval is √2 as wide.
- On the very same images (ISIC 2017's official test set), what other images would give does not
  matter: both were measured on these. The doubt is that between seeds alone, of both.

The paper prints no spread, so that its seeds vary as this run's do is an assumption, and so is, for
other images, that its test set is as large and as mixed. With one seed nothing is known of seeds,
and a run that cannot be compared (a notice says why) is not: neither has a verdict.

Two scores that are skewed alike have a difference that is not skewed, so its interval is symmetric,
where that of each score is not. `python -m benchmarks.verdict_words` prints how often each word is
said when it is true and when it is false.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtr

from workflow.metrics.intervals import Design, Difference, MeanEstimate, t_quantile
from workflow.metrics.variance import ROUNDING, Array

Verdict = Literal["reproduced", "cannot tell at this margin", "differs", "not testable"]
CANNOT_TELL: Verdict = "cannot tell at this margin"
ONE_SEED = "one seed: not testable"
# The most seeds or groups that are looked at when it is asked how many would do.
MOST = 1000


@dataclass(frozen=True)
class Printing:
    """How a printed number came about, beside this run's.

    Attributes:
        same_images: whether it was measured on the very test images of this run.
        reason: why this run cannot be compared with the paper; empty where it can.
    """

    same_images: bool
    reason: str = ""


@dataclass(frozen=True)
class Against:
    """This run's number against a printed one.

    Attributes:
        verdict: `reproduced`: the interval of the difference lies within the margin. `differs`: it
            does not, and leaves out 0. `cannot tell at this margin`: neither, so that numbers that
            are equal and numbers that are further apart than the margin are both possible. `not
            testable`: there is no such interval.
        low: lower end of the interval of this run less the paper, in points; None, as all that
            follow, where it is not testable.
        high: upper end.
        supports: the smallest margin in points at which the verdict would be `reproduced`.
        p: two-sided p of the hypothesis that the two are equal.
        p_apart: p of the hypothesis that they are further apart than the margin, two-sided.
    """

    verdict: Verdict
    low: float | None = None
    high: float | None = None
    supports: float | None = None
    p: float | None = None
    p_apart: float | None = None


NOT_TESTABLE = Against("not testable")


def against(
    result: MeanEstimate | Difference | None,
    printed: float,
    printing: Printing,
    design: Design,
    decimals: int = 1,
) -> Against:
    """Hold a number of this run against a printed one.

    Args:
        result: this run's mean or difference.
        printed: the printed number; it stands for all that round to it, so that of the margin half
            a unit is spent on rounding: ±1 is effectively ±0.95 where one decimal is printed.
        printing: how it came about.
        design: its margin and level, and over how many seeds printed numbers are.
        decimals: to how many decimals it is rounded.
    """
    if result is None or result.error is None or result.degrees is None:
        return NOT_TESTABLE
    if result.seed_error is None or printing.reason:
        return NOT_TESTABLE
    error, degrees = doubt_of_both(
        result.error, result.seed_error, result.degrees, result.n, printing.same_images, design
    )
    reach, gap = float(t_quantile(degrees, design) * error), result.value - printed
    # Of all that rounds to the printed number, the furthest from this one and the nearest.
    half = 0.5 / 10**decimals
    supports, beyond = abs(gap) + half + reach, max(abs(gap) - half, 0.0)
    if supports <= design.margin + ROUNDING:
        verdict: Verdict = "reproduced"
    else:
        verdict = "differs" if beyond - reach > ROUNDING else CANNOT_TELL
    return Against(
        verdict=verdict,
        low=gap - reach,
        high=gap + reach,
        supports=supports,
        p=_tails(beyond, error, degrees),
        p_apart=_tails(design.margin - half - abs(gap), error, degrees),
    )


def doubt_of_both(
    error: Array | float,
    seed_error: Array | float,
    degrees: Array | float,
    seeds: int,
    same_images: bool,
    design: Design,
) -> tuple[Array, Array]:
    """Standard error and degrees of freedom of this run's number less a printed one.

    Args:
        error: the standard error of this run's number over seeds and groups.
        seed_error: the part of it that is between its seeds on these groups.
        degrees: the degrees of freedom of `error`.
        seeds: over how many seeds it is.
        same_images: whether the printed number was measured on the same images.
        design: says over how many seeds that one is.
    """
    of_seeds = np.square(seed_error)
    printed = of_seeds * seeds / design.printed_seeds
    if same_images:
        return np.sqrt(of_seeds + printed), np.full(np.shape(of_seeds), seeds - 1.0)
    rest = np.maximum(np.square(error) - of_seeds, 0)
    return np.sqrt(np.square(error) + rest + printed), np.asarray(degrees)


def enough(
    result: MeanEstimate | Difference, printing: Printing, design: Design, decimals: int = 1
) -> int | None:
    """How many seeds, or groups, could tell at the design's margin if the values were equal.

    On the same images it is a number of seeds; on others one of groups (volumes, images), of this
    run's test set, for the paper's cannot grow. None where no number up to `MOST` would do, because
    the printed number's own doubt is too large, and where nothing is known.

    Args:
        result: this run's number.
        printing: how the printed one came about.
        design: its margin and level.
        decimals: to how many decimals the printed one is rounded.
    """
    if result.error is None or result.seed_error is None or result.degrees is None:
        return None
    room, counts = design.margin - 0.5 / 10**decimals, np.arange(2.0, MOST + 1)
    by_seed = result.seed_error**2 * result.n
    if printing.same_images:
        errors = np.sqrt(by_seed / counts + by_seed / design.printed_seeds)
    else:
        own = max(result.error**2 - result.seed_error**2, 0.0)
        seeds = result.seed_error**2 + by_seed / design.printed_seeds
        # Degrees of freedom grow with the groups; one that stands for all has one degree.
        held = result.degrees + 1
        errors = np.sqrt(own * (held / counts + 1) + seeds)
    reached = np.flatnonzero(t_quantile(counts - 1, design) * errors <= room)
    return int(counts[reached[0]]) if len(reached) else None


def printed_doubt(result: MeanEstimate | Difference, printing: Printing, design: Design) -> float:
    """How far the printed number alone may be off, in points: what no run can make smaller."""
    seeds = (result.seed_error or 0) ** 2
    own = seeds * result.n / design.printed_seeds
    if not printing.same_images:
        own += max((result.error or 0) ** 2 - seeds, 0.0)
    return float(ndtri(1 - design.alpha / 2) * np.sqrt(own))


def corrected(found: list[Against], design: Design) -> list[Verdict]:
    """The verdicts when the share of false ones among those said is to be small.

    Benjamini and Hochberg's steps over all that was tested: `differs` over the tests of equality,
    `reproduced` over those of being further apart than the margin. What is not significant any
    more cannot be told.
    """
    apart = false_discovery([one.p for one in found])
    alike = false_discovery([one.p_apart for one in found])
    words: list[Verdict] = []
    for one, p, q in zip(found, apart, alike, strict=True):
        still = {"differs": p, "reproduced": q}.get(one.verdict, 0.0)
        words.append(CANNOT_TELL if still is None or still >= design.alpha else one.verdict)
    return words


def false_discovery(p: list[float | None]) -> list[float | None]:
    """The p-values of a family, corrected by Benjamini and Hochberg; None is not of the family."""
    tests = sorted((value, k) for k, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    reached = 1.0
    for rank in range(len(tests), 0, -1):
        value, k = tests[rank - 1]
        reached = min(reached, value * len(tests) / rank)
        adjusted[k] = reached
    return adjusted


def _tails(above: float, error: Array, degrees: Array) -> float:
    """Twice the share of a t distribution that is further out than so many points, at most 1."""
    if float(error) == 0:
        return 0.0 if above > 0 else 1.0
    return min(1.0, 2 * float(stdtr(degrees, -above / error)))
