"""What a table holds, before any format: cells, rows, the sets of cells that are compared."""

from dataclasses import dataclass
from typing import Literal

from workflow.config.metrics import METRICS, TableKind, Unit
from workflow.results.result_cells import ResultCell


@dataclass(frozen=True)
class FactCell:
    """One fact that no seed gave, beside the printed one; with its number where it is one."""

    fact: str
    text: str
    printed: str | None = None
    value: float | None = None


@dataclass(frozen=True)
class ColumnSpan:
    """Columns under one title; an empty title stands for no title row."""

    title: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        group: heads this row and those below it.
        machine: the data set's title where it varies by row.
        setup: recipe and initial weights of its methods; None in a summary of data sets.
        control: whether it stands at the foot, to be compared with by eye alone.
    """

    title: str
    group: str | None
    machine: str | None
    dataset: str | None
    cells: tuple[ResultCell | FactCell, ...]
    setup: str | None = None
    control: bool = False

    @property
    def stub(self) -> tuple[str, ...]:
        """What stands between the row's title and its cells."""
        return tuple(text for text in (self.machine, self.setup) if text is not None)


@dataclass(frozen=True)
class ComparedSet:
    """Cells of one column that are compared with each other, two of which have a value.

    Attributes:
        heading: what stands above and left of them: group, data set, column group.
        title: the title of their column.
        rows: the rows in which they stand.
        resolvable: whether the tests tell any two of them apart; None where there is no test.
        told_apart: the pairs of methods, (better, worse), that the tests tell apart.
        family: how many tests the table has; 0 where these cells are not tested.
        first_step: the true difference in points that a pair of these must have, in the median, to
            be found as the first of all tests of the table; None where none can be found.
    """

    heading: str
    title: str
    column: int
    rows: tuple[int, ...]
    resolvable: bool | None = None
    told_apart: frozenset[tuple[str, str]] = frozenset()
    family: int = 0
    first_step: float | None = None


@dataclass(frozen=True)
class ReportTable:
    """A whole table, ready for any format.

    Attributes:
        sets: what is compared with each other; none where nothing is marked.
        notes: what is to be said of this table alone, below it.
        level: the level of its intervals; its tests are at 1 - level.
        power: the power of its tests at the smallest detectable difference.
        comparable: whether this run's numbers may be set against the printed ones.
    """

    key: str
    kind: TableKind
    caption: str
    stub: tuple[str, ...]
    spans: tuple[ColumnSpan, ...]
    rows: tuple[TableRow, ...]
    mark: Literal["color", "bold"] | None
    notices: tuple[str, ...]
    preset: str
    seeds: tuple[int, ...]
    decimals: int
    level: float
    power: float
    comparable: bool
    sets: tuple[ComparedSet, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Number of columns, the stub (method, machine) included."""
        return len(self.stub) + sum(len(span.columns) for span in self.spans)

    @property
    def result_cells(self) -> list[ResultCell]:
        """The cells that hold results, row by row."""
        return [cell for row in self.rows for cell in row.cells if isinstance(cell, ResultCell)]

    @property
    def units(self) -> set[Unit]:
        """The units of its metrics; facts of runs and of data sets have theirs in the titles."""
        return {METRICS[c.metric].unit for c in self.result_cells if c.metric in METRICS}
