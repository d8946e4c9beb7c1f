"""Micro-averaged classification: Acc = p·Sen + (1 - p)·Spe, with one p for all rows of a test set.

p is the share of positive labels in the test set, so each printed row confines it to an interval.
Means over repeated runs keep the identity, because p is the test set's and not the run's. A row
whose interval is empty has an accuracy that does not lie between its sensitivity and specificity;
a row whose interval is apart from that of most others contradicts them.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from workflow.audit.cells import CLASSIFICATION, PrintedCell, PrintedRow, gather_rows
from workflow.audit.findings import (
    IMPOSSIBLE,
    INCONSISTENT,
    Atom,
    CellChange,
    Inference,
    Problem,
)
from workflow.audit.paper import Paper
from workflow.audit.rounding import PERCENT, Interval, Printed, show

_SHARE = Interval(Fraction(0), Fraction(1))


class Implied(NamedTuple):
    """The share of positive labels that the rows of one test set imply.

    Attributes:
        low, high: the interval that the largest set of consistent rows leaves; where several sets
            are largest, the hull of theirs.
        consistent: the rows that are in every largest set.
        contradicting: those that are in none.
        disputed: those that are in some: one of them is wrong, and these rows cannot say which.
        regions: the interval of each largest set; one, unless rows are disputed.
    """

    low: Fraction
    high: Fraction
    consistent: tuple[PrintedRow, ...]
    contradicting: tuple[PrintedRow, ...]
    disputed: tuple[PrintedRow, ...]
    regions: tuple[Interval, ...]


def share_interval(acc: Printed, sen: Printed, spe: Printed) -> Interval | None:
    """All p for which some true values, which print as these, satisfy the identity.

    For a given p, p·Sen + (1 - p)·Spe takes every value between its extremes over the roundings, so
    two linear inequalities in p say exactly whether the accuracy's rounding meets them.
    """
    boxes = [number.box.common(PERCENT) for number in (acc, sen, spe)]
    if None in boxes:
        return None
    a, s, q = (box for box in boxes if box is not None)
    at_most = _below(_SHARE, s.low - q.low, a.high - q.low)
    return at_most and _below(at_most, q.high - s.high, q.high - a.low)


def _below(interval: Interval, slope: Fraction, bound: Fraction) -> Interval | None:
    """The part of an interval in which slope·p <= bound."""
    if slope == 0:
        return interval if bound >= 0 else None
    limit = bound / slope
    if slope > 0:
        low, high = interval.low, min(interval.high, limit)
    else:
        low, high = max(interval.low, limit), interval.high
    return Interval(low, high) if low <= high else None


def classification_rows(cells: Iterable[PrintedCell]) -> dict[str, list[PrintedRow]]:
    """Data set -> its rows that print accuracy, sensitivity and specificity."""
    return gather_rows(cells, "classification", CLASSIFICATION)


def implied_prevalence(rows: Sequence[PrintedRow], known: Fraction | None = None) -> Implied:
    """The share of positive labels that rows of one test set imply, and the rows that do not fit.

    Args:
        rows: rows of one test set, from `classification_rows`.
        known: the true share, if it is on record; rows are then consistent if they allow it.
    """
    intervals = {row: share_interval(*(row[m] for m in CLASSIFICATION)) for row in rows}
    possible = {row: interval for row, interval in intervals.items() if interval is not None}
    points = [known] if known is not None else sorted({i.low for i in possible.values()})
    sets = {
        frozenset(row for row, interval in possible.items() if interval.holds(point))
        for point in points
    }
    most = max(map(len, sets), default=0)
    largest = [members for members in sets if len(members) == most]
    if most == 0:
        return Implied(*_SHARE, (), tuple(rows), (), (_SHARE,))
    regions = tuple(
        Interval(max(possible[row].low for row in s), min(possible[row].high for row in s))
        for s in largest
    )
    every, some = frozenset.intersection(*largest), frozenset.union(*largest)
    return Implied(
        low=min(region.low for region in regions),
        high=max(region.high for region in regions),
        consistent=tuple(row for row in rows if row in every),
        contradicting=tuple(row for row in rows if row not in some),
        disputed=tuple(row for row in rows if row in some - every),
        regions=regions,
    )


def check_prevalence(paper: Paper) -> Iterator[Problem]:
    """Rows whose accuracy is impossible, or contradicts the test set's share of positive labels."""
    for dataset, group in classification_rows(paper.cells).items():
        implied, known = _implied(paper, dataset, group)
        targets = implied.regions if known is None else (Interval(known, known),)
        if known is None and (implied.consistent or implied.disputed):
            yield from _against_record(paper, dataset, implied)
        impossible = [row for row in group if _interval(row) is None]
        for row in impossible:
            yield _outside(row, targets)
        possible = len(group) - len(impossible)
        others = [row for row in implied.contradicting if row not in impossible]
        few = known is None and 2 * len(implied.consistent) <= possible
        if implied.disputed or (others and few):
            yield _apart(dataset, [*implied.disputed, *others], implied, possible)
        else:
            for row in others:
                yield _contradiction(row, implied, targets)


