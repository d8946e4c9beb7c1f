"""Stored pixels to grey levels from 0 to 255, by the range that a data set's `intensity` names."""

from pathlib import Path
from typing import Any

import numpy as np

from workflow.base.errors import DataError
from workflow.data.reading.pictures import PHOTOGRAPHS, check_opaque, is_unsigned, opened
from workflow.data.sources.intensities import stretch

# 0 to 65535 becomes 0 to 255.
SIXTEEN_BIT = 257
_READ = ("1", "L", "P", "RGB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
# The ends of a range, in the unit of the stored pixels.
Span = tuple[float, float]


def stored_pixels(path: Path, color: bool, *, by_type: bool) -> np.ndarray:
    """The pixels of an image file as they are stored.

    Args:
        path: the file.
        color: whether 8-bit images are read as RGB, or else as grey.
        by_type: whether the range of the file's type is what counts, and not that of its values.

    Returns:
        uint8 `[H, W, 3]` or `[H, W]`; of deeper grey files uint16, int32 or float32 `[H, W]`.

    Raises:
        DataError: the file cannot be used; see `opened`.
    """
    with opened(path, PHOTOGRAPHS) as image:
        bits = check_opaque(path, image)
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        if image.mode in ("I", "F"):
            if by_type:
                raise DataError(
                    f"{path}: found pixels of 32 bits; expected 8, or 16 in grey, where "
                    "`intensity` is type. Set datasets.*.intensity to image, dataset or a range "
                    "[low, high], or convert the file"
                )
            return _finite(path, np.asarray(image), unsigned=is_unsigned(image))
        if image.mode not in _READ:
            raise DataError(
                f"{path}: found an image in {image.mode}; expected grey, a palette, RGB or CMYK. "
                "Convert the file"
            )
        if bits > 8 and not by_type:
            raise DataError(
                f"{path}: found colour of {bits} bits, of which only the upper 8 can be read, so "
                "that no range can be chosen; store it with the 8 bits that count, or as grey"
            )
        image.info.pop("transparency", None)  # of what does not occur
        if image.mode in ("La", "RGBa"):
            image = image.convert(image.mode.upper())
        return np.asarray(image.convert("RGB" if color else "L"))


def _finite(path: Path, pixels: np.ndarray, *, unsigned: bool) -> np.ndarray:
    """Numbers that can be scaled; Pillow reads large unsigned ones as negative."""
    if pixels.dtype.kind == "i" and unsigned and pixels.min() < 0:
        raise DataError(
            f"{path}: found whole numbers of 32 bits above 2147483647; store them as 32-bit "
            "floating point, or smaller"
        )
    wrong = int(np.count_nonzero(~np.isfinite(pixels)))
    if wrong:
        raise DataError(
            f"{path}: found {wrong} of {pixels.size} pixels that are no finite number; replace "
            "them by a value that means nothing is there, such as the lowest"
        )
    return pixels


def span_of(pixels: np.ndarray) -> Span:
    """The least and the greatest of some pixels."""
    return float(pixels.min()), float(pixels.max())


def grey_levels(pixels: np.ndarray, color: bool, intensity: Any, span: Span | None) -> np.ndarray:
    """Stored pixels as an image to be resized.

    Args:
        pixels: from `stored_pixels`.
        color: whether three channels are wanted.
        intensity: of the data set; see `workflow.config.datasets.Intensity`.
        span: of all its images, where `intensity` is `dataset`.

    Returns:
        uint8 `[H, W, 3]` in colour; else `[H, W]`, uint8 or, where that rounds, float32 in 0..255.
    """
    if intensity == "type":
        if pixels.dtype == np.uint8:
            return pixels
        grey = pixels.astype(np.float32) / SIXTEEN_BIT
    else:
        if intensity == "dataset":
            assert span is not None
            low, high = span
        else:
            low, high = span_of(pixels) if intensity == "image" else intensity
        grey = stretch(pixels, low, high)
    if not color:
        return grey
    rounded = np.rint(grey).astype(np.uint8)
    return rounded if rounded.ndim == 3 else np.repeat(rounded[..., None], 3, 2)
