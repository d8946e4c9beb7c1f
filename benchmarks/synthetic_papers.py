"""How well the audit finds errors: `python -m benchmarks.synthetic_papers N [--seed SEED]`.

Makes N papers with clean tables of simulated runs, puts one wrong cell in each, audits both, and
prints the rates of false alarms and of errors found. A clean paper also says what is so of its
tables: who is above whom, by how much, with which values.

A clean table is what a paper would print: a random test set, methods with random rates, five runs
each whose mean is rounded to one decimal; per-image JI and DSC likewise. Then one random cell is
misprinted, by a slip of the hand or by a random amount.

An error is *beyond the rounding bound* if no true numbers that round to the printed ones explain
it: the row's interval of the share p of positive labels is apart from what all other rows leave, a
DSC leaves the bounds that its JI sets (or is moved out of them), or one of two copies of a row
changes. Whether it is, is decided here by other arithmetic than the audit's own. Smaller errors
cannot be told from rounding by anybody.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workflow.audit.cells import CLASSIFICATION, OVERLAP, PrintedCell
from workflow.audit.claims import Claim
from workflow.audit.engine import corrections, find_problems
from workflow.audit.paper import Paper

_RUNS = 5
# Floating point puts a number at the very edge of its rounding on either side of it.
_EDGE = 1e-9


@dataclass
class Score:
    """Counts over simulated papers.

    Attributes:
        papers: clean ones audited.
        alarms: clean ones in which anything was found.
        beyond: errors beyond the rounding bound.
        found: the errors among these of which a finding names the row.
        alone: the errors among these whose only finding is the row's own.
        restored: the errors among these for which the true number is among the corrections.
        within: errors within the rounding bound.
        within_found: the errors among these for which anything was found.
        seconds: the time that all of it took.
    """

    papers: int = 0
    alarms: int = 0
    beyond: int = 0
    found: int = 0
    alone: int = 0
    restored: int = 0
    within: int = 0
    within_found: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.papers} clean papers: {self.alarms} with a false alarm.\n"
            f"{self.beyond} errors beyond the rounding bound: {self.found} found "
            f"({_share(self.found, self.beyond)}), {self.alone} of them with no other row in "
            f"question, {self.restored} with the true number among the corrections.\n"
            f"{self.within} errors within the rounding bound: {self.within_found} found.\n"
            f"{self.seconds:.1f} s."
        )


def simulate(papers: int, seed: int = 0, rows: tuple[int, int] = (2, 15)) -> Score:
    """Audit simulated papers, clean and with one error each.

    Args:
        papers: how many.
        seed: the seed of the random numbers.
        rows: smallest and largest number of methods in a paper.
    """
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    score = Score()
    for _ in range(papers):
        paper = Paper(clean_tables(rng, int(rng.integers(rows[0], rows[1] + 1))))
        score.papers += 1
        score.alarms += bool(find_problems(replace(paper, claims=true_claims(rng, paper.cells))))
        cell = paper.cells[rng.integers(len(paper.cells))]
        text = misprint(rng, cell.text)
        _judge(score, paper, cell, text)
    score.seconds = time.perf_counter() - start
    return score


def clean_tables(rng: np.random.Generator, methods: int) -> tuple[PrintedCell, ...]:
    """Two tables of one data set; the last method stands in both, as a paper's own does."""
    names = [f"method{k}" for k in range(methods)]
    results = _classification(rng, methods), _segmentation(rng, methods)
    cells: list[PrintedCell] = []
    for table, members in (("A", range(methods)), ("B", (methods - 1,))):
        for k in members:
            for task, values in zip(("classification", "segmentation"), results, strict=True):
                cells += [
                    PrintedCell(table, "data", names[k], task, metric, f"{value:.1f}")
                    for metric, value in values[k].items()
                ]
    return tuple(cells)


def true_claims(rng: np.random.Generator, cells: Sequence[PrintedCell]) -> tuple[Claim, ...]:
    """What a text may say of clean tables: a method above others, its gain, and its values.

    A gain is made of numbers before they are rounded, so it may be a unit off the printed ones.
    """
    values = {(c.method, c.metric): float(c.text) for c in cells if c.table == "A"}
    methods = list(dict.fromkeys(method for method, _ in values))
    best = methods[int(rng.integers(len(methods)))]
    claims = [
        _claim("value", left=(best,), stated=(("acc", f"{values[best, 'acc']:.1f}"),)),
        _claim("words"),
    ]
    for metric in (*CLASSIFICATION, *OVERLAP):
        below = [m for m in methods if values[m, metric] < values[best, metric]]
        if not below:
            continue
        sides = {"left": (best,), "right": tuple(below)}
        kind = "above" if rng.random() < 0.5 else "significant"
        claims.append(_claim(kind, metrics=(metric,), **sides))
        gain = values[best, metric] - max(values[m, metric] for m in below)
        stated = gain + 0.1 * int(rng.integers(-1, 2))
        claims.append(_claim("margin", stated=((metric, f"{abs(stated):.1f}"),), **sides))
    return tuple(replace(one, id=f"claim {k}") for k, one in enumerate(claims))


def _claim(kind: str, **fields: tuple[Any, ...]) -> Claim:
    return Claim("", "1", "something that is so.", kind, ("data",), **fields)


