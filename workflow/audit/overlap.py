"""Segmentation: JI <= DSC <= 2·JI / (1 + JI) for every average over images, classes or runs.

Of one mask, DSC = 2·JI / (1 + JI), a concave function: a mean of DSC lies below the function of the
mean JI (Jensen's inequality), and above the mean JI. How far below tells what was averaged: pooled
pixels leave no gap, and the gap confines the spread of the JI that were averaged.
"""

import math
from collections.abc import Iterator
from fractions import Fraction

from workflow.audit.cells import OVERLAP, PrintedRow, gather_rows
from workflow.audit.findings import IMPOSSIBLE, CellChange, Inference, Problem
from workflow.audit.paper import Paper
from workflow.audit.rounding import PERCENT, Interval, Printed, show


def pooled_dsc(ji: Fraction) -> Fraction:
    """The DSC of one mask, or of pooled pixels, with this JI; both in per cent."""
    return 200 * ji / (100 + ji)


def pooled_ji(dsc: Fraction) -> Fraction:
    """The JI of one mask with this DSC; both in per cent."""
    return 100 * dsc / (200 - dsc)


def pooling_gap(ji: Printed, dsc: Printed) -> Interval:
    """How far the true DSC may lie below that of pooled pixels, in points; below 0 is above it."""
    return Interval(
        pooled_dsc(_box(ji).low) - _box(dsc).high, pooled_dsc(_box(ji).high) - _box(dsc).low
    )


def ji_spread(ji: Printed, dsc: Printed) -> Interval:
    """Bounds on the variance of the JI that were averaged, in points², from the gap to pooling.

    With m their mean, the gap is the mean of 2·(JI - m)² / ((1 + JI)·(1 + m)²), up to a term that
    is linear in JI - m and so vanishes; and 1 <= 1 + JI <= 2.
    """
    box, gap = _box(ji), pooling_gap(ji, dsc)
    low, high = max(gap.low, Fraction(0)), max(gap.high, Fraction(0))
    return Interval(50 * low * (1 + box.low / 100) ** 2, 100 * high * (1 + box.high / 100) ** 2)


def check_overlap(paper: Paper) -> Iterator[Problem]:
    """Rows whose DSC is below their JI, or above what that JI allows."""
    for group in gather_rows(paper.cells, "segmentation", OVERLAP).values():
        for row in group:
            ji, dsc = row["ji"], row["dsc"]
            if _box(dsc).high < _box(ji).low:
                text = f"dsc {dsc.text} is below ji {ji.text}, which no average can be."
                yield _problem(row, ji.value - dsc.value, text)
            elif pooling_gap(ji, dsc).high < 0:
                most = pooled_dsc(ji.value)
                text = (
                    f"dsc {dsc.text} is above 2·JI / (1 + JI) = {show(most, 2)} of ji {ji.text}, "
                    "which no average can be."
                )
                yield _problem(row, dsc.value - most, text)


def infer_averaging(paper: Paper) -> Iterator[Inference]:
    """Whether pixels can have been pooled, for each test set."""
    for dataset, group in gather_rows(paper.cells, "segmentation", OVERLAP).items():
        gaps = {row: pooling_gap(row["ji"], row["dsc"]) for row in group}
        sound = {row: gap for row, gap in gaps.items() if gap.high >= 0}
        apart = {row: gap for row, gap in sound.items() if gap.low > 0}
        if not sound:
            continue
        if not apart:
            text = f"All {len(sound)} rows have DSC = 2·JI / (1 + JI): pixels may be pooled."
        else:
            points = [pooled_dsc(row["ji"].value) - row["dsc"].value for row in apart]
            spreads = [ji_spread(row["ji"], row["dsc"]) for row in apart]
            least = math.sqrt(min(spread.low for spread in spreads))
            most = math.sqrt(max(spread.high for spread in spreads))
            which = "all" if len(apart) == len(sound) else f"{len(apart)} of"
            text = (
                f"Pooled pixels are impossible in {which} {len(sound)} rows: DSC lies "
                f"{show(min(points), 1)} to {show(max(points), 1)} below 2·JI / (1 + JI). The JI "
                f"that were averaged have a standard deviation of at least {least:.0f} and at most "
                f"{most:.0f} points."
            )
            if len(apart) < len(sound):
                rest = ", ".join(row.method for row in sound if row not in apart)
                text += f" The others allow pooling: {rest}."
        yield Inference("averaging", dataset, text)


def _box(number: Printed) -> Interval:
    """The true values of a percentage; rows out of range never come here."""
    box = number.box.common(PERCENT)
    assert box is not None
    return box


def _problem(row: PrintedRow, amount: Fraction, text: str) -> Problem:
    def suggest() -> Iterator[CellChange]:
        ji, dsc = row["ji"], row["dsc"]
        dsc_range = Interval(_box(ji).low - dsc.half, pooled_dsc(_box(ji).high) + dsc.half)
        ji_range = Interval(pooled_ji(_box(dsc).low) - ji.half, _box(dsc).high + ji.half)
        for metric, interval in (("dsc", dsc_range), ("ji", ji_range)):
            for cell in row.printed_as(metric):
                yield CellChange(cell, interval)

    return Problem(
        kind="overlap",
        severity=IMPOSSIBLE,
        cells=row.printed_as("dsc"),
        amount=amount,
        text=f"{row.name}: {text}",
        atoms=frozenset(("overlap", row.dataset, row.method, table) for table in row.tables),
        suggest=suggest,
    )
