"""Which cells the tables have, and so which runs the DAG trains: derived, never listed twice."""

from collections.abc import Iterator
from typing import NamedTuple

from workflow.config import Config
from workflow.config_sections import METRIC_TASK, ColumnGroup, Row


class Cell(NamedTuple):
    """One number of a results table."""

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

    `row` indexes `rows`; `column` counts metric columns over all column groups.
    """
    definition = config.tables[table]
    if not definition.enabled:
        return
    for r, row in enumerate(definition.rows):
        column = 0
        for group in definition.columns:
            run = bind(row, group)
            for metric in group.metrics:
                does = run is not None and METRIC_TASK[metric] in config.methods[run.method].tasks
                if run is not None and does and config.chosen(*run):
                    yield Cell(r, column, run.dataset, run.method, metric)
                column += 1


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


def made_tables(config: Config) -> list[str]:
    """The tables that have anything left to show under `select`."""
    return [
        key
        for key, table in config.tables.items()
        if table.enabled and (table_runs(config, key) or dataset_rows(config, key))
    ]


def made_figures(config: Config) -> list[str]:
    """The figures that have at least one panel left."""
    return [key for key in config.figures if figure_runs(config, key)]


def dataset_rows(config: Config, table: str) -> list[str]:
    """The data sets a summary table (kind `datasets`) describes."""
    used = {run.dataset for key in config.tables for run in table_runs(config, key)}
    return [name for name in config.tables[table].datasets if name in used]


def chosen_datasets(config: Config) -> list[str]:
    """The data sets that some run needs, in the configuration's order."""
    used = {run.dataset for run in runs(config)}
    return [name for name in config.datasets if name in used]
