"""The content of a table of results: every cell with its seeds, its printed value and its tests.

A cell knows which seeds it rests on. A seed without a result, or whose metric is undefined, is
kept in the cell and shown; it is never averaged away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from workflow.base.errors import ConfigError
from workflow.config.cells import Run, bind, has, is_control, table_cells, table_rows
from workflow.config.metrics import METRICS, Task, with_unit
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.config.sections import ColumnGroup, Row
from workflow.metrics.against import against
from workflow.results.printed import PrintedKey
from workflow.results.printing import printing
from workflow.results.read import Results
from workflow.results.result_cells import Mark, ResultCell, Values, result_cell, values_by_cell
from workflow.results.setup_text import HEADING, setup
from workflow.tables.comparisons import compared_sets, with_marks, with_standings
from workflow.tables.content import ColumnSpan, FactCell, ReportTable, TableRow

if TYPE_CHECKING:
    pass

MARKS: dict[str | None, tuple[Mark, ...]] = {"color": ("best", "second"), "bold": ("best",)}


class Column(NamedTuple):
    """One column of a table: what its cells hold, and what stands above them.

    Attributes:
        number: the number of its metric among those of the table's definition.
        span: title above the column and its neighbours.
    """

    number: int
    group: ColumnGroup
    metric: str
    span: str
    title: str
    facet: str | None = None


def build_table(
    config: Config, key: str, results: Results, published: Mapping[PrintedKey, str]
) -> ReportTable:
    """Fill a table of metrics of the configuration: the paper's (kind `results`), or any.

    Args:
        config: the resolved configuration.
        key: the table's key there (II, III, ...).
        results: results that include those of the table's runs; without ratios there are no
            intervals and no tests.
        published: the printed numbers, from `printed.printed_results()`.

    Returns:
        The table with the rows and columns that `select` leaves.

    Raises:
        ConfigError: the table has nothing left.
        ValueError: `results` has two values for one (data set, method, seed, metric).
    """
    heading = titles(config, key)
    columns = [
        Column(number, group, metric, group.title, heading[metric])
        for number, (group, metric) in enumerate(metric_columns(config, key))
    ]
    table = fill(config, key, columns, values_by_cell(results.values), published, results.below)
    rows = [
        replace(row, cells=tuple(_estimated(config, cell, results) for cell in row.cells))
        for row in table.rows
    ]
    rows, sets = with_standings(rows, table.sets, results)
    return replace(table, rows=tuple(rows), sets=sets, notes=metric_notes(config, key))


def metric_columns(config: Config, key: str) -> list[tuple[ColumnGroup, str]]:
    """The metrics that the columns of a table are of, each with its column group."""
    return [(group, metric) for group in config.tables[key].columns for metric in group.metrics]


def titles(config: Config, key: str) -> dict[str, str]:
    """What the columns of each metric are called; with its unit, unless all are in per cent."""
    names = dict.fromkeys(metric for _, metric in metric_columns(config, key))
    if {METRICS[name].unit for name in names} == {"%"}:
        return {name: METRICS[name].title for name in names}
    return {name: with_unit(name) for name in names}


def metric_notes(config: Config, key: str) -> tuple[str, ...]:
    """What is to be said of a table's metrics: what they are, and which have no tests."""
    metrics = [METRICS[name] for name in dict.fromkeys(m for _, m in metric_columns(config, key))]
    untested = [metric.title for metric in metrics if not metric.tested]
    notes = [metric.note for metric in metrics if metric.note]
    if untested:
        notes.append(
            f"Without intervals and tests, marked by the means alone: {', '.join(untested)}."
        )
    return tuple(notes)


