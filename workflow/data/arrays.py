"""Prepared arrays as training and evaluation read them: memory-mapped, and without pandas.

Every training job opens them, and importing pandas alone would cost each of them a second.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.base.digests import reading
from workflow.config import paths
from workflow.config.model import Config

# An image without a reference mask holds this value everywhere in masks.npy.
NO_MASK = 255


@dataclass(frozen=True)
class Arrays:
    """One split of a data set.

    Attributes:
        images: uint8 `[N, H, W]` (OCT) or `[N, H, W, 3]`.
        masks: uint8 `[N, H, W]`; 0 background, k the k-th lesion, 255 everywhere: no mask.
        labels: uint8 `[N, n_cls]` of 0 and 1, in the configuration's order.
        folder: the folder with the arrays and, beside them, index.parquet.
    """

    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    folder: Path


def load_arrays(config: Config, dataset: str, split: str) -> Arrays:
    """Open one split (train, val or test) of a prepared data set.

    Raises:
        DataError: a file of it is damaged, or not there.
    """
    folder = paths.prepared(config, dataset) / split
    return Arrays(
        *(load_array(folder / f"{name}.npy") for name in ("images", "masks", "labels")),
        folder=folder,
    )


def load_array(file: Path) -> np.ndarray:
    """Open one prepared array, memory-mapped, once it is found to be what was written."""
    with reading(file):
        return np.load(file, mmap_mode="r")
