"""A data set brought in as a run would do it, but in a temporary place, and what is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workflow.base.errors import DataError
from workflow.base.files import read_json, replacing
from workflow.config import paths
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.gates import check
from workflow.data.inventory import make_inventory, read_inventory
from workflow.data.listing import list_raw
from workflow.data.prepare import prepare
from workflow.data.split import SPLITS, make_split, split_notes

# A label or lesion in fewer groups than this is learnt and scored by chance.
FEW_GROUPS = 5
# Of all images, what one group holds before a split by groups has little choice.
LARGE_GROUP = 0.3
# Width by height that the square of training changes by more than this.
STRETCHED = 1.5
LOOKED_AT = 200  # images whose grey levels are counted


class Look(NamedTuple):
    """What was found.

    Attributes:
        dataset: key of the data set.
        config: the configuration, whose results lie in the temporary place.
        inventory: a row per image, with its `split` (empty for none).
        gates: `gates.json` as a run would write it; empty if a gate failed.
        said: what the steps said, a line each.
        warnings: what one should know before training, a line each.
        failures: what a gate refuses, a line each; nothing can be trained then.
    """

    dataset: str
    config: Config
    inventory: pd.DataFrame
    gates: dict[str, Any]
    said: list[str]
    warnings: list[str]
    failures: list[str]

    @property
    def definition(self) -> Dataset:
        """The configuration of the data set."""
        return self.config.datasets[self.dataset]


def look_at(config: Config, dataset: str, place: Path, progress: Callable[[str], None]) -> Look:
    """Prepare a data set in a temporary place, and look at it.

    Args:
        config: the configuration.
        dataset: key of a data set of source `folder`.
        place: an empty folder, to which everything is written.
        progress: takes a line when a step begins.

    Raises:
        DataError: what a step before the gates raises; nothing can be shown then.
    """
    data = config.data.model_copy(update={"store": str(place / "store")})
    # An absolute path stays what it is behind `results/`.
    here = config.model_copy(update={"preset": str(place.resolve() / "results"), "data": data})
    folder, said, failures = paths.prepared(here, dataset), list[str](), list[str]()
    progress("list and hash the files")
    list_raw(here, here.raw_source(dataset), said.append)
    progress("open every image and mask")
    make_inventory(here, dataset, said.append)
    table = read_inventory(folder)
    progress("split and prepare")
    split = make_split(here, dataset, table)
    with replacing(folder / "split.csv") as temporary:
        split.to_csv(temporary, index=False, lineterminator="\n")
    prepare(here, dataset, said.append)
    progress("check")
    try:
        check(here, dataset, said.append)
    except DataError as error:
        failures = str(error).splitlines()
    gates = {} if failures else read_json(paths.gates(here, dataset))
    merged = table.merge(split[["id", "split"]], on="id", how="left").fillna({"split": ""})
    notes = split_notes(here, dataset, table, split)
    found = Look(dataset, here, merged, gates, said, [], failures)
    return found._replace(warnings=[*notes, *_warnings(found)])


def levels_of(found: Look) -> list[int]:
    """How many grey levels prepared images have, of some of all splits."""
    counts = []
    for split in SPLITS:
        images = load_arrays(found.config, found.dataset, split).images
        step = max(1, len(images) * len(SPLITS) // LOOKED_AT)
        counts += [len(np.unique(image)) for image in images[::step]]
    return counts


def mask_shares(found: Look) -> dict[str, list[float]]:
    """Lesion -> its share of the pixels, of each prepared mask."""
    shares: dict[str, list[float]] = {name: [] for name in found.definition.lesions}
    for split in SPLITS:
        for mask in load_arrays(found.config, found.dataset, split).masks:
            if mask.flat[0] == NO_MASK:
                continue
            for k, name in enumerate(found.definition.lesions, start=1):
                shares[name].append(float((mask == k).mean()))
    return shares


def _warnings(found: Look) -> list[str]:
    table, definition = found.inventory, found.definition
    size = definition.image_size
    warnings = []
    small = table[(table["width"] < size) | (table["height"] < size)]
    if len(small):
        warnings.append(
            f"{len(small)} of {len(table)} images are smaller than image_size {size}, such as "
            f"{small['id'].iloc[0]} ({small['width'].iloc[0]}×{small['height'].iloc[0]}); they are "
            "blown up"
        )
    ratio = table["width"] / table["height"]
    wide = table[(ratio > STRETCHED) | (ratio < 1 / STRETCHED)]
    if len(wide):
        warnings.append(
            f"{len(wide)} of {len(table)} images are far from square, such as {wide['id'].iloc[0]} "
            f"({wide['width'].iloc[0]}×{wide['height'].iloc[0]}); a square does not keep that"
        )
    return [*warnings, *_groups(found), *_rare(found)]


def _groups(found: Look) -> list[str]:
    """What is odd about the groups."""
    table, warnings = found.inventory, []
    sizes = table.groupby("group").size()
    if not found.definition.by_volume:
        from workflow.data.inspection.group_pattern import guess_groups

        guess = guess_groups(table["id"].tolist())
        if guess is not None:
            warnings.append(
                f"each image is a group of its own, but ids look as if {guess.images} images were "
                f"of {guess.groups} patients ({guess.example}); if so, set folder.group_pattern to "
                f"'{guess.pattern}', or they lie on both sides of the split"
            )
    elif sizes.max() > LARGE_GROUP * len(table):
        warnings.append(
            f"group {sizes.idxmax()} has {sizes.max()} of {len(table)} images; a split by groups "
            "has little choice"
        )
    return warnings


def _rare(found: Look) -> list[str]:
    """Labels that few groups have, or that few have not."""
    table, warnings = found.inventory, []
    for label in found.definition.labels:
        for value, what in ((1, "with"), (0, "without")):
            groups = table.loc[table[f"label_{label}"] == value, "group"].nunique()
            if groups < FEW_GROUPS:
                warnings.append(
                    f"only {groups} groups have an image {what} label {label!r}; its scores say "
                    "little"
                )
    return warnings
