"""How often each verdict is said when it is true, and when it is false: this command's tables.

    python -m benchmarks.verdict_words
    python -m benchmarks.verdict_words --without doubt one-seed

A second laboratory, which is the paper, measures the same methods (`bounded_scores`); its true
values are 0, 1, 2 or 5 points from this run's. `before` is what verdicts were without any of the
mends below, `after` with all of them, or with those that `--without` leaves.

- margin: 2 points instead of 1
- doubt: the printed value has a doubt of its own
- one-seed: with one seed nothing is testable
- size: a claim of a gain has to have its size, not its direction alone
- permutation: a ranking has to be beyond chance by an exact permutation test, of five methods or
  more

What else the verdicts rest on is printed below: intervals on the logit scale, designs of few seeds,
and what other families of tests would find (`verdict_families`).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bounded_scores import Bounded, MeasuredTwice, designs, laboratories
from benchmarks.simulate import text_table
from benchmarks.verdict_families import family_tables
from workflow.metrics.against import doubt_of_both
from workflow.metrics.intervals import BOUNDS, Design, interval, t_quantile
from workflow.metrics.ratios import Ratios
from workflow.metrics.statistics import agreement, permutation_p, rank
from workflow.metrics.variance import Array, Linear, spread

APART = (0, 1, 2, 5)
MENDS = ("margin", "doubt", "one-seed", "size", "permutation")
VALUES = ("reproduced", "cannot tell", "differs", "not testable")
CLAIMS = ("holds", "size differs", "size open", "open", "not testable")
# Designs on which claims are tried; gains in truth, and by how much they are overstated.
CLAIMED = ("OCT 4 x 5, DSC", "ISIC 600 x 5, DSC", "ISIC 600 x 1, DSC")
GAINS = ((0, 3), (4, 0), (4, 1), (4, 2), (4, 5))
HALF = 0.05  # of a printed digit
DESIGN = Design()
BEFORE = replace(DESIGN, margin=1.0)
# How many methods the rankings have, by how many points they differ, and how often.
RANKED, DIFFER, COLUMNS = (6, 10), 1.5, 10


def word(
    gap: Array, reach: Array, margin: float, lost: NDArray[np.bool_] | bool = False
) -> NDArray[np.str_]:
    """The words of `against`, of many at once.

    Args:
        gap: this run less the printed number.
        reach: to how many points either side the interval of the difference goes.
        margin: the margin.
        lost: which are not testable.
    """
    far = np.abs(gap)
    words = np.where(far - HALF > reach, "differs", "cannot tell")
    words = np.where(far + HALF + reach <= margin, "reproduced", words)
    return np.where(lost, "not testable", words)


def value_words(one: Bounded, repeats: int, mends: Sequence[str], seed: int) -> list[Array]:
    """The shares of each of `VALUES`, for each of `APART`."""
    found = _joined(one, repeats, seed)
    value, doubt = found["value"], found["error"]
    degrees, design = found["degrees"], DESIGN if "margin" in mends else BEFORE
    lost = one.seeds == 1 and "one-seed" in mends
    if "doubt" in mends and one.seeds > 1:
        doubt, degrees = doubt_of_both(
            doubt, found["seeds"], degrees, one.seeds, one.same_images, design
        )
    reach = t_quantile(degrees, design) * doubt
    shares = []
    for apart in APART:
        gap = value - np.round(found["printed"] - apart, 1)
        words = word(gap, reach, design.margin, lost)
        shares.append(np.array([(words == name).mean() for name in VALUES]))
    return shares


def coverage(one: Bounded, repeats: int, seed: int) -> tuple[float, float]:
    """How often the interval of a mean holds the truth: cut at its bounds, and by logits."""
    found = _joined(one, repeats, seed)
    value, error, degrees = (found[name] for name in ("value", "error", "degrees"))
    # The truth is the mean over all repeats of both laboratories, which err by next to nothing.
    truth = np.concatenate([value, found["printed"]]).mean()
    held = []
    for bounds in ((-1e9, 1e9), BOUNDS):
        low, high = interval(value, error, degrees, DESIGN, bounds)
        held.append(float(((low <= truth) & (truth <= high)).mean()))
    return held[0], held[1]


def claim_words(
    one: Bounded, repeats: int, mends: Sequence[str], seed: int, gain: float, apart: float
) -> Array:
    """The shares of each of `CLAIMS`, of a claim whose gain is stated `apart` more than it is."""
    margin = DESIGN.gain_margin
    counts = np.zeros(len(CLAIMS))
    generator = np.random.default_rng(seed)
    for block in laboratories(one, repeats, generator, methods=2, apart=0.15):
        linear = block.linear
        pair = Linear(
            linear.values[:, 0] - linear.values[:, 1],
            linear.influence[:, 0] - linear.influence[:, 1],
            linear.weights[:, 0],
        )
        doubt, found = spread(pair), pair.values.mean(axis=-1) + gain
        degrees = np.broadcast_to(doubt.degrees, found.shape)
        stated = np.round(block.printed[:, 0] - block.printed[:, 1] + gain + apart, 1)
        better = found > t_quantile(degrees, DESIGN) * doubt.error
        words = np.where(better, "holds", "open")
        if "size" in mends:
            error, degrees = doubt.error, degrees
            if "doubt" in mends:
                error, degrees = doubt_of_both(
                    error, doubt.seeds, degrees, one.seeds, one.same_images, DESIGN
                )
            size = word(found - stated, t_quantile(degrees, DESIGN) * error, margin)
            words = np.where(better & (size == "differs"), "size differs", words)
            words = np.where(better & (size == "cannot tell"), "size open", words)
        if one.seeds == 1 and "one-seed" in mends:
            words = np.full(words.shape, "not testable")
        counts += [(words == name).sum() for name in CLAIMS]
    return counts / repeats


def ranking_words(
    one: Bounded, columns: int, mends: Sequence[str], seed: int, methods: int, related: bool
) -> float:
    """The share of columns whose printed order gets a decisive verdict.

    Args:
        one: the test set.
        columns: how many columns.
        mends: which mends are on.
        seed: of the random numbers.
        methods: how many methods each column has.
        related: whether the printed order is the true one with noise, or has nothing to do with it.
    """
    generator, said = np.random.default_rng(seed), 0
    for block in laboratories(one, columns, generator, methods=methods, apart=0.15):
        for k in range(len(block.scores)):
            quality = DIFFER * generator.standard_normal(methods)
            other = quality if related else DIFFER * generator.standard_normal(methods)
            printed = np.round(block.printed[k] + other, 1)
            said += _is_ranked(block, k, quality, printed, mends, one.name)
    return said / columns


def _is_ranked(
    block: MeasuredTwice, k: int, quality: Array, printed: Array, mends: Sequence[str], name: str
) -> bool:
    """Whether the order of a column's printed numbers is said to survive, or to be reversed."""
    scores = block.scores[k] + quality[:, None, None, None] / 100
    weights = np.broadcast_to(block.weights, scores.shape[1:])
    places = tuple(map(str, range(len(block.weights))))
    seeds = tuple(range(scores.shape[1]))
    column = {str(m): Ratios(x * weights, weights, seeds, places) for m, x in enumerate(scores)}
    numbers = {str(m): float(value) for m, value in enumerate(printed)}
    agreed = agreement(column, rank(column, DESIGN), numbers, name, DESIGN)
    decisive = agreed is not None and not agreed.low <= 0 <= agreed.high
    if "permutation" not in mends or not decisive:
        return decisive
    means = {method: float(ratios.values().mean()) for method, ratios in column.items()}
    return len(means) >= 5 and permutation_p(means, numbers) <= DESIGN.alpha


