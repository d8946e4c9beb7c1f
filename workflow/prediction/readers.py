"""The readers of single image files as prediction uses them: the one place that names them."""

from pathlib import Path

import numpy as np

from workflow.data.sources.folder import _mask_values, _pixels
from workflow.data.sources.retouch import stretch

__all__ = ["read_mask_values", "read_picture", "stretch"]


def read_picture(path: Path, color: bool) -> np.ndarray:
    """One image file as those of a folder of one's own are read for training.

    Raises:
        DataError: the file cannot be used.
    """
    return _pixels(path, color)


def read_mask_values(path: Path) -> np.ndarray:
    """The values `[H, W]` of one mask file, before any is taken for a lesion.

    Raises:
        DataError: the file cannot be used.
    """
    return _mask_values(path)
