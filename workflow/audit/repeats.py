"""Two rules on single cells: a percentage has limits, and a run has one result in every table."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from workflow.audit.cells import CLASSIFICATION, DATA, OVERLAP, PrintedCell
from workflow.audit.findings import (
    IMPOSSIBLE,
    INCONSISTENT,
    CellChange,
    Problem,
)
from workflow.audit.paper import Paper
from workflow.audit.rounding import PERCENT, Interval, agree


def check_ranges(paper: Paper) -> Iterator[Problem]:
    """Percentages outside 0 to 100."""
    for cell in paper.cells:
        if cell.metric in (*CLASSIFICATION, *OVERLAP) and not PERCENT.holds(cell.number.value):
            value = cell.number.value
            yield Problem(
                kind="range",
                severity=IMPOSSIBLE,
                cells=(cell,),
                amount=max(value - 100, -value),
                text=f"{cell.metric} {cell.text} is no percentage.",
                atoms=frozenset({("range", cell.table, cell.dataset, cell.method, cell.metric)}),
            )


def check_repeats(paper: Paper) -> Iterator[Problem]:
    """Cells of one data set, method and metric that several tables print with unequal values."""
    groups: dict[tuple[str, ...], list[PrintedCell]] = {}
    for cell in paper.cells:
        if cell.task != DATA:
            key = (cell.dataset, cell.method, cell.task, cell.metric)
            groups.setdefault(key, []).append(cell)
    for key, cells in groups.items():
        if len({cell.text for cell in cells}) > 1 and not _all_agree(cells):
            yield _unequal(key, cells)


def _all_agree(cells: list[PrintedCell]) -> bool:
    return all(
        agree(one.number, other.number) for k, one in enumerate(cells) for other in cells[:k]
    )


def _unequal(key: tuple[str, ...], cells: list[PrintedCell]) -> Problem:
    values = [cell.number.value for cell in cells]
    usual, times = Counter(cell.text for cell in cells).most_common(1)[0]
    # The odd one comes first, where most tables agree.
    ordered = tuple(sorted(cells, key=lambda cell: times > 1 and cell.text == usual))

    def suggest() -> Iterator[CellChange]:
        for cell in ordered:
            for value in dict.fromkeys(Fraction(v) for v in values if v != cell.number.value):
                yield CellChange(cell, Interval(value, value))

    listed = ", ".join(f"{cell.text} in Table {cell.table}" for cell in cells)
    return Problem(
        kind="repeat",
        severity=INCONSISTENT,
        cells=ordered,
        amount=max(values) - min(values),
        text=f"The same {key[-1]} is printed with unequal values: {listed}.",
        atoms=frozenset({("repeat", *key)}),
        suggest=suggest,
    )
