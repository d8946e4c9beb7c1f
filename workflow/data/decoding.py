"""Image files to arrays, with errors that name the file.

Decoding photographs of many megapixels is the slow part of preparation. A JPEG can be decoded at a
half, a quarter or an eighth of its size for a fraction of the time, because the decoder leaves out
high frequencies that resizing would remove anyway. `benchmarks/data.py` measures what that changes.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from workflow.base.errors import DataError

# A reduced image is at least this many times as large as wanted, so that the antialiasing filter
# that follows decides what is seen, not the decoder's.
MARGIN = 2
# The largest photograph on record has 30 million pixels; far larger ones are refused as damaged.
# Pillow itself opens none above 178,956,970.
LARGEST_PIXELS = 150_000_000


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file, from its header."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {str(error).rstrip('.')}; fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: not an image; fetch it again") from error
    if width * height > LARGEST_PIXELS:
        raise DataError(
            f"{path}: says it has {width} × {height} pixels; expected at most {LARGEST_PIXELS:,} "
            "in all. Fetch it again"
        )
    return width, height


def decode(path: Path, mode: str) -> np.ndarray:
    """The pixels of an image file as uint8 `[H, W]` (mode L) or `[H, W, 3]` (RGB)."""
    size_of(path)
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be decoded; fetch it again") from error


def decode_reduced(path: Path, size: int) -> tuple[np.ndarray, tuple[float, float]]:
    """An RGB image, decoded no larger than resizing to `size` needs.

    Returns:
        uint8 `[H, W, 3]`, and the height and width in it that the image really covers.
    """
    size_of(path)
    try:
        with Image.open(path) as image:
            # Only JPEGs have a draft; other formats, and small images, come at full size.
            draft = image.draft("RGB", (MARGIN * size, MARGIN * size))
            _, (_, _, width, height) = draft or (None, (0, 0, *image.size))
            return np.asarray(image.convert("RGB")), (height, width)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be decoded; fetch it again") from error
