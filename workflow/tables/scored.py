"""Which test images are missing from a score, in words for the face of a table."""

from collections.abc import Iterable

import pandas as pd

from workflow.base.digests import reading
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config


def missing_from_scores(config: Config, runs: Iterable[Run]) -> tuple[str, ...]:
    """A notice for each data set of which some test images have no mask to be scored with.

    Args:
        config: the resolved configuration.
        runs: of the table; those that segment count.
    """
    datasets = dict.fromkeys(
        run.dataset for run in runs if "segmentation" in config.methods[run.method].tasks
    )
    return tuple(notice for name in datasets if (notice := _missing(config, name)))


def _missing(config: Config, dataset: str) -> str:
    folder = paths.prepared(config, dataset)
    index, split = folder / "test" / "index.parquet", folder / "split.csv"
    if not (index.is_file() and split.is_file()):
        return ""
    with reading(split) as file:
        tasks = pd.read_csv(file, dtype=str, keep_default_na=False)[["id", "tasks"]]
    with reading(index) as file:
        test = pd.read_parquet(file, columns=["id", "has_mask"]).merge(tasks, on="id")
    meant = test[test["tasks"] != "classification"]
    without = int((~meant["has_mask"].astype(bool)).sum())
    if not without:
        return ""
    title = config.datasets[dataset].title
    return (
        f"segmentation is scored on {len(meant) - without} of {len(meant)} test images of {title}: "
        "the others have no mask"
    )