def infer_prevalence(paper: Paper) -> Iterator[Inference]:
    """The interval of p for each test set."""
    for dataset, group in classification_rows(paper.cells).items():
        implied = _implied(paper, dataset, group)[0]
        if not implied.consistent:
            continue
        known = _on_record(paper, dataset)
        text = (
            f"Share of positive labels {_range(Interval(implied.low, implied.high))}, by "
            f"{len(implied.consistent)} of {len(group)} rows"
        )
        if known is not None:
            text += f"; on record {float(known):.4f}"
        yield Inference("prevalence", dataset, f"{text}.")


def _interval(row: PrintedRow) -> Interval | None:
    return share_interval(*(row[metric] for metric in CLASSIFICATION))


def _on_record(paper: Paper, dataset: str) -> Fraction | None:
    return paper.record[dataset].prevalence if dataset in paper.record else None


def _implied(
    paper: Paper, dataset: str, group: list[PrintedRow]
) -> tuple[Implied, Fraction | None]:
    """What the rows imply, and the share on record where the largest set of rows allows it."""
    implied = implied_prevalence(group)
    known = _on_record(paper, dataset)
    if known is None or not any(region.holds(known) for region in implied.regions):
        return implied, None
    return implied_prevalence(group, known), known


def _against_record(paper: Paper, dataset: str, implied: Implied) -> Iterator[Problem]:
    """Rows that agree with each other, and not with the record."""
    known = _on_record(paper, dataset)
    if known is None:
        return
    yield Problem(
        kind="prevalence on record",
        severity=INCONSISTENT,
        cells=(PrintedCell("", dataset, "", "classification", "share of positive labels", ""),),
        amount=100 * min(abs(end - known) for region in implied.regions for end in region),
        text=(
            f"The rows imply a share of positive labels {_range(Interval(*implied[:2]))}, the "
            f"record says {float(known):.4f}: another test set, other labels, or no micro-averages."
        ),
        atoms=frozenset({("prevalence on record", dataset)}),
    )


def _outside(row: PrintedRow, targets: tuple[Interval, ...]) -> Problem:
    acc, sen, spe = (row[metric] for metric in CLASSIFICATION)
    low, high = sorted((sen.value, spe.value))
    amount = max(acc.value - high, low - acc.value)
    side = "above both" if acc.value > high else "below both"
    return Problem(
        kind="accuracy outside",
        severity=IMPOSSIBLE,
        cells=row.printed_as("acc"),
        amount=amount,
        text=(
            "A micro-averaged accuracy lies between sensitivity and specificity; "
            f"{row.name} prints acc {acc.text} {side} sen {sen.text} and spe {spe.text}."
        ),
        atoms=_atoms("accuracy outside", row),
        suggest=lambda: _changes(row, targets),
    )


def _contradiction(row: PrintedRow, implied: Implied, targets: tuple[Interval, ...]) -> Problem:
    own = _interval(row)
    assert own is not None  # rows without an interval are reported as impossible
    region = Interval(implied.low, implied.high)
    needs = (
        f"p = {float(targets[0].low):.4f}" if targets[0].low == targets[0].high else "that share"
    )
    return Problem(
        kind="prevalence",
        severity=INCONSISTENT,
        cells=row.printed_as("acc"),
        amount=_distance(row, targets[0]),
        text=(
            f"{row.name} implies a share of positive labels {_range(own)}, the other "
            f"{len(implied.consistent)} rows of its test set {_range(region)}. With {needs}, sen "
            f"{row['sen'].text} and spe {row['spe'].text} give an accuracy of "
            f"{_accuracies(row, targets[0])}; printed is {row['acc'].text}."
        ),
        atoms=_atoms("prevalence", row),
        suggest=lambda: _changes(row, targets),
    )


