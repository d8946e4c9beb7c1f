"""What a source of raw data has to offer; everything after it is the same for all of them.

A source is one file with one class. It lists its images without decoding them (`inventory`) and
reads the images of one group (`read`); splitting, resizing and storing happen elsewhere.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from workflow.config import Config
from workflow.config_sections import Dataset


class RawImage(NamedTuple):
    """One image as it lies in the archive.

    `pixels` is `[H, W]` (OCT, any unsigned integer type) or `[H, W, 3]` (uint8 RGB); `mask` is
    uint8 `[H, W]` with 0 for background and k for the k-th lesion, or None where there is none.
    """

    id: str
    pixels: np.ndarray
    mask: np.ndarray | None


class Source(Protocol):
    """A data set in its raw layout."""

    def inventory(self) -> pd.DataFrame:
        """One row per image.

        Columns: id, group (volume or image), part (train, val, test as the archive has it, or
        empty), width, height, has_mask, sha256 (of the raw file), label_<name> (int8) for each
        label and pixels_<name> for each lesion where the raw format gives it cheaply.
        """
        ...

    def read(self, group: str) -> Iterator[RawImage]:
        """The images of one group, in the inventory's order."""
        ...


def open_source(config: Config, dataset: str) -> Source:
    """The source that a data set's configuration names."""
    from workflow.data.isic2017 import Isic2017
    from workflow.data.retouch import Retouch

    definition: Dataset = config.datasets[dataset]
    raw = config.raw_dir(definition.source)
    if definition.source == "retouch":
        return Retouch(raw, definition)
    return Isic2017(raw, definition)
