"""What a table holds, before any format: cells, rows, the sets of cells that are compared."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workflow.cells import Run
from workflow.config_sections import TableKind
from workflow.evaluation.intervals import Difference, Estimate
from workflow.evaluation.statistics import Standing, Verdict

Mark = Literal["best", "second"]
State = Literal["value", "undefined", "missing", "failed", "not_done", "not_run"]


@dataclass(frozen=True)
class Versus:
    """A cell and the best other cell of its compared set.

    Attributes:
        method: the other one's.
        difference: this one less the other, on common groups and seeds; None without common seeds.
        p: of the difference, corrected for all tests of the table; None where there is no test.
    """

    method: str
    difference: Difference | None
    p: float | None


@dataclass(frozen=True)
class ResultCell:
    """One number of a table and what it rests on.

    Attributes:
        run: the (data set, method) behind it; None where the table has no such combination.
        metric: ji, dsc, acc, sen, spe or auc, per cent; or a fact of a training run.
        state: `value`; `undefined` if no seed gave a number although some were evaluated;
            `missing` if no seed gave a result, `failed` if all failed; `not_done` if the method
            does not do the task, or is in no table of results with this data set; `not_run` if the
            configuration's `select` leaves it out.
        values: seed -> value of the seeds that gave a number.
        missing: expected seeds without a result.
        failed: those of them whose run failed.
        undefined: seeds that were evaluated but whose metric is undefined.
        spread_ddof: n minus this is the denominator of the variance.
        printed: the paper's number as printed; None if it prints none here.
        facet: the lesion, label or rule that the number is of; None for the metric as configured.
        estimate: the mean with its interval; None where there is none.
        groups: how many groups (volumes, images) the interval rests on.
        verdict: on the printed number; `demo` on phantom data; None where nothing is printed.
        mark: best or second best of the cells it is compared with, by its mean.
        standing: where the tests leave it among them; None where there is no test.
        versus: the comparison with the best other cell among them.
        place: its rank in its column by its mean, in a table of rules.
    """

    run: Run | None
    metric: str
    state: State
    values: Mapping[int, float]
    missing: tuple[int, ...] = ()
    undefined: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    spread_ddof: int = 1
    printed: str | None = None
    facet: str | None = None
    estimate: Estimate | None = None
    groups: int | None = None
    verdict: Verdict | Literal["demo"] | None = None
    mark: Mark | None = None
    standing: Standing | None = None
    versus: Versus | None = None
    place: int | None = None

    @property
    def expected(self) -> int:
        """How many seeds the configuration asks for."""
        return len(self.values) + len(self.missing) + len(self.undefined)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that gave a number."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds; None for fewer than two seeds."""
        mean, n = self.mean, len(self.values)
        if mean is None or n < 2:
            return None
        squares = math.fsum((value - mean) ** 2 for value in self.values.values())
        return math.sqrt(squares / (n - self.spread_ddof))

    @property
    def difference(self) -> float | None:
        """Our mean minus the printed value, percentage points."""
        if self.mean is None or self.printed is None:
            return None
        return self.mean - float(self.printed)

    @property
    def alike(self) -> bool:
        """Whether it is not the best, and the tests leave open that it is."""
        return self.standing is not None and self.standing.with_best and self.mark != "best"


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
    """

    title: str
    group: str | None
    machine: str | None
    dataset: str | None
    cells: tuple[ResultCell | FactCell, ...]
    setup: str | None = None

    @property
    def stub(self) -> tuple[str, ...]:
        """What stands between the row's title and its cells."""
        return tuple(text for text in (self.machine, self.setup) if text is not None)


@dataclass(frozen=True)
class ComparedSet:
    """Cells of one column that are compared with each other, two of which have a value.

    Attributes:
        heading: what stands above and left of them: group, data set, column group.
        title: of their column.
        rows: where they are.
        resolvable: whether the tests tell any two of them apart; None where there is no test.
        told_apart: the pairs of methods, (better, worse), that the tests tell apart.
    """

    heading: str
    title: str
    column: int
    rows: tuple[int, ...]
    resolvable: bool | None = None
    told_apart: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class ReportTable:
    """A whole table, ready for any format.

    Attributes:
        sets: what is compared with each other; none where nothing is marked.
        notes: what is to be said of this table alone, below it.
        level: of its intervals; its tests are at 1 - level.
        comparable: whether our numbers may be set against the printed ones.
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
