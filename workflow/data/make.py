"""Command line of the data steps: `python -m workflow.data.make STEP CONFIG NAME`.

STEP is one of
  phantom    write phantom raw files; NAME is retouch or isic2017
  inventory  list and verify the raw images of data set NAME
  split      assign them to train, val and test
  prepare    write the arrays and the manifest
"""

import sys
from pathlib import Path

import pandas as pd

from workflow import paths
from workflow.config import Config
from workflow.data.split import make_split
from workflow.files import replacing, write_text
from workflow.step import run_step


def phantom(config: Config, name: str) -> None:
    """Write the phantom raw files of one source, and a list of what was written."""
    from workflow.data.phantom.retina import write_retouch
    from workflow.data.phantom.skin import write_isic2017

    root, wanted = config.raw_dir(name), config.data.phantom
    if name == "retouch":
        for vendor in ("Cirrus", "Spectralis", "Topcon"):
            write_retouch(root, vendor=vendor, **wanted.retouch.model_dump(), seed=wanted.seed)
    else:
        write_isic2017(root, **wanted.isic2017.model_dump(), seed=wanted.seed)
    files = sorted(f.relative_to(root) for f in root.rglob("*") if f.is_file())
    write_text(root.with_suffix(".txt"), "".join(f"{file.as_posix()}\n" for file in files))


def inventory(config: Config, name: str) -> None:
    """List the raw images of a data set."""
    from workflow.data.source import open_source

    _write_csv(
        paths.prepared(config, name) / "inventory.csv", open_source(config, name).inventory()
    )


def split(config: Config, name: str) -> None:
    """Assign the groups of a data set to train, val and test."""
    folder = paths.prepared(config, name)
    listed = pd.read_csv(folder / "inventory.csv", dtype={"id": str, "group": str, "part": str})
    _write_csv(folder / "split.csv", make_split(config, name, listed))


def prepare(config: Config, name: str) -> None:
    """Write the arrays and the manifest of a data set."""
    from workflow.data.prepare import prepare as write_arrays

    write_arrays(config, name)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


STEPS = {step.__name__: step for step in (phantom, inventory, split, prepare)}

if __name__ == "__main__":
    _, step, config_path, name = sys.argv
    run_step(STEPS[step], Path(config_path), name)
