"""How the content of a table reads: cells, stub and footnotes as plain text, for every format."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from workflow.reporting.notices import seeds_text
from workflow.reporting.tables import FactCell, Mark, ReportTable, ResultCell, TableRow

MINUS = "\N{MINUS SIGN}"


class Shown(NamedTuple):
    """A cell in words.

    Attributes:
        text: our value, or why there is none.
        spread: SD over seeds, or empty.
        remark: how many of the expected seeds gave a number, where not all did.
        detail: which seeds did not, and why.
        printed: the paper's number, or empty.
        difference: ours minus printed with its sign, or empty where they are not comparable.
        mark: best or second best.
    """

    text: str
    spread: str = ""
    remark: str = ""
    detail: str = ""
    printed: str = ""
    difference: str = ""
    mark: Mark | None = None


class LaidRow(NamedTuple):
    """A row and what stands left of it: repeated groups and titles are shown once."""

    group: str | None
    title: str
    span: int
    row: TableRow


WORDS = {"undefined": "undefined", "missing": "missing", "not_done": "-", "not_run": "not run"}


def show(cell: ResultCell | FactCell, table: ReportTable) -> Shown:
    """A cell of a table in words, with the table's number of decimals."""
    return show_cell(cell, table.decimals, table.comparable)


def show_cell(cell: ResultCell | FactCell, places: int, comparable: bool) -> Shown:
    """A cell in words; its difference from the printed value only if they are `comparable`."""
    if isinstance(cell, FactCell):
        return Shown(cell.text, printed=cell.printed or "")
    return Shown(
        text=WORDS.get(cell.state) or f"{cell.mean:.{places}f}",
        spread="" if cell.sd is None else f"{cell.sd:.{places}f}",
        remark=f"{len(cell.values)} of {cell.expected}" if cell.missing or cell.undefined else "",
        detail=_incomplete(cell),
        printed=cell.printed or "",
        difference=signed(cell.difference, places) if comparable else "",
        mark=cell.mark,
    )


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


def table_name(key: str) -> str:
    """`Table II`, or the name of a table that the paper does not have: `Controls`."""
    numbered = re.fullmatch("[IVXLC]+", key)
    return f"Table {key}" if numbered else key.replace("_", " ").capitalize()


def number_text(table: ReportTable) -> str:
    """What a table is called."""
    return table_name(table.key)


def marked(table: ReportTable) -> bool:
    """Whether any cell is marked as best or second best."""
    return any(show(cell, table).mark for row in table.rows for cell in row.cells)


def footnotes(table: ReportTable) -> list[str]:
    """What the reader needs below a table, marks aside: numbers, words and the preset."""
    cells = [cell for row in table.rows for cell in row.cells]
    states = {cell.state for cell in cells if isinstance(cell, ResultCell)}
    lines = [_meaning(table)]
    if any(show(cell, table).remark for cell in cells):
        lines.append("k of n: only k of the n expected seeds gave a number.")
    if "not_done" in states:
        lines.append("-: the method does not do this task.")
    if "not_run" in states:
        lines.append("not run: left out by this run's configuration.")
    lines.append(f"Preset: {table.preset}.")
    return lines


def _meaning(table: ReportTable) -> str:
    printed = any(cell.printed for row in table.rows for cell in row.cells)
    beside = "; the value printed in the paper stands in brackets." if printed else "."
    if not table.seeds:
        return f"Counted from the prepared data; training includes validation{beside}"
    over = seeds_text(table.seeds)
    if len(table.seeds) == 1:
        return f"Per cent, {over}; one seed has no spread{beside}"
    return f"Mean ± SD over {over}, per cent{beside}"


def _incomplete(cell: ResultCell) -> str:
    parts = []
    if cell.missing:
        parts.append(f"{seeds_text(cell.missing)} missing")
    if cell.undefined:
        parts.append(f"{seeds_text(cell.undefined)} undefined")
    return "; ".join(parts)