def _apart(dataset: str, group: list[PrintedRow], implied: Implied, possible: int) -> Problem:
    """Rows of which the numbers cannot say who is wrong."""
    own = {row: interval for row in group if (interval := _interval(row))}
    # What a row would have to allow: the largest sets of rows that it is not in.
    others = {
        row: tuple(region for region in implied.regions if not own[row].common(region))
        for row in own
    }
    stated = "; ".join(f"{row.name} {_range(interval)}" for row, interval in own.items())
    rows = (*implied.consistent, *implied.disputed)
    most = max(
        sum(1 for row in rows if (i := _interval(row)) and i.holds(region.low))
        for region in implied.regions
    )

    def suggest() -> Iterator[CellChange]:
        for row, regions in others.items():
            yield from _changes(row, regions)

    return Problem(
        kind="prevalence",
        severity=INCONSISTENT,
        cells=tuple(cell for row in group for cell in row.printed_as("acc")),
        amount=min(_distance(row, region) for row in others for region in others[row]),
        text=(
            f"At most {most} of {possible} rows can share one test set. The shares of positive "
            f"labels implied: {stated}. One of these rows is wrong, or they are no micro-averages "
            f"over one test set ({dataset})."
        ),
        atoms=frozenset(atom for row in group for atom in _atoms("prevalence", row)),
        suggest=suggest,
    )


def _atoms(kind: str, row: PrintedRow) -> frozenset[Atom]:
    return frozenset((kind, row.dataset, row.method, table) for table in row.tables)


def _changes(row: PrintedRow, targets: tuple[Interval, ...]) -> Iterator[CellChange]:
    """Other accuracies, sensitivities and specificities with which a row would fit."""
    for target in targets:
        for metric, admissible in (
            ("acc", _accuracy(row, target)),
            ("sen", _rate(row["acc"].box, row["spe"].box, target)),
            ("spe", _rate(row["acc"].box, row["sen"].box, _complement(target))),
        ):
            half = row[metric].half
            for cell in row.printed_as(metric):
                yield CellChange(cell, Interval(admissible.low - half, admissible.high + half))


def _accuracy(row: PrintedRow, target: Interval) -> Interval:
    """The true accuracies that a row's sensitivity and specificity allow for p in `target`."""
    sen, spe = row["sen"].box, row["spe"].box
    return Interval(
        min(p * sen.low + (1 - p) * spe.low for p in target),
        max(p * sen.high + (1 - p) * spe.high for p in target),
    )


def _rate(acc: Interval, other: Interval, weight: Interval) -> Interval:
    """The rate with a weight in `weight` that makes `acc` out of it and the other rate.

    The bounds are monotone in the weight, so the ends of its interval give the extremes; towards a
    weight of zero they grow without limit, or fade away where the other rate is too far off.
    """
    lows = [(acc.low - other.high) / w + other.high for w in weight if w]
    highs = [(acc.high - other.low) / w + other.low for w in weight if w]
    if weight.low == 0 and acc.low <= other.high:
        lows.append(PERCENT.low)
    if weight.low == 0 and acc.high >= other.low:
        highs.append(PERCENT.high)
    return Interval(min(lows, default=PERCENT.high), max(highs, default=PERCENT.low))


def _complement(share: Interval) -> Interval:
    return Interval(1 - share.high, 1 - share.low)


def _accuracies(row: PrintedRow, target: Interval) -> str:
    box = _accuracy(row, target)
    acc = row["acc"]
    ends = acc.within(Interval(box.low - acc.half, box.high + acc.half))
    assert ends is not None  # the interval is wider than a unit
    return ends[0].text if ends[0] == ends[1] else f"{ends[0].text} to {ends[1].text}"


def _distance(row: PrintedRow, target: Interval) -> Fraction:
    """How far the printed accuracy is from the nearest that would fit, in points."""
    box = _accuracy(row, target)
    acc = row["acc"]
    ends = acc.within(Interval(box.low - acc.half, box.high + acc.half))
    assert ends is not None  # the interval is wider than a unit
    return max(ends[0].value - acc.value, acc.value - ends[1].value, Fraction(0))


def _range(interval: Interval) -> str:
    low, high = (show(end, 3) for end in interval)
    return low if low == high else f"{low} to {high}"
