"""Command line of one table: `python -m workflow.reporting.make_table CONFIG KEY`.

CONFIG is the resolved configuration as JSON, KEY a table of it. Writes the table as CSV, Markdown,
LaTeX and HTML. Imports neither torch nor matplotlib: there are many tables, and each is a job.
"""

import sys
from pathlib import Path

from workflow import paths
from workflow.cells import dataset_rows, table_runs
from workflow.config import Config
from workflow.config_errors import ConfigError, unknown
from workflow.evaluation.metrics import collect
from workflow.files import write_text
from workflow.reporting.dataset_table import build_dataset_table, read_manifests
from workflow.reporting.printed import printed_results
from workflow.reporting.table_formats import WRITERS
from workflow.reporting.tables import ReportTable, build_table
from workflow.step import run_step


def make_table(config: Config, key: str) -> None:
    """Write one table in all its formats.

    Raises:
        ConfigError: there is no such table, or nothing of it is left under `select`.
    """
    if key not in config.tables:
        raise ConfigError(f"tables: {unknown(key, config.tables)}")
    table = load_table(config, key)
    for suffix, writer in WRITERS.items():
        write_text(paths.table(config, key, suffix), writer(table))


def load_table(config: Config, key: str) -> ReportTable:
    """A table from the saved counts, or from the manifests if it summarises data sets."""
    if config.tables[key].kind == "datasets":
        manifests = read_manifests(config, dataset_rows(config, key))
        return build_dataset_table(config, key, manifests)
    return build_table(config, key, collect(config, table_runs(config, key)), printed_results())


if __name__ == "__main__":
    run_step(make_table, Path(sys.argv[1]), *sys.argv[2:])
