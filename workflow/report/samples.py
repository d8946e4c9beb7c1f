"""Sample images of a data set for the report: the image beside itself with its reference."""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from workflow.base.digests import reading
from workflow.config import paths
from workflow.config.model import Config
from workflow.data.arrays import load_array
from workflow.figures.overlays import as_rgb, paint_classes

COUNT = 6
LOOKED_AT = 8
SIDE = 192


class Sample(NamedTuple):
    """A picture of the report: file name, image id, and the labels it has."""

    file: str
    id: str
    labels: str


def write_samples(config: Config, dataset: str, folder: Path, prefix: str) -> list[Sample]:
    """Write PNGs of some training images with a label and a mask, from all over the split.

    Args:
        config: the resolved configuration.
        dataset: the data set whose images are drawn.
        folder: the folder to write to.
        prefix: how the file names begin; must be a safe file name.
    """
    source = paths.prepared(config, dataset) / "train"
    definition = config.datasets[dataset]
    with reading(source / "index.parquet") as file:
        index = pd.read_parquet(file)
    labels = index[[f"label_{name}" for name in definition.labels]].to_numpy() > 0
    images = load_array(source / "images.npy")
    masks = load_array(source / "masks.npy")
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    candidates = np.flatnonzero(index["has_mask"].to_numpy(bool) & labels.any(axis=1))
    for number, row in enumerate(choose_samples(candidates, masks)):
        file = f"{prefix}_{number}.png"
        painted = paint_classes(images[row], masks[row], definition.lesions)
        _save(folder / file, as_rgb(np.asarray(images[row])), painted)
        present = itertools.compress(definition.labels, labels[row])
        samples.append(Sample(file, str(index["id"].iloc[row]), ", ".join(present)))
    return samples


def choose_samples(candidates: np.ndarray, masks: np.ndarray) -> list[int]:
    """From each of `COUNT` equal parts of the candidates, the image with the largest lesion.

    Only `LOOKED_AT` masks of a part are read: a whole split is hundreds of megabytes.
    """
    chosen = []
    for part in np.array_split(candidates, min(COUNT, len(candidates)) or 1):
        looked_at = part[:: max(1, len(part) // LOOKED_AT)]
        sizes = [np.count_nonzero(masks[row]) for row in looked_at]
        chosen += [int(looked_at[np.argmax(sizes)])] if sizes else []
    return chosen


def write_thumbnail(picture: Path, thumbnail: Path, width: int = 640) -> None:
    """Write a small copy of a picture, in the format of the suffix."""
    thumbnail.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(picture) as image:
        size = (width, max(1, round(image.height * width / image.width)))
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2).save(
            thumbnail, quality=82
        )


def _save(path: Path, image: np.ndarray, painted: np.ndarray) -> None:
    """Image and painted image side by side, each `SIDE` pixels."""
    pair = Image.new("RGB", (2 * SIDE, SIDE))
    for position, pixels in enumerate((image, painted)):
        small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pair.paste(small, (position * SIDE, 0))
    pair.save(path)
