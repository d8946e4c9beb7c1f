"""Superpixels: `python -m workflow.training.pretraining.superpixels CONFIG DATASET METHOD COUNT`.

SLIC takes a good part of a second per image and count, so each training image is cut once, for all
seeds and epochs. Images of the other splits are not opened.
"""

import sys
from pathlib import Path

import numpy as np

from workflow.base.digests import reading, recorded
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.model import Config
from workflow.config.sections import Pretraining
from workflow.data.arrays import load_array
from workflow.running.step import run_step


def pretraining_of(config: Config, method: str) -> Pretraining:
    """The `pretraining` section of a method.

    Raises:
        ConfigError: the method has none.
    """
    settings = config.methods[method].pretraining
    if settings is None:
        raise ConfigError(f"methods.{method}: there is no `pretraining` section, so no such step")
    return settings


def training_images(config: Config, dataset: str, method: str) -> np.ndarray:
    """The training images that take part in pretraining, uint8 `[N, H, W]` or `[N, H, W, 3]`.

    Where the configuration limits them, they lie evenly over the split, whatever the seed.
    """
    images = load_array(paths.prepared(config, dataset) / "train" / "images.npy")
    wanted = pretraining_of(config, method).images or len(images)
    rows = np.linspace(0, len(images) - 1, min(wanted, len(images))).round().astype(int)
    return images[rows]


def cut(image: np.ndarray, count: int, compactness: float) -> np.ndarray:
    """The superpixels of an image.

    Args:
        image: uint8 `[H, W]` or `[H, W, 3]`.
        count: how many to aim at; SLIC makes fewer or more.
        compactness: weight of nearness against likeness of colour.

    Returns:
        Label map uint16 `[H, W]`; ids count from 1 to the map's largest.
    """
    from skimage.segmentation import slic

    labels = slic(
        image,
        n_segments=count,
        compactness=compactness,
        start_label=1,
        channel_axis=None if image.ndim == 2 else -1,
    )
    return labels.astype(np.uint16)


def write_superpixels(config: Config, dataset: str, method: str, count: str) -> None:
    """Cut every training image that takes part, and write the maps to one file."""
    compactness = pretraining_of(config, method).compactness
    images = training_images(config, dataset, method)
    maps = np.stack([cut(image, int(count), compactness) for image in images])
    with recorded(paths.superpixels(config, dataset, method, count)) as temporary:
        np.savez_compressed(temporary, labels=maps)


def load_superpixels(config: Config, dataset: str, method: str, count: int) -> np.ndarray:
    """The label maps uint16 `[N, H, W]` of `training_images`."""
    with reading(paths.superpixels(config, dataset, method, count)) as file, np.load(file) as saved:
        return saved["labels"]


if __name__ == "__main__":
    run_step(write_superpixels, Path(sys.argv[1]), *sys.argv[2:])
