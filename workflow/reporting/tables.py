"""The content of a table: every cell with its seeds, its printed value and its mark; no format.

A cell knows which seeds it rests on. A seed without a result, or whose metric is undefined, is
kept in the cell and shown; it is never averaged away. Best and second best are decided on the
unrounded means, as the captions of the paper ask.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count, groupby
from typing import TYPE_CHECKING, Literal

from workflow.cells import Run, bind, table_cells
from workflow.config import Config
from workflow.config_errors import ConfigError
from workflow.config_sections import METRIC_TASK, Row, Table
from workflow.reporting.notices import notices
from workflow.reporting.printed import PrintedKey
from workflow.reporting.setup_text import HEADING, setup

if TYPE_CHECKING:
    import pandas as pd

METRIC_TITLES = {"ji": "JI", "dsc": "DSC", "acc": "Acc", "sen": "Sen", "spe": "Spe"}
# Means that differ by less than this are equal: they differ by the order of summation only.
SAME = 1e-9

Mark = Literal["best", "second"]
State = Literal["value", "undefined", "missing", "not_done", "not_run"]
# (data set, method, metric) -> seed -> value in per cent, NaN where undefined
Values = dict[tuple[str, str, str], dict[int, float]]


@dataclass(frozen=True)
class ResultCell:
    """One number of a results table and what it rests on.

    Attributes:
        run: the (data set, method) behind it; None where the table has no such combination.
        metric: ji, dsc, acc, sen or spe.
        state: `value`; `undefined` if no seed gave a number although some were evaluated;
            `missing` if no seed was evaluated; `not_done` if the method does not do the task;
            `not_run` if the configuration's `select` leaves it out.
        values: seed -> value in per cent, of the seeds that gave a number.
        missing: expected seeds without a result.
        undefined: seeds that were evaluated but whose metric is undefined.
        spread_ddof: n minus this is the denominator of the variance.
        printed: the paper's number as printed; None if it prints none here.
        mark: best or second best of the cells it is compared with.
    """

    run: Run | None
    metric: str
    state: State
    values: Mapping[int, float]
    missing: tuple[int, ...] = ()
    undefined: tuple[int, ...] = ()
    spread_ddof: int = 1
    printed: str | None = None
    mark: Mark | None = None

    @property
    def expected(self) -> int:
        """How many seeds the configuration asks for."""
        return len(self.values) + len(self.missing) + len(self.undefined)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that gave a number, per cent."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds, per cent; None for fewer than two seeds."""
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


@dataclass(frozen=True)
class FactCell:
    """One fact of a data set summary, beside the printed one."""

    fact: str
    text: str
    printed: str | None = None


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
class ReportTable:
    """A whole table, ready for any format."""

    key: str
    caption: str
    stub: tuple[str, ...]
    spans: tuple[ColumnSpan, ...]
    rows: tuple[TableRow, ...]
    mark: Literal["color", "bold"] | None
    notices: tuple[str, ...]
    preset: str
    seeds: tuple[int, ...]
    decimals: int
    comparable: bool

    @property
    def width(self) -> int:
        """Number of columns, the stub (method, machine) included."""
        return len(self.stub) + sum(len(span.columns) for span in self.spans)


def build_table(
    config: Config, key: str, results: "pd.DataFrame", published: Mapping[PrintedKey, str]
) -> ReportTable:
    """Fill a results table of the configuration.

    Args:
        config: the resolved configuration.
        key: the table's key there (II, III, ...).
        results: columns dataset, method, seed, metric, value (per cent; NaN is undefined).
        published: the printed numbers, from `printed.printed_results()`.

    Returns:
        The table with the rows and columns that `select` leaves.

    Raises:
        ConfigError: the table has nothing left.
        ValueError: `results` has two values for one (data set, method, seed, metric).
    """
    definition, values = config.tables[key], values_by_cell(results)
    kept = list(table_cells(config, key))
    if not kept:
        raise ConfigError(
            f"tables.{key}: no cell is left under `select` {config.select.model_dump()}; "
            f"choose data sets and methods of this table, or do not ask for it"
        )
    rows_kept, columns_kept = {cell.row for cell in kept}, {cell.column for cell in kept}
    grid = [
        _row(config, key, row, columns_kept, values, published)
        for index, row in enumerate(definition.rows)
        if index in rows_kept
    ]
    runs = dict.fromkeys(Run(cell.dataset, cell.method) for cell in kept)
    by_machine = any(row.dataset for row in definition.rows)
    return ReportTable(
        key=key,
        caption=definition.caption,
        stub=("Method", *(["Machine"] if by_machine else []), HEADING),
        spans=_spans(definition, columns_kept),
        rows=tuple(_marked(grid, definition)),
        mark=definition.mark,
        notices=notices(config, runs),
        preset=config.preset,
        seeds=tuple(config.seeds),
        decimals=config.statistics.decimals,
        comparable=not config.demo,
    )


