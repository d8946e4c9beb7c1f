"""The inventory: every image of a data set with its size, labels and SHA-256, before any is read.

Beside it lies `inputs.csv`, the raw files it rests on with their SHA-256: what a manifest means by
its inputs.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from workflow.base.digests import read_recorded_json, reading, recorded
from workflow.base.errors import DataError
from workflow.base.files import from_cell, to_cell
from workflow.base.plain import hidden
from workflow.base.workers import WorkProgress, each, usable_threads
from workflow.config import paths
from workflow.config.model import Config
from workflow.data.sources.source import Row, ignored_by, open_source
from workflow.running.raw_files import find_files, name_of, raw_roots


def make_inventory(config: Config, dataset: str, say: Callable[[str], None] = print) -> None:
    """Write inventory.csv and inputs.csv of a data set.

    Raises:
        DataError: as the source does, or two images have one id.
    """
    source = open_source(config, dataset)
    for line in ignored_by(source):
        say(f"{dataset}: {line}")
    raw = config.raw_source(dataset)
    listed = read_recorded_json(paths.listing(config, raw))["files"]
    names = {
        file: name_of(label, root, file)
        for label, root in raw_roots(config, raw).items()
        for file, _ in find_files(root)
    }
    progress = WorkProgress(f"inventory {dataset}", len(source.groups), "groups", say)
    rows: list[Row] = []
    for found in each(source.rows, source.groups, usable_threads(config.data.threads)):
        rows += found
        progress.add(1)
    progress.end()
    inputs = dict.fromkeys((*source.tables, *(file for row in rows for file in row["files"])))
    unlisted = [file for file in inputs if names.get(file) not in listed]
    if unlisted:
        raise DataError(
            f"{unlisted[0]}: came after the raw files were listed; start the workflow again"
        )
    digests = {file: listed[names[file]]["sha256"] for file in inputs}
    for row in rows:
        row["sha256"] = digests[row.pop("files")[0]]
    inventory = pd.DataFrame(rows)
    _require_readable(dataset, inventory)
    twice = inventory["id"][inventory["id"].duplicated()]
    if len(twice):
        raise DataError(f"{dataset}: id {twice.iloc[0]} occurs twice; each image needs its own")
    folder = paths.prepared(config, dataset)
    _write(folder / "inventory.csv", inventory)
    _write(
        folder / "inputs.csv",
        pd.DataFrame({"file": [names[f] for f in digests], "sha256": [*digests.values()]}),
    )


def read_inventory(folder: Path) -> pd.DataFrame:
    """The inventory that lies in a folder, with ids and groups as text, also one called `NA`."""
    text = {"id": str, "group": str, "part": str, "sha256": str}
    with reading(folder / "inventory.csv") as file:
        return pd.read_csv(file, dtype=text, keep_default_na=False).map(from_cell)


def _write(path: Path, table: pd.DataFrame) -> None:
    with recorded(path) as temporary:
        table.map(to_cell).to_csv(temporary, index=False, lineterminator="\n")


def _require_readable(dataset: str, inventory: pd.DataFrame) -> None:
    """Refuse ids and groups that could not be shown as they are: most are names of files."""
    for column in ("id", "group"):
        for text in inventory[column]:
            number = hidden(text) or ("a line end" if "\n" in text or "\t" in text else None)
            if number:
                raise DataError(
                    f"{dataset}: {column} {text!r} has {number}, which cannot be read; rename the "
                    "file, or correct the table that names it"
                )
