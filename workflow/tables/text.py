"""How the content of a table reads: cells, stub and footnotes as plain text, for every format."""

import math
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from workflow.base.wording import UNKNOWN, table_name
from workflow.config.metrics import FACTS, METRICS
from workflow.config.notices import seeds_text
from workflow.metrics.statistics import Standing
from workflow.results.result_cells import Mark, ResultCell
from workflow.tables.content import ComparedSet, FactCell, ReportTable, TableRow

MINUS = "\N{MINUS SIGN}"
ALIKE = "\N{ALMOST EQUAL TO}"
BELOW = "below control"
NO_DIFFERENCES = "no significant differences (too few seeds or volumes)"
NOT_TESTED = "not tested: a test takes two seeds in common"
# Facts of training runs have units of many sizes: this many digits say enough of each.
DIGITS = 3


class Shown(NamedTuple):
    """A cell in words.

    Attributes:
        text: this run's value, or why there is none.
        spread: SD over seeds, or empty.
        place: its rank in a table of rules, or empty.
        remark: how many of the expected seeds gave a number, where not all did; and that a
            control does as well.
        detail: which seeds did not, and why.
        printed: the paper's number, or empty.
        difference: this run minus paper with its sign, or empty where they are not comparable.
        mark: best or second best.
        alike: whether the tests leave open that it is the best, which it is not.
    """

    text: str
    spread: str = ""
    place: str = ""
    remark: str = ""
    detail: str = ""
    printed: str = ""
    difference: str = ""
    mark: Mark | None = None
    alike: bool = False


class LaidRow(NamedTuple):
    """A row and what stands left of it: repeated groups and titles are shown once."""

    group: str | None
    title: str
    span: int
    row: TableRow


WORDS = {
    "undefined": "undefined",
    "missing": "missing",
    "failed": "failed",
    "not_done": "-",
    "not_run": "not run",
}


def show(cell: ResultCell | FactCell, table: ReportTable) -> Shown:
    """A cell of a table in words, with the table's number of decimals."""
    return show_cell(cell, table.decimals, table.comparable)


def show_cell(cell: ResultCell | FactCell, places: int, comparable: bool) -> Shown:
    """A cell in words; its difference from the printed value only if they are `comparable`."""
    if isinstance(cell, FactCell):
        return Shown(cell.text, printed=cell.printed or "")
    fact = cell.metric in FACTS
    places = decimals(cell.mean) if fact and cell.mean is not None else places_of(cell, places)
    incomplete = cell.missing or cell.undefined
    remarks = [f"{len(cell.values)} of {cell.expected}"] if incomplete else []
    remarks += [BELOW] if cell.below else []
    text = UNKNOWN if fact and cell.state == "undefined" else WORDS.get(cell.state)
    return Shown(
        text=text or f"{cell.mean:.{places}f}",
        # What no seed can change, such as a number of parameters, has no spread to show.
        spread="" if cell.sd is None or (fact and not cell.sd) else f"{cell.sd:.{places}f}",
        place="" if cell.place is None else str(cell.place),
        remark=", ".join(remarks),
        detail=_incomplete(cell),
        printed=cell.printed or "",
        difference=signed(cell.difference, places) if comparable else "",
        mark=cell.mark,
        alike=cell.alike,
    )


def places_of(cell: ResultCell, places: int) -> int:
    """With how many decimals a metric is shown: its own number of them, or else the table's."""
    entry = METRICS.get(cell.metric)
    return places if entry is None or entry.decimals is None else entry.decimals