def values_by_cell(results: "pd.DataFrame") -> Values:
    """Results in the form that cells are made from.

    Raises:
        ValueError: one (data set, method, metric, seed) has two values.
    """
    values: Values = {}
    columns = ("dataset", "method", "metric", "seed", "value")
    for dataset, method, metric, seed, value in zip(*(results[c] for c in columns), strict=True):
        seeds = values.setdefault((dataset, method, metric), {})
        if int(seed) in seeds:
            raise ValueError(
                f"results: {metric} of {method} on {dataset}, seed {seed}, is there twice; "
                "expected one value each"
            )
        seeds[int(seed)] = float(value)
    return values


def _spans(definition: Table, kept: set[int]) -> tuple[ColumnSpan, ...]:
    number, spans = count(), []
    for group in definition.columns:
        titles = tuple(METRIC_TITLES[m] for m in group.metrics if next(number) in kept)
        if titles:
            spans.append(ColumnSpan(group.title, titles))
    return tuple(spans)


def _row(
    config: Config,
    key: str,
    row: Row,
    columns: set[int],
    values: Values,
    published: Mapping[PrintedKey, str],
) -> TableRow:
    number, cells = count(), []
    for group in config.tables[key].columns:
        run = bind(row, group)
        for metric in group.metrics:
            if next(number) in columns:
                cells.append(_cell(config, key, run, metric, values, published))
    machine = config.datasets[row.dataset].title if row.dataset else None
    methods = [row.method] if row.method else list((row.methods or {}).values())
    trained = setup(config, methods)
    return TableRow(row.title, row.group, machine, row.dataset, tuple(cells), trained)


def _cell(
    config: Config,
    key: str,
    run: Run | None,
    metric: str,
    values: Values,
    published: Mapping[PrintedKey, str],
) -> ResultCell:
    if run is None or METRIC_TASK[metric] not in config.methods[run.method].tasks:
        return ResultCell(run, metric, "not_done", {})
    printed = published.get(PrintedKey(key, run.dataset, run.method, metric))
    if not config.chosen(*run):
        return ResultCell(run, metric, "not_run", {}, printed=printed)
    return result_cell(config, run, metric, values, printed)


def result_cell(
    config: Config, run: Run, metric: str, values: Values, printed: str | None = None
) -> ResultCell:
    """The cell of a run and metric, with its missing and undefined seeds; not yet marked."""
    found = values.get((run.dataset, run.method, metric), {})
    evaluated = {seed: found[seed] for seed in config.seeds if seed in found}
    defined = {seed: value for seed, value in evaluated.items() if not math.isnan(value)}
    return ResultCell(
        run=run,
        metric=metric,
        state="value" if defined else "undefined" if evaluated else "missing",
        values=defined,
        missing=tuple(seed for seed in config.seeds if seed not in found),
        undefined=tuple(seed for seed in evaluated if seed not in defined),
        spread_ddof=config.statistics.spread_ddof,
        printed=printed,
    )


def _marked(rows: list[TableRow], definition: Table) -> list[TableRow]:
    """The rows with their best and second best cells marked, as `mark` and `compare_within` say."""
    if definition.mark is None:
        return rows
    ranks = ("best", "second") if definition.mark == "color" else ("best",)
    marks: dict[tuple[int, int], Mark] = {}

    def block(index: int) -> tuple[str, ...]:
        row = rows[index]
        parts = {"group": row.group, "dataset": row.dataset}
        return tuple(parts[name] or "" for name in definition.compare_within)

    for _, members in groupby(sorted(range(len(rows)), key=block), key=block):
        compared = list(members)
        for column in range(len(rows[0].cells)):
            means = {i: _mean(rows[i].cells[column]) for i in compared}
            for i, rank in ranked({i: m for i, m in means.items() if m is not None}).items():
                if rank < len(ranks):
                    marks[i, column] = ranks[rank]
    return [
        replace(row, cells=tuple(_with_mark(c, marks.get((i, j))) for j, c in enumerate(row.cells)))
        for i, row in enumerate(rows)
    ]


def _mean(cell: ResultCell | FactCell) -> float | None:
    return cell.mean if isinstance(cell, ResultCell) else None


def _with_mark(cell: ResultCell | FactCell, mark: Mark | None) -> ResultCell | FactCell:
    return replace(cell, mark=mark) if isinstance(cell, ResultCell) else cell


def ranked(means: Mapping[int, float]) -> dict[int, int]:
    """Rank of each mean, the largest first, from 0; equal means share a rank.

    The next smaller mean takes the next rank, so two best still leave a second best. One mean
    alone is compared with nothing and gets no rank.
    """
    if len(means) < 2:
        return {}
    ranks, rank, previous = {}, -1, math.inf
    for index, mean in sorted(means.items(), key=lambda item: -item[1]):
        if previous - mean > SAME:
            rank, previous = rank + 1, mean
        ranks[index] = rank
    return ranks
