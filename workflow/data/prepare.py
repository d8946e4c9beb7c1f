"""Raw images to prepared arrays: resized, uint8, one array per split, with a manifest.

Images are resized with an antialiased bilinear filter, masks by nearest neighbour, aspect not kept
(the paper resizes to a square). OCT slices stay single-channel; the loader repeats them. Labels
come from the raw reference, before resizing, so that a small fluid is not lost.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from workflow import paths
from workflow.config import Config
from workflow.data.arrays import NO_MASK
from workflow.data.errors import DataError
from workflow.data.source import RawImage, Source, open_source
from workflow.data.split import SPLITS
from workflow.files import replacing, sha256, write_json

# What each split's folder holds; labels.npy repeats the label columns for readers without pandas.
FILES = ("images.npy", "masks.npy", "labels.npy", "index.parquet")


def prepare(config: Config, dataset: str) -> None:
    """Write arrays, index and manifest of every split of a data set.

    Raises:
        DataError: as the source does, or some label has no positive training image.
    """
    folder = paths.prepared(config, dataset)
    inventory = pd.read_csv(folder / "inventory.csv", dtype={"id": str, "group": str})
    split = pd.read_csv(folder / "split.csv", dtype=str)
    table = inventory.merge(split, left_on="group", right_on="id", suffixes=("", "_split"))
    _check_labels(config, dataset, table)
    source, files = open_source(config, dataset), {}
    for name in SPLITS:
        rows = table[table["split"] == name].reset_index(drop=True)
        for path in _write_split(config, dataset, source, name, rows):
            files[str(path.relative_to(folder))] = sha256(path)
    write_json(folder / "manifest.json", _manifest(config, dataset, table, files))


def resize(image: RawImage, size: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and its mask as uint8 `[size, size(, 3)]` and `[size, size]`."""
    if image.pixels.ndim == 3:
        pixels = np.asarray(
            Image.fromarray(image.pixels).resize((size, size), Image.Resampling.BILINEAR)
        )
    else:
        # Float keeps the steps of a 16-bit vendor until the single rounding at the end.
        scale = 255 / np.iinfo(image.pixels.dtype).max
        grey = Image.fromarray(image.pixels.astype(np.float32) * scale)
        pixels = np.rint(np.asarray(grey.resize((size, size), Image.Resampling.BILINEAR)))
        pixels = pixels.astype(np.uint8)
    if image.mask is None:
        return pixels, np.full((size, size), NO_MASK, np.uint8)
    mask = Image.fromarray(image.mask).resize((size, size), Image.Resampling.NEAREST)
    return pixels, np.asarray(mask)


def _write_split(
    config: Config, dataset: str, source: Source, name: str, rows: pd.DataFrame
) -> list[Path]:
    definition = config.datasets[dataset]
    size = definition.image_size
    channels = (3,) if definition.source == "isic2017" else ()
    images = np.empty((len(rows), size, size, *channels), np.uint8)
    masks = np.empty((len(rows), size, size), np.uint8)
    position = {image: i for i, image in enumerate(rows["id"])}
    for group in rows["group"].unique():
        for image in source.read(group):
            row = position.pop(image.id, None)
            if row is not None:
                images[row], masks[row] = resize(image, size)
    if position:
        raise DataError(
            f"{dataset}: {len(position)} images of inventory.csv are not in the raw data, first "
            f"{min(position)}; delete {paths.prepared(config, dataset)} and start again"
        )
    folder = paths.prepared(config, dataset) / name
    index = _index(definition.labels, rows)
    labels = index[[f"label_{x}" for x in definition.labels]].to_numpy(np.uint8)
    for file, array in (("images", images), ("masks", masks), ("labels", labels)):
        with replacing(folder / f"{file}.npy") as temporary:
            np.save(temporary, array)
    with replacing(folder / "index.parquet") as temporary:
        index.to_parquet(temporary, index=False)
    return [folder / file for file in FILES]


def _index(labels: list[str], rows: pd.DataFrame) -> pd.DataFrame:
    columns = [f"label_{label}" for label in labels]
    index = rows[["id", "group", "width", "height", "has_mask", "sha256", *columns]].copy()
    index[columns] = index[columns].astype("int8")
    index["score_segmentation"] = rows["has_mask"] & (rows["tasks"] != "classification")
    index["score_classification"] = rows["tasks"] != "segmentation"
    return index


def _check_labels(config: Config, dataset: str, table: pd.DataFrame) -> None:
    training = table[table["split"] == "train"]
    for label in config.datasets[dataset].labels:
        if not training[f"label_{label}"].any():
            raise DataError(
                f"{dataset}: no training image has label {label!r}, so it cannot be learnt; "
                f"choose another split than {config.datasets[dataset].split!r}"
            )


def _manifest(
    config: Config, dataset: str, table: pd.DataFrame, files: dict[str, str]
) -> dict[str, Any]:
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
    manifest["hash"] = hashlib.sha256(canonical).hexdigest()
    return manifest


def _summary(rows: pd.DataFrame, labels: list[str]) -> dict[str, Any]:
    return {
        "images": len(rows),
        "groups": int(rows["group"].nunique()),
        "masks": int(rows["has_mask"].sum()),
        "positive": {label: int(rows[f"label_{label}"].sum()) for label in labels},
    }
