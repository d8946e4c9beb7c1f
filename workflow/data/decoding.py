"""Image files to arrays, with errors that name the file.

Decoding photographs of many megapixels is the slow part of preparation. A JPEG can be decoded at a
half, a quarter or an eighth of its size for a fraction of the time, because the decoder leaves out
high frequencies that resizing would remove anyway. `benchmarks/data.py` measures what that changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from workflow.base.errors import DataError
from workflow.data.reading.pictures import (
    DAMAGED,
    PHOTOGRAPHS,
    check_opaque,
    check_shown,
    kind_of,
)

# A reduced image is at least this many times as large as wanted, so that the antialiasing filter
# that follows decides what is seen, not the decoder's.
MARGIN = 2
# The largest photograph on record has 30 million pixels; far larger ones are refused as damaged.
# Pillow itself opens none above 178,956,970.
LARGEST_PIXELS = 150_000_000


def size_of(path: Path, formats: tuple[str, ...] = PHOTOGRAPHS) -> tuple[int, int]:
    """Width and height of an image file, from its header; it must be a single one, and upright.

    Args:
        path: the file.
        formats: Pillow's names of the formats that it may have.
    """
    try:
        with _opened(path, formats) as image:
            check_shown(path, image)
            return image.size
    except DAMAGED as error:
        raise _told(path, error, "not an image") from error


@contextmanager
def _opened(path: Path, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """An image file of one of some formats that is not too large to be one."""
    with Image.open(path, formats=formats) as image:
        width, height = image.size
        if width * height > LARGEST_PIXELS:
            raise DataError(
                f"{path}: says it has {width} × {height} pixels; expected at most "
                f"{LARGEST_PIXELS:,} in all. Fetch it again"
            )
        yield image


def _told(path: Path, error: Exception, otherwise: str) -> DataError:
    """What to say of a file that cannot be read."""
    if isinstance(error, DataError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return DataError(f"{path}: {str(error).rstrip('.')}; fetch it again")
    if isinstance(error, Image.UnidentifiedImageError):
        kind = kind_of(path)
        found = f" (found {kind})" if kind else ""
        return DataError(f"{path}: not an image; fetch it again{found}")
    return DataError(f"{path}: {otherwise}; fetch it again")


def decode(path: Path, mode: str, formats: tuple[str, ...] = PHOTOGRAPHS) -> np.ndarray:
    """The pixels of an image file as they are shown.

    Args:
        path: the file.
        mode: `L` for greys, `RGB` for colours.
        formats: Pillow's names of the formats that it may have.

    Returns:
        uint8 `[H, W]` or `[H, W, 3]`.
    """
    try:
        with _opened(path, formats) as image:
            check_shown(path, image)
            bits = check_opaque(path, image)
            if bits > 8:
                raise DataError(f"{path}: found {bits} bits; expected 8. Fetch it again")
            return np.asarray(image.convert(mode))
    except DAMAGED as error:
        raise _told(path, error, "cannot be decoded") from error


def decode_reduced(
    path: Path, size: int, formats: tuple[str, ...] = PHOTOGRAPHS
) -> tuple[np.ndarray, tuple[float, float]]:
    """An RGB image, decoded no larger than resizing to `size` needs.

    Returns:
        uint8 `[H, W, 3]`, and the height and width in it that the image really covers.
    """
    size_of(path, formats)
    try:
        with _opened(path, formats) as image:
            # Only JPEGs have a draft; other formats, and small images, come at full size.
            if image.format != "JPEG":
                check_opaque(path, image)
            draft = image.draft("RGB", (MARGIN * size, MARGIN * size))
            _, (_, _, width, height) = draft or (None, (0, 0, *image.size))
            return np.asarray(image.convert("RGB")), (height, width)
    except DAMAGED as error:
        raise _told(path, error, "cannot be decoded") from error
