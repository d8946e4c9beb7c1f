"""What other families of tests would find, and what few seeds or groups do to a test.

One method is better than nine equal ones, on six columns of a table, and all pairs of it are
tested: 270 comparisons. Beside Holm's correction over all of them stand: over those of one column;
over those with the better method alone, as the claims of a paper are; a closed test of these
(Hommel's); and a mixed model, in which all methods of a column share one variance. Errors are
counted on tables of equal methods, also where one method varies more than the others, which the
mixed model takes not to be so.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from benchmarks.bounded_scores import Bounded, MeasuredTwice, designs, laboratories
from workflow.metrics.intervals import Design, p_value
from workflow.metrics.variance import Array, Linear, spread

METHODS, COLUMNS = 10, 6
BETTER = 8.0
DESIGN = Design()
PAIRS = np.array(list(combinations(range(METHODS), 2)))
# Those of the first method, which is the better one.
OF_BEST = PAIRS[:, 0] == 0
# How many seeds a single test has, and by how much they vary before the curve.
SEEDS, SEED_SDS = (1, 2, 3, 5), (0.05, 0.15, 0.5)
# A method that varies more does so by this factor.
UNEVEN = 2.0


@dataclass(frozen=True)
class FamilyOfTests:
    """A way to test: which p-values it makes, of which pairs, and how it corrects them.

    Attributes:
        name: what it is called in the table.
        pooled: whether methods share one variance.
        of_best: whether only pairs with the best method are tested.
        by_column: whether each column is a family of its own.
        correct: `[tables, tests]` p-values -> which are significant.
    """

    name: str
    pooled: bool
    of_best: bool
    by_column: bool
    correct: Callable[[Array], NDArray[np.bool_]]


def holm_rejects(p: Array) -> NDArray[np.bool_]:
    """Which of `[..., tests]` are significant by Holm's steps."""
    order = np.argsort(p, axis=-1)
    ranked = np.take_along_axis(p, order, axis=-1)
    steps = p.shape[-1] - np.arange(p.shape[-1])
    passed = np.logical_and.accumulate(ranked * steps < DESIGN.alpha, axis=-1)
    found = np.empty_like(passed)
    np.put_along_axis(found, order, passed, axis=-1)
    return found


def hommel_rejects(p: Array) -> NDArray[np.bool_]:
    """Which of `[..., tests]` are significant by Hommel's closed test of Simes's."""
    m = p.shape[-1]
    ranked = np.sort(p, axis=-1)
    # The largest j of which even the j largest p-values are too large, all of them.
    largest = np.zeros(p.shape[:-1], dtype=int)
    for j in range(1, m + 1):
        bounds = np.arange(1, j + 1) * DESIGN.alpha / j
        largest = np.where((ranked[..., m - j :] > bounds).all(axis=-1), j, largest)
    return p < DESIGN.alpha / np.maximum(largest, 1)[..., None]


FAMILIES = (
    FamilyOfTests("all pairs of the table, Holm (as it is)", False, False, False, holm_rejects),
    FamilyOfTests("all pairs of a column, Holm", False, False, True, holm_rejects),
    FamilyOfTests("best against others, table, Holm", False, True, False, holm_rejects),
    FamilyOfTests("the same, closed test (Hommel)", False, True, False, hommel_rejects),
    FamilyOfTests("best against others, column, Holm", False, True, True, holm_rejects),
    FamilyOfTests("mixed model, all pairs of the table, Holm", True, False, False, holm_rejects),
    FamilyOfTests("mixed model, best against others, table, Holm", True, True, False, holm_rejects),
)


def pairs_of(block: MeasuredTwice, shift: Array) -> tuple[Array, Array]:
    """p-values `[repeats, pairs]` by each pair's own variance, and by that of all methods.

    Args:
        block: scores of a column.
        shift: points by which each method is better `[methods]`.
    """
    linear = block.linear
    a, b = PAIRS.T
    pair = Linear(
        linear.values[:, a] - linear.values[:, b],
        linear.influence[:, a] - linear.influence[:, b],
        (linear.weights[:, a] + linear.weights[:, b]) / 2,
    )
    gap = pair.values.mean(axis=-1) + shift[a] - shift[b]
    own = p_value(gap, spread(pair), DESIGN)
    # Residuals of method x group and method x seed, of groups of equal size.
    scores = 100 * block.scores[..., 0]
    by_group, by_seed = scores.mean(axis=2), scores.mean(axis=3)
    methods, groups, seeds = by_group.shape[1], by_group.shape[2], by_seed.shape[2]
    rest = by_group - by_group.mean(axis=1, keepdims=True) - by_group.mean(axis=2, keepdims=True)
    rest = rest + by_group.mean(axis=(1, 2), keepdims=True)
    group_degrees, seed_degrees = (methods - 1) * (groups - 1), methods * (seeds - 1)
    of_groups = 2 * (rest**2).sum(axis=(1, 2)) / group_degrees / groups
    of_seeds = 2 * by_seed.var(axis=2, ddof=1).mean(axis=1) / seeds
    error = np.sqrt(of_groups + of_seeds)
    degrees = error**4 / (of_groups**2 / group_degrees + of_seeds**2 / seed_degrees)
    pooled = 2 * stdtr(degrees[:, None], -np.abs(gap) / error[:, None])
    return own, pooled


