"""Command line of the data steps: `python -m workflow.data.make STEP CONFIG NAME`.

STEP is one of
  phantom    write phantom raw files; NAME is a public source, such as retouch
  download   fetch the archives of source NAME that are not there yet
  raw        unpack the archives of source NAME, hash and list its raw files
  inventory  list and verify the raw images of data set NAME
  split      assign them to train, val and test
  prepare    write the arrays and the manifest
  gates      check what was prepared, before anything is trained on it
"""

import importlib
import sys
from pathlib import Path

from workflow.base.digests import record_text, recorded
from workflow.base.files import to_cell
from workflow.config import paths
from workflow.config.model import Config
from workflow.config.sources import SOURCES
from workflow.data.inventory import read_inventory
from workflow.data.split import make_split, split_notes
from workflow.running.step import run_step


def phantom(config: Config, name: str) -> None:
    """Write the phantom raw files of one source."""
    module, _, function = SOURCES[name].phantoms.partition(":")
    write = getattr(importlib.import_module(module), function)
    seed = config.data.phantom.seed
    write(paths.raw_dir(config, name), **config.phantom_sizes(name), seed=seed)


def download(config: Config, name: str) -> None:
    """Fetch the archives of a source, and note that they are whole."""
    from workflow.data.fetching.download import download as fetch
    from workflow.data.listing import recorded_sums

    sums = recorded_sums(config, name)
    fetch(sums, config.address(name), paths.raw_dir(config, name), source=name)
    lines = [f"{digest}  {file}\n" for file, digest in sums.items()]
    record_text(paths.downloaded(config, name), "".join(lines))


def raw(config: Config, name: str) -> None:
    """Unpack and list the raw files of a source."""
    from workflow.data.listing import list_raw

    list_raw(config, name)


def inventory(config: Config, name: str) -> None:
    """List the raw images of a data set."""
    from workflow.data.inventory import make_inventory

    make_inventory(config, name)


def split(config: Config, name: str) -> None:
    """Assign the images of a data set to train, val and test."""
    folder = paths.prepared(config, name)
    table = read_inventory(folder)
    made = make_split(config, name, table)
    with recorded(folder / "split.csv") as temporary:
        made.map(to_cell).to_csv(temporary, index=False, lineterminator="\n")
    for note in split_notes(config, name, table, made):
        sys.stdout.write(f"note: {note}\n")


def prepare(config: Config, name: str) -> None:
    """Write the arrays and the manifest of a data set."""
    from workflow.data.prepare import prepare as write_arrays

    write_arrays(config, name)


def gates(config: Config, name: str) -> None:
    """Check a prepared data set."""
    from workflow.data.gates import check

    check(config, name)


STEPS = {step.__name__: step for step in (phantom, download, raw, inventory, split, prepare, gates)}

if __name__ == "__main__":
    _, step, config_path, name = sys.argv
    run_step(STEPS[step], Path(config_path), name)
