"""How many images each split of a data set has, before it is prepared as well as after."""

from pathlib import Path
from typing import NamedTuple

from workflow.base.errors import ConfigError
from workflow.base.files import read_csv, read_json, read_yaml
from workflow.config import paths
from workflow.config.datasets import Dataset, kfold_of
from workflow.config.model import Config

# B-scans of a phantom volume, as most real volumes have them.
PHANTOM_SLICES = {"Cirrus": 128, "Spectralis": 49, "Topcon": 128}


class Images(NamedTuple):
    """Images per split.

    Attributes:
        known: `prepared` (counted), `on record` (what the files must hold), or `roughly` (which
            volumes fall into which split is decided by the preparation).
    """

    train: int
    val: int
    test: int
    known: str

    @property
    def total(self) -> int:
        """Images of all splits."""
        return self.train + self.val + self.test


def images_of(config: Config, dataset: str) -> Images:
    """The images of a data set.

    Raises:
        ConfigError: it is a folder of the user's own, and is not prepared yet.
    """
    manifest = paths.prepared(config, dataset) / "manifest.json"
    if manifest.is_file():
        splits = read_json(manifest)["splits"]
        return _images({name: split["images"] for name, split in splits.items()}, "prepared")
    definition = config.datasets[dataset]
    if definition.source == "isic2017":
        return _isic(config, definition)
    if definition.source == "retouch":
        return _retouch(config, definition)
    raise ConfigError(
        f"datasets.{dataset}: how many images it has is known once it is prepared, and "
        f"{manifest} is not there; run snakemake --cores all {manifest} first"
    )


def _isic(config: Config, definition: Dataset) -> Images:
    """The phantom archives' size, or the record's; a CSV as split leaves images out."""
    if config.demo:
        made = config.data.phantom.isic2017
        return Images(made.train, made.val, made.test, "on record")
    if definition.split.endswith(".csv"):
        rows = read_csv(Path(definition.split))
        return _counted({row["id"]: 1 for row in rows}, definition.split)
    if config.data.isic2017_record is None:
        return Images(2000, 150, 600, "roughly")
    counts = read_yaml(Path(config.data.isic2017_record))["counts"]
    return _images({name: of_split["images"] for name, of_split in counts.items()}, "on record")


def _retouch(config: Config, definition: Dataset) -> Images:
    """Slices of the vendor's volumes, every `slice_step`-th, over the splits."""
    vendor, step = str(definition.vendor), definition.slice_step
    if config.demo:
        made = config.data.phantom.retouch
        volumes = {str(number): PHANTOM_SLICES[vendor] for number in range(made.volumes)}
    elif config.data.retouch_record:
        rows = read_csv(Path(config.data.retouch_record))
        volumes = {row["id"]: int(row["slices"]) for row in rows if row["vendor"] == vendor}
    else:
        raise ConfigError(
            "data.retouch_record: found null, so the volumes are known once they are read; "
            "prepare the data first, or name the record"
        )
    taken = {name: -(-slices // step) for name, slices in volumes.items()}
    if definition.split.endswith(".csv") and not config.demo:
        return _counted(taken, definition.split)
    # Which volumes go where is not known yet, only how many.
    each, count = sum(taken.values()) / len(taken), len(taken)
    folds = kfold_of(definition.split)
    test = count / folds[1] if folds else config.data.test_volumes
    val = count / folds[1] if folds else config.data.val_volumes
    shares = {"train": count - val - test, "val": val, "test": test}
    return _images({name: round(share * each) for name, share in shares.items()}, "roughly")


def _counted(sizes: dict[str, int], split: str) -> Images:
    """The images of each split by a CSV of ids, of images or of volumes."""
    counts = {"train": 0, "val": 0, "test": 0}
    for row in read_csv(Path(split)):
        if row["split"] in counts:
            counts[row["split"]] += sizes.get(row["id"], 0)
    return _images(counts, "on record")


def _images(counts: dict[str, int], known: str) -> Images:
    return Images(counts["train"], counts["val"], counts["test"], known)