def fill(
    config: Config,
    key: str,
    columns: Sequence[Column],
    values: Values,
    published: Mapping[PrintedKey, str],
    below: Mapping[tuple[Run, Task], str] | None = None,
) -> ReportTable:
    """A table of any kind with its values and marks; rows and columns with nothing left are out.

    Args:
        config: the resolved configuration.
        key: the table's key there.
        columns: what its cells hold.
        values: the values of all its cells that have one.
        published: the printed numbers.
        below: (run, task) -> why its numbers say nothing; None where that is not asked.

    Raises:
        ConfigError: the table has nothing left.
    """
    definition, kept = config.tables[key], list(table_cells(config, key))
    if not kept:
        raise ConfigError(
            f"tables.{key}: no cell is left under `select` {config.select.model_dump()}; "
            f"choose data sets and methods of this table, or do not ask for it"
        )
    rows_kept, numbers = {cell.row for cell in kept}, {cell.column for cell in kept}
    shown = [column for column in columns if column.number in numbers]
    runs = list(dict.fromkeys(Run(cell.dataset, cell.method) for cell in kept))
    filled = {(cell.row, cell.column) for cell in kept}

    def cell_of(index: int, row: Row, column: Column) -> ResultCell:
        run, metric, facet = bind(row, column.group), column.metric, column.facet
        if run is None or not has(config, run.method, metric):
            return ResultCell(run, metric, "not_done", {}, facet=facet)
        printed = published.get(PrintedKey(key, run.dataset, run.method, metric))
        if (index, column.number) in filled:
            of = METRICS.get(metric)  # None for a fact of training, which is no score
            why = (below or {}).get((run, of.task), "") if of else ""
            return result_cell(config, run, metric, values, printed, facet, why)
        state = "not_done" if config.chosen(*run) else "not_run"
        return ResultCell(run, metric, state, {}, printed=printed, facet=facet)

    rows = [
        _row(config, row, tuple(cell_of(i, row, column) for column in shown))
        for i, row in enumerate(table_rows(config, key))
        if i in rows_kept
    ]
    sets = compared_sets(rows, [(column.span, column.title) for column in shown], definition)
    by_machine = any(row.machine for row in rows)
    return ReportTable(
        key=key,
        kind=definition.kind,
        caption=definition.caption,
        stub=("Method", *(["Machine"] if by_machine else []), HEADING),
        spans=_spans(shown),
        rows=tuple(with_marks(rows, sets, MARKS.get(definition.mark, ()))),
        mark=definition.mark,
        notices=notices(config, runs),
        preset=config.preset,
        seeds=tuple(config.seeds),
        decimals=config.statistics.decimals,
        level=config.statistics.level,
        power=config.statistics.power,
        comparable=not config.demo,
        sets=tuple(sets),
    )


def _spans(columns: Sequence[Column]) -> tuple[ColumnSpan, ...]:
    """Neighbouring columns of one column group under one title are one span."""
    spans = groupby(columns, key=lambda column: (id(column.group), column.span))
    return tuple(
        ColumnSpan(title, tuple(column.title for column in members))
        for (_, title), members in spans
    )


def _row(config: Config, row: Row, cells: tuple[ResultCell, ...]) -> TableRow:
    machine = config.datasets[row.dataset].title if row.dataset else None
    methods = [row.method] if row.method else list((row.methods or {}).values())
    control = bool(row.method) and is_control(config, row.method or "")
    words = setup(config, methods)
    return TableRow(row.title, row.group, machine, row.dataset, cells, words, control)


def _estimated(
    config: Config, cell: ResultCell | FactCell, results: Results
) -> ResultCell | FactCell:
    """A cell with its interval, and with the verdict on its printed value."""
    if isinstance(cell, FactCell) or cell.run is None or cell.state in ("not_done", "not_run"):
        return cell
    if not METRICS[cell.metric].tested:
        return cell
    estimate = results.estimates.get((cell.run, cell.metric))
    ratios = results.ratios.get(cell.run, {}).get(cell.metric)
    said, supports = None, None
    if cell.printed is not None:
        decimals = len(cell.printed.partition(".")[2])
        how = printing(config, cell.run)
        found = against(estimate, float(cell.printed), how, results.design, decimals)
        said = "demo" if config.demo else found.verdict
        said = None if cell.below else said
        supports = None if config.demo or cell.below else found.supports
    groups = len(ratios.groups) if ratios is not None else None
    return replace(cell, estimate=estimate, groups=groups, verdict=said, supports=supports)
