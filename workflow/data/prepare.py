"""Raw images to prepared arrays: resized, uint8, one array per split, with a manifest.

Aspect is not kept (the paper resizes to a square). OCT slices stay single-channel; the loader
repeats them. Labels come from the raw reference, before resizing, so that a small fluid is not
lost. Groups are read by several threads; memory holds a few groups at a time, never a whole split.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow.base.digests import (
    intact,
    reading,
    record_json,
    record_text,
    recorded,
    recorded_digest,
)
from workflow.base.errors import DataError
from workflow.base.files import from_cell, sha256
from workflow.base.workers import WorkProgress, each, usable_threads
from workflow.config import paths
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.data.inventory import read_inventory
from workflow.data.resize import resize
from workflow.data.sources.source import ignored_by, open_source
from workflow.data.split import SPLITS, left_out
from workflow.running import fingerprint

# What each split's folder holds; labels.npy repeats the label columns for readers without pandas.
FILES = ("images.npy", "masks.npy", "labels.npy", "index.parquet")


def prepare(config: Config, dataset: str, say: Callable[[str], None] = print) -> None:
    """Write arrays, index, manifest and identity of a data set.

    Raises:
        DataError: as the source does, or the raw data lacks an image of the inventory.
    """
    folder = paths.prepared(config, dataset)
    with reading(folder / "split.csv") as file:
        split = pd.read_csv(file, dtype=str, keep_default_na=False).map(from_cell)
    inventory = read_inventory(folder)
    table = inventory.merge(split, on="id", validate="one_to_one")
    files: dict[str, str] = {}
    with ExitStack() as stack:
        rows = {name: table[table["split"] == name].reset_index(drop=True) for name in SPLITS}
        arrays = {
            name: _open_arrays(stack, folder / name, config.datasets[dataset], len(rows[name]))
            for name in SPLITS
        }
        found = _fill(config, dataset, rows, arrays, say)
        found["ignored"] += left_out(config.datasets[dataset].split, inventory, split)
        for name in SPLITS:
            _write_labels(stack, folder / name, config.datasets[dataset].labels, rows[name])
    for name in SPLITS:
        for file in FILES:
            files[f"{name}/{file}"] = recorded_digest(folder / name / file)
    record_json(paths.raw_facts(config, dataset), found)
    manifest = _manifest(config, dataset, table, files)
    record_json(folder / "manifest.json", manifest)
    record_text(paths.identity(config, dataset), f"{manifest['hash']}\n")


def _open_arrays(
    stack: ExitStack, folder: Path, definition: Dataset, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """New memory-mapped images and masks, which take their places when the stack ends well."""
    size = definition.image_size
    shapes = {
        "images": (count, size, size, *([3] if definition.color else [])),
        "masks": (count, size, size),
    }
    images, masks = (
        _new_array(stack.enter_context(recorded(folder / f"{name}.npy")), shape)
        for name, shape in shapes.items()
    )
    return images, masks


def _new_array(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A memory-mapped uint8 array whose place on the disk is taken: else a full disk is a crash."""
    array = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    with file.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    return array


