"""The printed cells: read from CSV, found again, and gathered into the rows that rules work on."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workflow.audit.record import sizes
from workflow.audit.rounding import PERCENT, AuditError, Printed, printed

COLUMNS = ("table", "dataset", "method", "task", "metric", "value")
TASKS = ("classification", "segmentation")
# What the metrics of the rules are called; others (AUC, ...) serve claims and repeats only.
CLASSIFICATION = ("acc", "sen", "spe")
OVERLAP = ("ji", "dsc")
# The task of cells that describe a data set, as Table I does, and what those cells are.
DATA = "data"
FACTS = ("volumes", "image_size", "training", "testing")


@dataclass(frozen=True, slots=True)
class PrintedCell:
    """One printed cell."""

    table: str
    dataset: str
    method: str
    task: str
    metric: str
    text: str

    @property
    def number(self) -> Printed:
        """The cell's number; an image size has none."""
        return printed(self.text)

    @property
    def place(self) -> str:
        """Where the cell stands, in words."""
        parts = [f"Table {self.table}", self.dataset, self.method, self.metric]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A method's cells for one test set and task, from all tables that print the same numbers."""

    dataset: str
    method: str
    cells: tuple[PrintedCell, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that print this row, in the order of the file."""
        return tuple(dict.fromkeys(cell.table for cell in self.cells))

    @property
    def name(self) -> str:
        """The row in words."""
        word = "Table" if len(self.tables) == 1 else "Tables"
        return f"{self.method} ({word} {', '.join(self.tables)})"

    def __getitem__(self, metric: str) -> Printed:
        return next(cell.number for cell in self.cells if cell.metric == metric)

    def printed_as(self, metric: str) -> tuple[PrintedCell, ...]:
        """The cells that print a metric: one per table."""
        return tuple(cell for cell in self.cells if cell.metric == metric)


def gather_rows(
    cells: Iterable[PrintedCell], task: str, metrics: tuple[str, ...]
) -> dict[str, list[PrintedRow]]:
    """Data set -> its rows that have all of `metrics`, as percentages.

    Rows that several tables repeat with the same numbers are one row; rows of one method with
    unequal numbers stay apart, because either may be the wrong one.
    """
    found: dict[tuple[str, str, str], dict[str, PrintedCell]] = {}
    for cell in cells:
        if cell.task == task and cell.metric in metrics and PERCENT.holds(cell.number.value):
            found.setdefault((cell.table, cell.dataset, cell.method), {})[cell.metric] = cell
    merged: dict[tuple[str, ...], list[PrintedCell]] = {}
    for (_, dataset, method), group in found.items():
        if len(group) == len(metrics):
            key = (dataset, method, *(group[metric].text for metric in metrics))
            merged.setdefault(key, []).extend(group[metric] for metric in metrics)
    result: dict[str, list[PrintedRow]] = {}
    for (dataset, method, *_), group in merged.items():
        result.setdefault(dataset, []).append(PrintedRow(dataset, method, tuple(group)))
    return result


def read_tables(path: Path) -> tuple[PrintedCell, ...]:
    """Read result tables: one printed number a line, in per cent; blank or `-` is no number.

    Raises:
        AuditError: the file or a line of it cannot be used.
    """
    cells: dict[tuple[str, ...], tuple[int, PrintedCell]] = {}
    for line, row in _lines(path, COLUMNS):
        text = row.pop("value").strip()
        if text in {"", "-", "–"}:
            continue
        cell = PrintedCell(**{name: row[name].strip() for name in COLUMNS[:-1]}, text=text)
        if cell.task not in TASKS:
            raise AuditError(
                f"{path}, line {line}: task {cell.task!r}; expected one of {', '.join(TASKS)}"
            )
        _number(text, path, line, "value")
        key = (cell.table, cell.dataset, cell.method, cell.task, cell.metric)
        if key in cells:
            raise AuditError(
                f"{path}, line {line}: {cell.place} stands in line {cells[key][0]} already; a "
                "table prints a cell once, so give one of them its own table, data set or method"
            )
        cells[key] = (line, cell)
    if not cells:
        raise AuditError(f"{path}: found no printed number; expected one a line")
    found = tuple(cell for _, cell in cells.values())
    shares = [cell for cell in found if cell.metric in (*CLASSIFICATION, *OVERLAP)]
    if shares and all(cell.number.value <= 1 for cell in shares):
        raise AuditError(f"{path}: no value is above 1; give the numbers in per cent")
    return found


def read_facts(path: Path) -> tuple[PrintedCell, ...]:
    """Read a printed summary of data sets: column dataset and any of `FACTS`; table is I if absent.

    Raises:
        AuditError: the file or a line of it cannot be used.
    """
    cells: list[PrintedCell] = []
    for line, row in _lines(path, ("dataset",)):
        for fact in FACTS:
            text = (row.get(fact) or "").strip()
            if not text:
                continue
            if not (sizes(text) if fact == "image_size" else text.isdecimal()):
                expected = "a size as 640×480" if fact == "image_size" else "a whole number"
                raise AuditError(f"{path}, line {line}: {fact} {text!r}; expected {expected}")
            cells.append(
                PrintedCell(row.get("table", "I"), row["dataset"].strip(), "", DATA, fact, text)
            )
    places = [(cell.dataset, cell.metric) for cell in cells]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise AuditError(f"{path}: {twice[1]} of {twice[0]} stands there twice; keep one")
    if not cells:
        raise AuditError(f"{path}: found no fact; expected columns dataset and {', '.join(FACTS)}")
    return tuple(cells)


def _number(text: str, path: Path, line: int, column: str) -> None:
    try:
        printed(text)
    except AuditError as error:
        raise AuditError(f"{path}, line {line}: {column}: {error}") from error


def _lines(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV with their numbers, after a look at its header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    reader = csv.DictReader(io.StringIO(text))
    header = reader.fieldnames or ()
    missing = [name for name in required if name not in header]
    if missing:
        raise AuditError(
            f"{path}: columns {', '.join(missing)} are missing; found {', '.join(header) or 'none'}"
        )
    for row in reader:
        if None in row or None in row.values():
            raise AuditError(
                f"{path}, line {reader.line_num}: expected {len(header)} fields, as the header has"
            )
        yield reader.line_num, row
