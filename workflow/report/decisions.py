"""The decisions of docs/fidelity.md for the report: the tables of the document, read as data.

The document is written for people, and its tables are the structured part of it. Its prose is shown
as it stands.
"""

import re
from pathlib import Path
from typing import NamedTuple

from workflow.base.errors import DataError

# The column that says what a choice rests on, and the words of one that rests on nothing printed.
AUTHORITY = "authority"
OPEN = r"\b(decision|inferred)\b"
DOCUMENT = Path(__file__).parents[2] / "docs" / "fidelity.md"


class DecisionTable(NamedTuple):
    """A table of the document, under the heading that it stands below."""

    heading: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def open_rows(self) -> list[int]:
        """The rows, from 0, whose authority is a decision: the sources leave the choice open."""
        if AUTHORITY not in self.columns:
            return []
        at = self.columns.index(AUTHORITY)
        return [i for i, row in enumerate(self.rows) if re.search(OPEN, row[at])]


def decision_tables(document: str, name: str = DOCUMENT.name) -> list[DecisionTable]:
    """The tables of a Markdown document; the cells are text as written, but links are their titles.

    Raises:
        DataError: a row has other than the header's number of cells.
    """
    tables: list[DecisionTable] = []
    heading, inside = "", False
    for number, line in enumerate(document.splitlines(), start=1):
        if not line.startswith("|"):
            inside = False
            if line.startswith("#"):
                heading = line.lstrip("# ")
            continue
        cells = tuple(_plain(cell) for cell in line.strip().strip("|").split("|"))
        if not inside:
            tables.append(DecisionTable(heading, cells, []))
            inside = True
        elif len(cells) != len(tables[-1].columns):
            raise DataError(
                f"{name}, line {number}: found {len(cells)} cells, expected "
                f"{len(tables[-1].columns)} as in the table's header; mend the row"
            )
        elif set("".join(cells)) != {"-"}:  # the rule below the header
            tables[-1].rows.append(cells)
    return tables


def _plain(cell: str) -> str:
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", cell.strip())