def rejected(tables: Array, family: FamilyOfTests) -> NDArray[np.bool_]:
    """Which of `[tables, columns, tests]` p-values are significant."""
    if family.by_column:
        return family.correct(tables)
    return family.correct(tables.reshape(len(tables), -1)).reshape(tables.shape)


def family_rates(one: Bounded, tables: int, seed: int, better: float) -> list[list[Any]]:
    """A row for each family: its errors, and what it finds of one better method."""
    rows: list[list[Any]] = [[family.name] for family in FAMILIES]
    for shift, uneven in ((0.0, 1.0), (0.0, UNEVEN), (better, 1.0)):
        generator = np.random.default_rng(seed)
        shifts = np.zeros(METHODS)
        shifts[0] = shift
        found: list[tuple[Array, Array]] = []
        for block in laboratories(one, tables * COLUMNS, generator, METHODS, 0.1):
            scores = block.scores.copy()
            scores[:, 0] = _stretched(scores, uneven)
            found.append(pairs_of(replace(block, scores=scores), shifts))
        own, pooled = (np.concatenate(part) for part in zip(*found, strict=True))
        for row, family in zip(rows, FAMILIES, strict=True):
            p = (pooled if family.pooled else own).reshape(tables, COLUMNS, -1)
            told = rejected(p[..., OF_BEST] if family.of_best else p, family)
            if not shift:
                row.append(float(told.any(axis=(1, 2)).mean()))
                continue
            of_best = told if family.of_best else told[..., OF_BEST]
            row += [float(of_best.any(axis=-1).mean()), float(of_best.all(axis=-1).mean())]
    return rows


def _stretched(scores: Array, by: float) -> Array:
    """The first method's scores, whose distance from what all share is `by` times as large."""
    common = scores.mean(axis=1)
    own = scores[:, 0] - common
    level = own.mean(axis=(1, 2), keepdims=True)
    # Its true mean stays that of all: errors of its mean grow with the rest.
    return common + by * (own - level) + by * level


def few_rates(repeats: int, seed: int) -> list[list[Any]]:
    """How often a single test at .05 finds a difference between equal methods, of few or many.

    The worst of `SEED_SDS`: from seeds that hardly vary to ones that vary more than groups.
    """
    rows: list[list[Any]] = []
    base = designs()[0]
    for groups, images in ((2, 40), (3, 40), (4, 40), (8, 40), (200, 1)):
        row: list[Any] = [f"{groups} groups"]
        for seeds in SEEDS:
            one = replace(base, groups=(images,) * groups, seeds=seeds)
            row.append(max(_errors(replace(one, seed=sd), repeats, seed) for sd in SEED_SDS))
        rows.append(row)
    return rows


def _errors(one: Bounded, repeats: int, seed: int) -> float:
    """The share of repeats in which two equal methods differ significantly."""
    errors = 0
    for block in laboratories(one, repeats, np.random.default_rng(seed), 2, 0.1):
        linear = block.linear
        pair = Linear(
            linear.values[:, 0] - linear.values[:, 1],
            linear.influence[:, 0] - linear.influence[:, 1],
            linear.weights[:, 0],
        )
        p = p_value(pair.values.mean(axis=-1), spread(pair), DESIGN)
        errors += int((p < DESIGN.alpha).sum())
    return errors / repeats


def best_of_many(repeats: int, seed: int) -> list[list[Any]]:
    """By how much the best of two equal methods is below the best of eight, in the mean."""
    rows: list[list[Any]] = []
    for one in designs():
        if one.seeds != 5:
            continue
        gaps: list[Array] = []
        for block in laboratories(one, repeats, np.random.default_rng(seed), METHODS, 0.15):
            means = block.linear.values.mean(axis=-1)
            gaps.append(means[:, :2].max(axis=1) - means[:, 2:].max(axis=1))
        rows.append([one.name, float(np.concatenate(gaps).mean())])
    return rows


def family_tables(repeats: int, seed: int) -> list[tuple[str, list[str], list[list[Any]]]]:
    """(title, head, rows) of each table."""
    oct_, isic = designs()[0], next(one for one in designs() if one.same_images)
    oct_tables, isic_tables = max(repeats // 4, 1), max(repeats // 40, 1)
    head = ["", "equal methods: any error", "one varies twice as much: any error",
            "better method told from any", "from all"]  # fmt: skip
    return [
        (
            f"Families of tests, {oct_.name}: {METHODS} methods, {COLUMNS} columns, one method "
            f"{BETTER:g} points above the others; {oct_tables} tables.",
            head,
            family_rates(oct_, oct_tables, seed, BETTER),
        ),
        (
            f"The same, {isic.name}, one method 2 points above the others; {isic_tables} tables.",
            head,
            family_rates(isic, isic_tables, seed, 2.0),
        ),
        (
            "A single test at .05 of two equal methods: how often it finds a difference, at the "
            "worst of three spreads between seeds. With one seed the workflow does not test.",
            ["", *(f"{seeds} seed{'s' if seeds > 1 else ''}" for seeds in SEEDS)],
            few_rates(repeats, seed),
        ),
        (
            "The best of two less the best of eight, all equal in truth, in points.",
            ["", "mean"],
            best_of_many(max(repeats // 10, 1), seed),
        ),
    ]
