"""How the steps around the runs stand: data before them, tables, figures and report after."""

from pathlib import Path
from typing import NamedTuple

from workflow.config import cells, paths
from workflow.config.model import Config
from workflow.figures import plots
from workflow.results.logs import Log, reason_in


class DataStanding(NamedTuple):
    """How a data set stands.

    Attributes:
        step: the first step whose output is missing; None if all are there.
        reason: why that step failed the last time; empty if it did not.
        log: of that step, if it has one.
    """

    dataset: str
    step: str | None
    reason: str = ""
    log: str | None = None


class Made(NamedTuple):
    """How many of the tables and figures are made, and whether the report is.

    Attributes:
        figures: the paper's own.
        plots: the larger ones (`workflow.figures.plots`).
    """

    tables: int
    of_tables: int
    figures: int
    of_figures: int
    plots: int
    of_plots: int
    report: bool


def data_standings(config: Config) -> list[DataStanding]:
    """How the data sets of the runs stand."""
    return [_data(config, dataset) for dataset in cells.chosen_datasets(config)]


def made(config: Config) -> Made:
    """What is made of the runs."""
    asked_for = (
        [paths.table(config, key, "html") for key in cells.made_tables(config)],
        [paths.figure(config, key, "png") for key in cells.made_figures(config)],
        [paths.plot(config, key, "png") for key in plots.made_plots(config)],
    )
    counts = [n for files in asked_for for n in (sum(f.is_file() for f in files), len(files))]
    return Made(*counts, report=(paths.report(config) / "index.html").is_file())


def _data(config: Config, dataset: str) -> DataStanding:
    folder, source = paths.prepared(config, dataset), config.raw_source(dataset)
    steps: list[tuple[str, str, Path]] = [
        ("raw", source, paths.listing(config, source)),
        ("inventory", dataset, folder / "inventory.csv"),
        ("split", dataset, folder / "split.csv"),
        ("prepare", dataset, paths.identity(config, dataset)),
        ("gates", dataset, paths.gates(config, dataset)),
    ]
    if config.demo:
        steps.insert(0, ("phantom", source, paths.raw_dir(config, source)))
    elif config.fetches(source):
        steps.insert(0, ("download", source, paths.downloaded(config, source)))
    for step, name, output in steps:
        if not output.exists():
            log = Log.read(config.results / "logs" / step / f"{name}.log")
            reason = reason_in(log.lines) if log else ""
            return DataStanding(dataset, step, reason, str(log.path) if log else None)
    return DataStanding(dataset, None)
