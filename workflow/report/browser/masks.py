"""Saved masks read a few at a time, and written as the blocks that the image browser loads.

A run's masks are hundreds of megabytes, and a report shows hundreds of runs: nothing here holds
more of a run than a block.
"""

import base64
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow.base.digests import reading
from workflow.base.errors import DataError
from workflow.metrics.saved import AGAIN
from workflow.report.browser.mask_png import mask_png
from workflow.report.browser.scripts import call

BLOCK = 32  # images
MEMBER = "masks.npy"

Masks = NDArray[np.uint8]


def holds_masks(file: Path) -> bool:
    """Whether there are masks in a masks.npz: not if the method draws none, or its run failed.

    Raises:
        DataError: it is no archive.
    """
    if not file.is_file():
        return False
    with reading(file), zipfile.ZipFile(file) as archive:
        return MEMBER in archive.namelist()


def read_masks(file: Path, shape: tuple[int, ...], count: int) -> Iterator[Masks]:
    """The masks of a masks.npz, uint8 `[count, H, W]` at a time; the last ones may be fewer.

    Args:
        file: the file that they are saved in.
        shape: `(N, H, W)` of the test split, which they must have.
        count: how many are in memory at a time.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    with reading(file), zipfile.ZipFile(file) as archive, archive.open(MEMBER) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise DataError(f"{file}: found a .npy of version {version}, expected 1.0; {AGAIN}")
        found, fortran, kind = np.lib.format.read_array_header_1_0(stream)
        if (found, fortran, kind) != (shape, False, np.uint8):
            raise DataError(
                f"{file}: found masks {kind} {found}, expected uint8 {shape} as the test "
                f"split has; {AGAIN}"
            )
        for first in range(0, shape[0], count):
            part = (min(count, shape[0] - first), *shape[1:])
            data = stream.read(int(np.prod(part)))
            yield np.frombuffer(data, np.uint8).reshape(part)


def write_blocks(
    folder: Path, dataset: str, source: str, seed: int | None, blocks: Iterable[Masks]
) -> None:
    """Write masks as scripts, a file for each block.

    Args:
        folder: the folder to write to.
        dataset: key of the data set.
        source: key of the method, or `reference`.
        seed: the seed of the run; None for the reference.
        blocks: uint8 `[BLOCK, H, W]` each; the last one may be shorter.
    """
    for number, masks in enumerate(blocks):
        pictures = [base64.b64encode(mask_png(mask)).decode() for mask in masks]
        text = call("masks", dataset, source, seed, number, pictures)
        (folder / f"{number}.js").write_text(text, encoding="utf-8")
