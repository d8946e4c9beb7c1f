"""What the report's table pages can show of a cell: ours, printed, their difference, the interval.

The table files show ours with the printed value below it. A page holds all four, and lets the
reader choose; each has its own number to sort by, and its own marks.
"""

from collections.abc import Mapping
from typing import NamedTuple

from workflow.config.sections import Table
from workflow.metrics.intervals import NOT_ESTIMABLE
from workflow.results.result_cells import Mark, ResultCell
from workflow.tables.build import MARKS
from workflow.tables.comparisons import compared_sets, direction, ranked
from workflow.tables.content import FactCell, ReportTable
from workflow.tables.text import places_of, show

# (row, column) -> mark, both from 0
Marks = Mapping[tuple[int, int], Mark]


class View(NamedTuple):
    """One way to show a table: its key, the name of its button, and what it shows, in words."""

    key: str
    title: str
    note: str


def views(table: ReportTable) -> list[View]:
    """The ways to show a table; those that no cell has anything for are left out."""
    words = [show(cell, table) for row in table.rows for cell in row.cells]
    by = " Best and second best by our means." if table.mark == "color" else ""
    by = by or (" Best by our means." if table.mark == "bold" else "")
    printed = by.replace("our means", "the printed values")
    spread = "" if table.kind == "datasets" else ", mean ± SD over seeds"
    found = [View("all", "Side by side", f"Ours, and below it the printed value in brackets.{by}")]
    found.append(View("ours", "Ours", f"Ours{spread}.{by}"))
    if any(said.printed for said in words):
        found.append(View("printed", "Printed", f"As the paper prints it.{printed}"))
    if any(said.difference for said in words):
        note = "Ours less the printed value, in percentage points; nothing is marked."
        found.append(View("difference", "Difference", note))
    if any(interval(cell, table) for row in table.rows for cell in row.cells):
        level = f"{100 * table.level:.3g} % interval"
        note = f"{level} of our mean, over seeds and groups; sorted by its lower end.{by}"
        found.append(View("interval", "Interval", note))
    return found


def interval(cell: ResultCell | FactCell, table: ReportTable) -> str:
    """The interval of a cell's mean, as `60.1 to 64.9`; empty where there is none.

    One that leaves nothing out is `not estimable`.
    """
    if isinstance(cell, FactCell) or (estimate := cell.estimate) is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return ""
    if not estimate.estimable:
        return NOT_ESTIMABLE
    places = places_of(cell, table.decimals)
    return f"{estimate.low:.{places}f} to {estimate.high:.{places}f}"


def sort_numbers(cell: ResultCell | FactCell, table: ReportTable) -> dict[str, float]:
    """View -> the number that a cell is sorted by in it, unrounded; without those it lacks."""
    low = None
    if isinstance(cell, FactCell):
        ours, difference = cell.value, None
    else:
        ours, difference = cell.mean, cell.difference if table.comparable else None
        low = cell.estimate.low if cell.estimate else None
    numbers = {"ours": ours, "printed": _number(cell), "difference": difference, "interval": low}
    return {name: value for name, value in numbers.items() if value is not None}


def printed_marks(table: ReportTable, definition: Table) -> Marks:
    """Which printed values are best and second best, compared as the table compares ours."""
    columns = [(span.title, title) for span in table.spans for title in span.columns]
    names = MARKS.get(definition.mark, ())
    found: dict[tuple[int, int], Mark] = {}
    for one in compared_sets(table.rows, columns, definition, value=_number):
        numbers = {row: _number(table.rows[row].cells[one.column]) for row in one.rows}
        known = {row: number for row, number in numbers.items() if number is not None}
        ranks = ranked(known, direction(table.rows, one))
        found |= {(row, one.column): names[r] for row, r in ranks.items() if r < len(names)}
    return found


def _number(cell: ResultCell | FactCell) -> float | None:
    """The printed value as a number; None where it is none."""
    try:
        return float(cell.printed or "")
    except ValueError:
        return None
