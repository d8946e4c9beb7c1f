"""How many images each split of a data set has, before it is prepared as well as after."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from workflow.base.digests import read_recorded_json
from workflow.base.errors import ConfigError
from workflow.base.files import read_csv, read_yaml
from workflow.config import paths
from workflow.config.datasets import Dataset, kfold_of, ratio_of
from workflow.config.model import Config
from workflow.config.sources import PublicSource


class ImageCounts(NamedTuple):
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


def images_of(config: Config, dataset: str) -> ImageCounts:
    """The images of a data set.

    Raises:
        ConfigError: it is a folder of the user's own, and is not prepared yet.
    """
    manifest = paths.prepared(config, dataset) / "manifest.json"
    if manifest.is_file():
        splits = read_recorded_json(manifest)["splits"]
        return _images({name: split["images"] for name, split in splits.items()}, "prepared")
    definition = config.datasets[dataset]
    if definition.public:
        counted = _of_volumes if definition.volumes else _of_parts
        return counted(config, definition, definition.public)
    raise ConfigError(
        f"datasets.{dataset}: how many images it has is known once it is prepared, and "
        f"{manifest} is not there; run snakemake --cores all {manifest} first"
    )


def _of_parts(config: Config, definition: Dataset, about: PublicSource) -> ImageCounts:
    """The phantom archives' size, or the record's; a CSV as split leaves images out."""
    if config.demo:
        return _images(config.phantom_sizes(definition.source), "on record")
    if definition.split.endswith(".csv"):
        rows = read_csv(Path(definition.split))
        return _counted({row["id"]: 1 for row in rows}, definition.split)
    record = config.record(definition.source)
    if record is None:
        if about.parts is None:
            raise ConfigError(_unknown(definition, "images"))
        return _images(about.parts, "roughly")
    counts = read_yaml(Path(record))["counts"]
    return _images({name: of_split["images"] for name, of_split in counts.items()}, "on record")


def _of_volumes(config: Config, definition: Dataset, about: PublicSource) -> ImageCounts:
    """Slices of the vendor's volumes, every `slice_step`-th, over the splits."""
    vendor, step = str(definition.vendor), definition.slice_step
    if config.demo:
        count = config.phantom_sizes(definition.source)["volumes"]
        volumes = {str(number): about.phantom_slices[vendor] for number in range(count)}
    elif record := config.record(definition.source):
        rows = read_csv(Path(record))
        volumes = {row["id"]: int(row["slices"]) for row in rows if row["vendor"] == vendor}
    else:
        raise ConfigError(_unknown(definition, "volumes"))
    taken = {name: -(-slices // step) for name, slices in volumes.items()}
    if definition.split.endswith(".csv") and not config.demo:
        return _counted(taken, definition.split)
    # Which volumes go where is not known yet, only how many.
    each, count = sum(taken.values()) / len(taken), len(taken)
    folds, ratio = kfold_of(definition.split), ratio_of(definition.split)
    if folds:
        val = test = count / folds[1]
    elif ratio:
        val, test = ratio[1] * count, ratio[2] * count
    else:
        val, test = config.data.val_volumes, config.data.test_volumes
    shares = {"train": count - val - test, "val": val, "test": test}
    return _images({name: round(share * each) for name, share in shares.items()}, "roughly")


def _unknown(definition: Dataset, what: str) -> str:
    return (
        f"data.{definition.source}_record: found null, so the {what} are known once they are read; "
        "prepare the data first, or name the record"
    )


def _counted(sizes: dict[str, int], split: str) -> ImageCounts:
    """The images of each split by a CSV of ids, of images or of volumes."""
    counts = {"train": 0, "val": 0, "test": 0}
    for row in read_csv(Path(split)):
        if row["split"] in counts:
            counts[row["split"]] += sizes.get(row["id"], 0)
    return _images(counts, "on record")


def _images(counts: Mapping[str, int], known: str) -> ImageCounts:
    return ImageCounts(counts["train"], counts["val"], counts["test"], known)
