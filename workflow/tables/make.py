"""Command line of one table: `python -m workflow.tables.make CONFIG KEY`.

CONFIG is the resolved configuration as JSON, KEY a table of it. Writes the table in all formats.
Imports neither torch nor matplotlib: there are many tables, and each is a job.
"""

import sys
from dataclasses import replace
from pathlib import Path

from workflow.base.digests import recorded
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.cells import dataset_rows, table_runs
from workflow.config.errors import unknown
from workflow.config.model import Config
from workflow.results.printed import printed_results
from workflow.results.read import Results, read_results
from workflow.running.step import run_step
from workflow.tables.build import build_table, metric_columns
from workflow.tables.content import ReportTable
from workflow.tables.datasets import build_dataset_table, read_manifests
from workflow.tables.extra import (
    build_class_table,
    build_efficiency_table,
    build_rule_table,
)
from workflow.tables.formats import save
from workflow.tables.scored import missing_from_scores


def make_table(config: Config, key: str, results: Results | None = None) -> None:
    """Write one table in all its formats.

    Args:
        config: the resolved configuration.
        key: the table's key there.
        results: results that include those of the table's runs; None reads them.

    Raises:
        ConfigError: there is no such table, or nothing of it is left under `select`.
    """
    if key not in config.tables:
        raise ConfigError(f"tables: {unknown(key, config.tables)}")
    table = load_table(config, key, results)
    for suffix in paths.TABLE_FORMATS:
        with recorded(paths.table(config, key, suffix)) as temporary:
            save(table, temporary)


def load_table(config: Config, key: str, results: Results | None = None) -> ReportTable:
    """A table from what the runs and the data steps left; arguments as for `make_table`."""
    table = _load(config, key, results)
    if table.kind in ("datasets", "efficiency"):
        return table
    missing = missing_from_scores(config, table_runs(config, key))
    return replace(table, notices=(*table.notices, *missing))


def _load(config: Config, key: str, results: Results | None) -> ReportTable:
    kind = config.tables[key].kind
    if kind == "datasets":
        manifests = read_manifests(config, dataset_rows(config, key))
        return build_dataset_table(config, key, manifests)
    if kind == "efficiency":
        return build_efficiency_table(config, key)
    if kind == "classes":
        return build_class_table(config, key)
    if kind == "rules":
        return build_rule_table(config, key)
    if kind == "metrics":
        also = [metric for _, metric in metric_columns(config, key)]
        return build_table(config, key, read_results(config, table_runs(config, key), also), {})
    if results is None:
        results = read_results(config, table_runs(config, key))
    return build_table(config, key, results, printed_results())


if __name__ == "__main__":
    run_step(make_table, Path(sys.argv[1]), *sys.argv[2:])
