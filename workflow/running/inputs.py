"""The files that rules read, beside those that a path with wildcards names.

What a table or a report is made from follows from the configuration: which runs its cells hold,
over all seeds, and what is recorded of these. The larger figures have theirs in
`workflow.figures.inputs`. Imports next to nothing, because the DAG is built with it.
"""

from collections.abc import Iterable
from pathlib import Path

from workflow.config import cells, paths
from workflow.config.cells import Run
from workflow.config.model import Config


def raw_inputs(config: Config, source: str) -> list[Path]:
    """What is made before raw files can be listed: phantoms, or downloads.

    Nothing where the files are there already: in a folder that the user has named.
    """
    if source in config.datasets and config.datasets[source].folder:
        return []
    if config.demo:
        return [paths.raw_dir(config, source)]
    if config.fetches(source):
        return [paths.downloaded(config, source)]
    return []


def native_masks(config: Config, dataset: str) -> list[Path]:
    """The list of raw masks, if test images are scored at the size that these have."""
    if config.evaluation.resolution != "native":
        return []
    return [paths.listing(config, config.raw_source(dataset))]


def counts_of(config: Config, runs: Iterable[Run]) -> list[Path]:
    """The saved counts of runs, over all seeds."""
    return [
        paths.evaluation(config, *run, seed) / "counts.parquet"
        for run in runs
        for seed in config.seeds
    ]


def records_of(config: Config, runs: Iterable[Run]) -> list[Path]:
    """What runs recorded of themselves, over all seeds."""
    return [paths.run(config, *run, seed) / "run.json" for run in runs for seed in config.seeds]


def shown_masks(config: Config) -> list[Path]:
    """The saved masks that the report's image browser holds."""
    return [
        paths.evaluation(config, *run, seed) / "masks.npz"
        for run in cells.runs(config)
        for seed in cells.shown_seeds(config, run)
    ]


def manifests_of(config: Config, datasets: Iterable[str]) -> list[Path]:
    """What there is to say of prepared data sets: their manifests, and what their gates found."""
    return [
        file
        for dataset in datasets
        for file in (
            paths.prepared(config, dataset) / "manifest.json",
            paths.gates(config, dataset),
        )
    ]


def duplicates_in(config: Config, runs: Iterable[Run]) -> list[Path]:
    """Where the test images are listed that `evaluation.drop_duplicates` leaves out of scores."""
    if not config.evaluation.drop_duplicates:
        return []
    return list(dict.fromkeys(paths.gates(config, run.dataset) for run in runs))


def read_for_table(config: Config, key: str) -> list[Path]:
    """What a table is made from: what runs recorded, their counts, or what data steps left."""
    runs = cells.table_runs(config, key)
    if config.tables[key].kind == "efficiency":
        return records_of(config, runs)
    runs = cells.with_controls(config, runs)
    datasets = cells.dataset_rows(config, key)
    return [
        *counts_of(config, runs),
        *duplicates_in(config, runs),
        *manifests_of(config, datasets),
    ]


def read_for_figure(config: Config, key: str) -> list[Path]:
    """What one of the paper's figures is made from: counts, with masks beside them, and data."""
    runs = cells.figure_runs(config, key)
    datasets = dict.fromkeys(run.dataset for run in runs)
    return [*counts_of(config, runs), *manifests_of(config, datasets)]


def read_for_report(config: Config) -> list[Path]:
    """What the report is made from, beside the tables and figures that it shows."""
    return [
        *counts_of(config, cells.runs(config)),
        *shown_masks(config),
        *manifests_of(config, cells.chosen_datasets(config)),
    ]


def read_for_verdicts(config: Config) -> list[Path]:
    """What the verdicts are made from."""
    runs = cells.runs(config)
    return [*counts_of(config, runs), *duplicates_in(config, runs)]