def _classification(rng: np.random.Generator, methods: int) -> list[dict[str, float]]:
    """Means over runs of micro accuracy, sensitivity and specificity, in per cent."""
    labels = int(rng.integers(100, 6000))
    positive = int(np.clip(round(labels * rng.uniform(0.05, 0.95)), 1, labels - 1))
    results = []
    for sen, spe in rng.uniform(0.5, 1.0, size=(methods, 2)):
        tp = rng.binomial(positive, sen, size=_RUNS)
        tn = rng.binomial(labels - positive, spe, size=_RUNS)
        shares = (tp + tn) / labels, tp / positive, tn / (labels - positive)
        results.append({m: 100 * s.mean() for m, s in zip(CLASSIFICATION, shares, strict=True)})
    return results


def _segmentation(rng: np.random.Generator, methods: int) -> list[dict[str, float]]:
    """Means over runs and images of JI and DSC, in per cent; sometimes of pooled pixels."""
    images = 1 if rng.random() < 0.2 else int(rng.integers(20, 600))
    results = []
    for _ in range(methods):
        mean, strength = rng.uniform(0.3, 0.95), rng.uniform(1, 20)
        ji = rng.beta(mean * strength, (1 - mean) * strength, size=(1, images))
        ji = np.clip(ji + rng.normal(0, 0.005, size=(_RUNS, images)), 0, 1)
        dsc = 2 * ji / (1 + ji)
        results.append({"ji": 100 * ji.mean(), "dsc": 100 * dsc.mean()})
    return results


def misprint(rng: np.random.Generator, text: str) -> str:
    """Another percentage: with one digit wrong, two digits swapped, or off by up to 15 points."""
    while True:
        if rng.random() < 0.5:
            digits = list(text)
            places = [k for k, digit in enumerate(digits) if digit.isdigit()]
            if rng.random() < 0.5:
                digits[int(rng.choice(places))] = str(rng.integers(10))
            else:
                k = int(rng.integers(len(places) - 1))
                one, other = places[k], places[k + 1]
                digits[one], digits[other] = digits[other], digits[one]
            changed = "".join(digits)
        else:
            changed = f"{float(text) + rng.uniform(-15, 15):.1f}"
        if float(changed) != float(text) and 0 <= float(changed) <= 100:
            return f"{float(changed):.1f}"


def beyond_rounding(cells: tuple[PrintedCell, ...], cell: PrintedCell, text: str) -> bool:
    """Whether `text` in place of a clean cell is an error beyond the rounding bound."""
    copies = [
        other
        for other in cells
        if (other.method, other.metric) == (cell.method, cell.metric) and other != cell
    ]
    if copies:
        return True  # the copy in the other table says otherwise
    if cell.metric in OVERLAP:
        row = {c.metric: float(c.text) for c in cells if c.method == cell.method}
        row[cell.metric] = float(text)
        most = 200 * (row["ji"] + 0.05) / (100 + row["ji"] + 0.05)
        return row["dsc"] - 0.05 > most + _EDGE or row["dsc"] + 0.05 < row["ji"] - 0.05 - _EDGE
    values: dict[str, dict[str, float]] = {}
    for other in cells:
        if other.task == "classification" and other.table == "A":
            values.setdefault(other.method, {})[other.metric] = float(other.text)
    row = values.pop(cell.method)
    row[cell.metric] = float(text)
    low, high = 0.0, 1.0
    for rest in values.values():
        low, high = _confined(rest, low, high)
    left, right = _confined(row, low, high)
    return left > right + _EDGE


def _confined(row: dict[str, float], low: float, high: float) -> tuple[float, float]:
    """The part of [low, high] in which |Acc - p·Sen - (1 - p)·Spe| is at most what rounding can do:

    half a unit of the accuracy, and half a unit of whatever mean of the two rates.
    """
    slope, offset, room = row["sen"] - row["spe"], row["acc"] - row["spe"], 0.1
    if abs(slope) < _EDGE:
        return (low, high) if abs(offset) <= room + _EDGE else (1.0, 0.0)
    ends = sorted(((offset - room) / slope, (offset + room) / slope))
    return max(low, ends[0]), min(high, ends[1])


def _judge(score: Score, paper: Paper, cell: PrintedCell, text: str) -> None:
    changed = paper.with_cell(cell, text)
    problems = find_problems(changed)
    if not beyond_rounding(paper.cells, cell, text):
        score.within += 1
        score.within_found += bool(problems)
        return
    score.beyond += 1
    naming = [problem for problem in problems if cell.method in {c.method for c in problem.cells}]
    score.found += bool(naming)
    score.alone += all({c.method for c in problem.cells} == {cell.method} for problem in problems)
    score.restored += any(
        correction.place == cell.place
        and float(correction.low) <= float(cell.text) <= float(correction.high)
        for problem in naming
        for correction in corrections(changed, problem, problems)
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none to find"


def run(arguments: Sequence[str]) -> str:
    """What the command prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthetic_papers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("papers", type=int, metavar="N", help="how many papers")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (0)")
    options = parser.parse_args(arguments)
    return f"{simulate(options.papers, options.seed)}\n"


if __name__ == "__main__":
    sys.stdout.write(run(sys.argv[1:]))
