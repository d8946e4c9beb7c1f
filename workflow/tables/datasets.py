"""Table I, the summary of the data sets: from the manifests of what was really prepared."""

from collections.abc import Mapping
from typing import Any

from workflow.base.digests import read_recorded_json
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.cells import Run, dataset_rows, table_runs
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.results.printed import printed_datasets
from workflow.tables.content import ColumnSpan, FactCell, ReportTable, TableRow

FACTS = {
    "volumes": "# of volumes",
    "image_size": "Image size",
    "training": "Training",
    "testing": "Testing",
}
# More native sizes than these are counted, not listed (ISIC 2017 has hundreds).
SIZES_LISTED = 3


def build_dataset_table(
    config: Config, key: str, manifests: Mapping[str, Mapping[str, Any]]
) -> ReportTable:
    """Fill a summary of data sets (kind `datasets`).

    Args:
        config: the resolved configuration.
        key: the table's key there.
        manifests: data set -> content of its manifest.json, of the prepared ones.

    Raises:
        ConfigError: no data set of the table is left under `select`.
    """
    names = dataset_rows(config, key)
    if not names:
        raise ConfigError(
            f"tables.{key}: none of its data sets is used by any results table under `select`; "
            "do not ask for it"
        )
    printed = printed_datasets()
    rows = tuple(
        TableRow(
            title=config.datasets[name].title,
            group=None,
            machine=None,
            dataset=name,
            cells=tuple(
                FactCell(fact, text, printed.get(name, {}).get(fact))
                for fact, text in facts(manifests.get(name)).items()
            ),
        )
        for name in names
    )
    return ReportTable(
        key=key,
        kind="datasets",
        caption=config.tables[key].caption,
        stub=("Machine",),
        spans=(ColumnSpan("", tuple(FACTS.values())),),
        rows=rows,
        mark=None,
        notices=notices(config, _runs_on(config, names)),
        preset=config.preset,
        seeds=(),
        decimals=config.statistics.decimals,
        level=config.statistics.level,
        power=config.statistics.power,
        comparable=not config.demo,
    )


def facts(manifest: Mapping[str, Any] | None) -> dict[str, str]:
    """Number of volumes, native sizes (width × height), images for training and for testing.

    Training counts the images that the paper trains on: this run's for training and for validation.
    Without a manifest every fact is `missing`.
    """
    if manifest is None:
        return dict.fromkeys(FACTS, "missing")
    splits = manifest["splits"]
    return {
        "volumes": str(manifest["groups"]),
        "image_size": native_sizes(manifest),
        "training": str(splits["train"]["images"] + splits["val"]["images"]),
        "testing": str(splits["test"]["images"]),
    }


def native_sizes(manifest: Mapping[str, Any]) -> str:
    """The most frequent native image sizes, and how many more there are."""
    sizes = [size.replace("x", "×") for size in manifest["original_sizes"]]
    listed = ", ".join(sizes[:SIZES_LISTED])
    more = len(sizes) - SIZES_LISTED
    return f"{listed} and {more} more" if more > 0 else listed


def read_manifests(config: Config, names: list[str]) -> dict[str, dict[str, Any]]:
    """The manifests of those of some data sets that are prepared."""
    files = {name: paths.prepared(config, name) / "manifest.json" for name in names}
    return {name: read_recorded_json(file) for name, file in files.items() if file.is_file()}


def _runs_on(config: Config, names: list[str]) -> list[Run]:
    """The runs on these data sets, for the notices."""
    runs = dict.fromkeys(run for key in config.tables for run in table_runs(config, key))
    return [run for run in runs if run.dataset in names]
