"""Which cells the tables have, and so which runs the DAG trains: derived, never listed twice."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from workflow.config.metrics import FACTS, METRICS
from workflow.config.model import Config
from workflow.config.sections import ColumnGroup, Row


class Cell(NamedTuple):
    """One number of a table; in a table of kind `classes` or `rules`, all numbers of a metric."""

    row: int
    column: int
    dataset: str
    method: str
    metric: str


class Run(NamedTuple):
    """One (data set, method) of the DAG; it is trained once per seed."""

    dataset: str
    method: str


def table_cells(config: Config, table: str) -> Iterator[Cell]:
    """The cells of a table that hold a number: chosen by `select`, of a task the method does.

    `row` indexes `table_rows`; `column` counts metric columns over all column groups. A table of
    another kind than `results` adds no run: it shows those that some table of results shows.
    Controls at the foot stand below numbers of their data set only.
    """
    above: set[tuple[int, str]] = set()
    last = len(table_rows(config, table)) - len(list(_foot(config, table)))
    for cell in _cells(config, table):
        if cell.row < last:
            above.add((cell.column, cell.dataset))
        elif (cell.column, cell.dataset) not in above:
            continue
        yield cell


def _cells(config: Config, table: str) -> Iterator[Cell]:
    """The cells of a table, with those of controls that stand below nothing."""
    definition = config.tables[table]
    if not definition.enabled:
        return
    of_results = None if definition.kind == "results" else _result_runs(config)
    for r, row in enumerate(table_rows(config, table)):
        column = 0
        for group in definition.columns:
            run = bind(row, group)
            for metric in group.metrics:
                if (
                    run is not None
                    and (of_results is None or run in of_results)
                    and has(config, run.method, metric)
                    and config.chosen(*run)
                ):
                    yield Cell(r, column, run.dataset, run.method, metric)
                column += 1


def table_rows(config: Config, table: str) -> list[Row]:
    """A table's rows: its own, one for each method of `methods_of`, and at the foot controls."""
    definition = config.tables[table]
    methods = [
        method
        for key in definition.methods_of
        for row in config.tables[key].rows
        for method in ([row.method] if row.method else (row.methods or {}).values())
    ]
    shared = (Row(title=config.methods[name].title, method=name) for name in dict.fromkeys(methods))
    return [*definition.rows, *shared, *_foot(config, table)]


def _foot(config: Config, table: str) -> Iterator[Row]:
    """The rows of a table's controls, once for each data set if its rows are of one data set."""
    definition = config.tables[table]
    for name in definition.controls:
        for dataset in dict.fromkeys(row.dataset for row in definition.rows):
            title = config.methods[name].title
            yield Row(title=title, group="Controls", dataset=dataset, method=name)


def is_control(config: Config, method: str) -> bool:
    """Whether a method is there to be compared with: it has no network, or shuffled labels."""
    entry = config.methods[method]
    return entry.control is not None or bool(entry.protocol.get("shuffle_labels"))


def with_controls(config: Config, wanted: Iterable[Run]) -> list[Run]:
    """Some runs, and those of the controls on their data sets that this configuration makes."""
    wanted = list(wanted)
    datasets = {run.dataset for run in wanted}
    made = [run for run in runs(config) if run.dataset in datasets]
    return list(dict.fromkeys([*wanted, *(run for run in made if is_control(config, run.method))]))


def has(config: Config, method: str, metric: str) -> bool:
    """Whether a method has a metric: it does its task, or it is a network and so has its facts."""
    entry = config.methods[method]
    if metric in FACTS:
        return entry.module is not None
    return METRICS[metric].task in entry.tasks


def _result_runs(config: Config) -> set[Run]:
    """The runs that tables of results show."""
    tables = [key for key, table in config.tables.items() if table.kind == "results"]
    return {run for key in tables for run in table_runs(config, key)}


def bind(row: Row, group: ColumnGroup) -> Run | None:
    """The run behind the cells where a row meets a column group; None where there is none."""
    dataset = row.dataset or group.dataset
    method = row.method or (row.methods or {}).get(group.title)
    return Run(dataset, method) if dataset and method else None


def table_runs(config: Config, table: str) -> list[Run]:
    """The runs a table needs, in the order of its cells."""
    return list(dict.fromkeys(Run(c.dataset, c.method) for c in table_cells(config, table)))


def figure_runs(config: Config, figure: str) -> list[Run]:
    """The runs a figure needs, in the order of its panels."""
    definition = config.figures[figure]
    return [
        Run(dataset, method)
        for dataset in definition.datasets
        for method in definition.methods
        if definition.enabled and config.chosen(dataset, method)
    ]


def runs(config: Config) -> list[Run]:
    """Every (data set, method) that some table or figure needs, each once."""
    of_tables = [run for table in config.tables for run in table_runs(config, table)]
    of_figures = [run for figure in config.figures for run in figure_runs(config, figure)]
    return list(dict.fromkeys(of_tables + of_figures))


def shown_seeds(config: Config, run: Run) -> list[int]:
    """The seeds whose masks the report holds, as `report.masks` says; of controls none.

    Those are the reference, nothing, or noise, which takes more space than all methods together.
    """
    if config.methods[run.method].control is not None:
        return []
    return config.seeds if config.report.masks == "all" else config.seeds[:1]


def made_tables(config: Config, kind: str | None = None) -> list[str]:
    """The tables, or those of a kind, that have anything left to show under `select`."""
    return [
        key
        for key, table in config.tables.items()
        if table.enabled
        and kind in (None, table.kind)
        and (table_runs(config, key) or dataset_rows(config, key))
    ]


def made_figures(config: Config) -> list[str]:
    """The figures that have at least one panel left."""
    return [key for key in config.figures if figure_runs(config, key)]


def dataset_rows(config: Config, table: str) -> list[str]:
    """The data sets a summary table (kind `datasets`) describes."""
    listed = config.tables[table].datasets
    used = {run.dataset for run in _result_runs(config)} if listed else set()
    return [name for name in listed if name in used]


def chosen_datasets(config: Config) -> list[str]:
    """The data sets that some run needs, in the configuration's order."""
    used = {run.dataset for run in runs(config)}
    return [name for name in config.datasets if name in used]