def _joined(one: Bounded, repeats: int, seed: int) -> dict[str, Array]:
    """This run's means and their doubt, and what is printed; of one method, for each repeat."""
    parts: dict[str, list[Array]] = {}
    for block in laboratories(one, repeats, np.random.default_rng(seed)):
        linear = block.linear
        doubt, value = spread(linear), linear.values.mean(axis=-1)[:, 0]
        now = {
            "value": value,
            "printed": block.printed[:, 0],
            "error": doubt.error[:, 0],
            "seeds": doubt.seeds[:, 0],
            "degrees": np.broadcast_to(doubt.degrees[:, 0], value.shape),
        }
        for name, part in now.items():
            parts.setdefault(name, []).append(part)
    return {name: np.concatenate(part) for name, part in parts.items()}


def report(repeats: int, seed: int, mends: Sequence[str]) -> str:
    """The tables that the command prints."""
    shown = "all mends" if set(mends) == set(MENDS) else f"only {', '.join(mends) or 'none'}"
    margin = DESIGN.margin if "margin" in mends else BEFORE.margin
    columns, isic = max(repeats // COLUMNS, 1), _isic()
    after = [f"after: {names[0]}" for names in (VALUES, CLAIMS)]
    parts = [
        f"Values: how often each word is said, {repeats} repeats of each row; before: margin "
        f"{BEFORE.margin:g}; after, with {shown}: margin {margin:g}.",
        text_table(["", "truths apart", "before: reproduced", "within noise", "differs",
                after[0], *VALUES[1:]], _value_rows(repeats, seed, mends)),
        "Claims of a gain: how often each word is said, by the gain in truth and the one that "
        f"is stated (both measured with noise); margin {DESIGN.gain_margin:g}.",
        text_table(["", "true gain", "stated, about", "before: holds", after[1], *CLAIMS[1:]],
               _claim_rows(repeats, seed, mends)),
        f"Rankings, {isic.name}: how often an order survives or is reversed, {columns} columns.",
        text_table(["", "printed order", "before", "after"], _ranking_rows(columns, seed, mends)),
        "Coverage of the 95 % interval of a mean: symmetric, and on the logit scale.",
        text_table(["", "symmetric", "logit"],
               [[one.name, *coverage(one, repeats, seed)] for one in designs() if one.seeds > 1]),
    ]  # fmt: skip
    for title, head, rows in family_tables(repeats, seed):
        parts += [title, text_table(head, rows)]
    return "\n\n".join(parts)


def _isic() -> Bounded:
    """The plainest design on the paper's own test images."""
    return next(one for one in designs() if one.same_images)


def _value_rows(repeats: int, seed: int, mends: Sequence[str]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for one in designs():
        before, after = (value_words(one, repeats, on, seed) for on in ((), mends))
        for apart, old, new in zip(APART, before, after, strict=True):
            rows.append(["" if apart else one.name, apart, *old[:3], *new])
    return rows


def _claim_rows(repeats: int, seed: int, mends: Sequence[str]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for one in designs():
        if one.name not in CLAIMED:
            continue
        for number, (gain, apart) in enumerate(GAINS):
            old, new = (claim_words(one, repeats, on, seed, gain, apart) for on in ((), mends))
            rows.append(["" if number else one.name, gain, gain + apart, old[0], *new])
    return rows


def _ranking_rows(columns: int, seed: int, mends: Sequence[str]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for methods in RANKED:
        for related in (False, True):
            old, new = (
                ranking_words(_isic(), columns, on, seed, methods, related) for on in ((), mends)
            )
            order = "the true one, with noise" if related else "nothing to do with the true one"
            rows.append([f"{methods} methods", order, old, new])
    return rows


def run(arguments: Sequence[str]) -> str:
    """What the command prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdict_words",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=1000, help="of each row (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (0)")
    parser.add_argument(
        "--without", nargs="*", choices=MENDS, default=[], help="mends that are left out of `after`"
    )
    options = parser.parse_args(arguments)
    mends = [name for name in MENDS if name not in options.without]
    return f"{report(options.repeats, options.seed, mends)}\n"


if __name__ == "__main__":
    sys.stdout.write(run(sys.argv[1:]))