def _fill(
    config: Config,
    dataset: str,
    rows: dict[str, pd.DataFrame],
    arrays: dict[str, tuple[np.ndarray, np.ndarray]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Read every group that has an image in some split, and put its images in their places.

    Returns:
        What only the raw files say: `ignored`, the files that are not used, and
        `lost_in_resizing`, for each lesion the images whose raw mask alone holds it.
    """
    source, size = open_source(config, dataset), config.datasets[dataset].image_size
    places = {image: (name, row) for name in SPLITS for row, image in enumerate(rows[name]["id"])}
    groups = pd.concat(rows.values())["group"].unique().tolist()
    absent = sorted(set(groups) - set(source.groups))
    if absent:
        raise DataError(
            f"{dataset}: {len(absent)} groups of inventory.csv are not in the raw data, first "
            f"{absent[0]}; bring them back, or delete {paths.prepared(config, dataset)}"
        )

    lesions = config.datasets[dataset].lesions
    lost = {lesion: list[str]() for lesion in lesions}

    def place(group: str) -> list[str]:
        placed = []
        for image in source.read(group, size):
            if image.id in places:
                name, row = places[image.id]
                arrays[name][0][row], arrays[name][1][row] = resize(image, size, config.data.resize)
                placed.append(image.id)
                for k in _lost(image.mask, arrays[name][1][row], len(lesions)):
                    lost[lesions[k - 1]].append(image.id)
        return placed

    progress, waiting = WorkProgress(f"prepare {dataset}", len(places), "images", say), set(places)
    for placed in each(place, groups, usable_threads(config.data.threads)):
        waiting.difference_update(placed)
        progress.add(len(placed))
    progress.end()
    if waiting:
        raise DataError(
            f"{dataset}: {len(waiting)} images of inventory.csv are not in the raw data, first "
            f"{min(waiting)}; delete {paths.prepared(config, dataset)} and start again"
        )
    return {
        "ignored": [*ignored_by(source)],
        "lost_in_resizing": {lesion: sorted(images) for lesion, images in lost.items()},
    }


def _lost(raw: np.ndarray | None, prepared: np.ndarray, lesions: int) -> list[int]:
    """The lesions 1, 2, ... that a raw mask holds and the prepared one does not."""
    if raw is None:
        return []
    there = np.bincount(prepared.ravel(), minlength=lesions + 1)
    return [k for k in range(1, lesions + 1) if not there[k] and (raw == k).any()]


def _write_labels(stack: ExitStack, folder: Path, labels: list[str], rows: pd.DataFrame) -> None:
    """Write the index of a split, and its labels once more as an array."""
    columns = [f"label_{label}" for label in labels]
    index = rows[["id", "group", "width", "height", "has_mask", "sha256", *columns]].copy()
    index[columns] = index[columns].astype("int8")
    index["score_segmentation"] = rows["has_mask"] & (rows["tasks"] != "classification")
    index["score_classification"] = rows["tasks"] != "segmentation"
    np.save(stack.enter_context(recorded(folder / "labels.npy")), index[columns].to_numpy(np.uint8))
    index.to_parquet(stack.enter_context(recorded(folder / "index.parquet")), index=False)


def _manifest(
    config: Config, dataset: str, table: pd.DataFrame, files: dict[str, str]
) -> dict[str, Any]:
    """What was prepared from what; `hash` is of all that training and evaluation can notice."""
    definition = config.datasets[dataset]
    sizes = Counter(f"{w}×{h}" for w, h in zip(table["width"], table["height"], strict=True))
    manifest: dict[str, Any] = {
        "dataset": dataset,
        "source": definition.source,
        "origin": config.data.origin,
        "image_size": definition.image_size,
        "lesions": definition.lesions,
        "labels": definition.labels,
        "split": definition.split,
        "groups": int(table["group"].nunique()),
        "original_sizes": [size for size, _ in sizes.most_common()],
        "splits": {
            name: _summary(table[table["split"] == name], definition.labels) for name in SPLITS
        },
        "files": files,
    }
    canonical = json.dumps(manifest, sort_keys=True).encode()
    inputs = paths.prepared(config, dataset) / "inputs.csv"
    return {
        **manifest,
        "hash": hashlib.sha256(canonical).hexdigest(),
        # How it came about: another way to the same arrays re-trains nothing.
        "parameters": {
            "resize": config.data.resize.model_dump(),
            "slice_step": definition.slice_step,
            "intensity": definition.intensity,
        },
        "inputs": {"list": inputs.name, "sha256": sha256(intact(inputs))},
        "code": fingerprint.code_hash("workflow.data.prepare"),
    }


def _summary(rows: pd.DataFrame, labels: list[str]) -> dict[str, Any]:
    return {
        "images": len(rows),
        "groups": int(rows["group"].nunique()),
        "masks": int(rows["has_mask"].sum()),
        "positive": {label: int(rows[f"label_{label}"].sum()) for label in labels},
    }
