"""What a source of raw data has to offer; everything after it is the same for all of them.

A source is one file: `open_source` and a class, and of a public source `ABOUT`, which says all that
the rest of the workflow has to know of it (`workflow.config.sources`). The class says which groups
of images there are, lists a group's images (`rows`) and reads them (`read`); splitting, resizing
and storing happen elsewhere. Groups are independent of each other: several threads read different
groups of one source at a time.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from workflow.config.model import Config


class RawImage(NamedTuple):
    """One image as it lies in the archive, or smaller where that is exact enough.

    Attributes:
        id: the name by which the image is known.
        pixels: `[H, W]` (grey, uint8 or float32 from 0 to 255) or `[H, W, 3]` (uint8 RGB).
        mask: uint8 `[H, W]` of the raw size with 0 for background and k for the k-th lesion, or
            None where there is none.
        extent: height and width in `pixels` that the image really covers: a JPEG decoded at an
            eighth of its size ends within its last row and column.
    """

    id: str
    pixels: np.ndarray
    mask: np.ndarray | None
    extent: tuple[float, float]


# One image of the inventory: id, group (volume, patient or the image itself), part (train, val,
# test as the archive has it, or empty), width, height, has_mask, label_<name> (0 or 1) for each
# label, pixels_<name> for each lesion where counting is cheap, and `files`: the paths of the raw
# files it rests on, its own first.
Row = dict[str, Any]


class Source(Protocol):
    """A data set in its raw layout."""

    groups: Sequence[str]
    """The groups in their order."""

    tables: Sequence[Path]
    """Raw files that belong to no single group, such as tables of labels."""

    def rows(self, group: str) -> list[Row]:
        """The images of one group, listed; checks what can be checked without decoding all."""
        ...

    def read(self, group: str, size: int) -> Iterator[RawImage]:
        """The images of one group in the order of `rows`, to be resized to `size` by the caller."""
        ...


def ignored_by(source: Source) -> Sequence[str]:
    """Lines that name what lies among the raw files and is not used, each with the reason.

    A source in whose layout everything has its place need not have any (`source.ignored`).
    """
    return getattr(source, "ignored", ())


def open_source(config: Config, dataset: str) -> Source:
    """The source that a data set's configuration names, which is also its module's name.

    Looked up by name, so that no source is part of what another one's results rest on.

    Raises:
        DataError: its files are not there or contradict themselves or what is on record.
    """
    module = importlib.import_module(f"workflow.data.sources.{config.datasets[dataset].source}")
    return module.open_source(config, dataset)