def decimals(value: float) -> int:
    """With how many decimals a value has three digits."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return max(DIGITS - 1 - size, 0)


def signed(value: float | None, places: int) -> str:
    """A difference with its sign, typographic minus; zero after rounding has none."""
    if value is None:
        return ""
    rounded = f"{abs(value):.{places}f}"
    if float(rounded) == 0:
        return rounded
    return f"{'+' if value > 0 else MINUS}{rounded}"


def lay_out(table: ReportTable) -> Iterator[LaidRow]:
    """The rows with group headings and row spans; a span of 0 continues the title above."""
    for group, members in groupby(table.rows, key=lambda row: row.group):
        heading = group
        for title, rows in groupby(members, key=lambda row: row.title):
            block = list(rows)
            for index, row in enumerate(block):
                if "Machine" not in table.stub:  # without it each row stands for itself
                    yield LaidRow(heading, title, 1, row)
                else:
                    yield LaidRow(heading, title, len(block) if index == 0 else 0, row)
                heading = None


def number_text(table: ReportTable) -> str:
    """What a table is called."""
    return table_name(table.key)


def marked(table: ReportTable) -> bool:
    """Whether any cell is marked as best or second best."""
    return any(cell.mark for cell in table.result_cells)


def footnotes(table: ReportTable) -> list[str]:
    """What the reader needs below a table, marks aside: numbers, words and the preset."""
    cells = table.result_cells
    states = {cell.state for cell in cells}
    lines = [_meaning(table)]
    if any(cell.alike for cell in cells):
        alpha = f"{100 * (1 - table.level):.3g} %"
        lines.append(
            f"{ALIKE}: not significantly different from the best of its column, by differences "
            f"paired by group and seed, tested at {alpha} with Holm's correction over the whole "
            "table."
        )
    lines += unresolved(table)
    if untested(table):
        lines.append(f"{NOT_TESTED.capitalize()}, and some methods here have fewer.")
    if any(cell.below for cell in cells):
        lines.append(
            f"{BELOW}: a control that knows nothing of the images scores as well (by DSC, or by "
            "Youden index, sensitivity + specificity − 100); such a number is not marked, tested "
            "or judged."
        )
    if any(cell.missing or cell.undefined for cell in cells):
        lines.append("k of n: only k of the n expected seeds gave a number.")
    if "not_done" in states:
        elsewhere = "" if table.kind == "results" else ", or no other table has it on this data set"
        lines.append(f"-: the method does not do this task{elsewhere}.")
    if any(cell.failed for cell in cells):
        lines.append("failed: training or evaluation came to numbers that are not finite.")
    if "not_run" in states:
        lines.append("not run: left out by this run's configuration.")
    return [*lines, *table.notes, f"Preset: {table.preset}."]


def unresolved(table: ReportTable) -> list[str]:
    """Where no two methods differ significantly, in a sentence; nothing where there is no test."""
    tested = [one for one in table.sets if one.resolvable is not None]
    alike = [one for one in tested if not one.resolvable]
    if not alike:
        return []
    if alike == tested:
        return [f"{NO_DIFFERENCES.capitalize()} in any column."]
    columns = [
        f"{heading} {', '.join(one.title for one in members)}".strip()
        for heading, members in groupby(alike, key=lambda one: one.heading)
    ]
    return [f"{NO_DIFFERENCES.capitalize()}: {'; '.join(columns)}."]


def untested(table: ReportTable) -> bool:
    """Whether methods of some column are compared, and could not be tested for lack of seeds."""
    return any(
        one.resolvable is None and any(standing_of(table, one, row) for row in one.rows)
        for one in table.sets
    )


def standing_of(table: ReportTable, one: ComparedSet, row: int) -> Standing | None:
    """Where a row of a compared set stands in it."""
    cell = table.rows[row].cells[one.column]
    return cell.standing if isinstance(cell, ResultCell) else None


def _meaning(table: ReportTable) -> str:
    printed = any(cell.printed for row in table.rows for cell in row.cells)
    beside = "; the value printed in the paper stands in brackets." if printed else "."
    if table.kind == "datasets":
        return f"Counted from the prepared data; training includes validation{beside}"
    # Elsewhere the titles of the columns name the units.
    over, unit = seeds_text(table.seeds), ", per cent" if table.units == {"%"} else ""
    if len(table.seeds) == 1:
        return f"Of {over}{unit}; one seed has no spread{beside}"
    return f"Mean ± SD over {over}{unit}{beside}"


def _incomplete(cell: ResultCell) -> str:
    parts = []
    if cell.failed:
        parts.append(f"{seeds_text(cell.failed)} failed")
    if missing := [seed for seed in cell.missing if seed not in cell.failed]:
        parts.append(f"{seeds_text(missing)} missing")
    if cell.undefined:
        parts.append(f"{seeds_text(cell.undefined)} undefined")
    if cell.below:
        parts.append(cell.below)
    return "; ".join(parts)
