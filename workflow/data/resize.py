"""Raw images and masks to the network's size: the two rules of each, and nothing else.

Images: `bilinear`, a triangle filter as wide as the reduction (antialiased), or `area`, the mean of
the pixels in each footprint. Masks: `nearest`, the class at the footprint's centre, or `majority`,
the class with the largest share of it (the lower class where two are equal).
"""

import numpy as np
from PIL import Image

from workflow.config.datasets import Resize
from workflow.data.arrays import NO_MASK
from workflow.data.sources.source import RawImage

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "area": Image.Resampling.BOX}


def resize(raw: RawImage, size: int, rules: Resize) -> tuple[np.ndarray, np.ndarray]:
    """An image and its mask as uint8 `[size, size(, 3)]` and `[size, size]`, aspect not kept."""
    mask = np.full((size, size), NO_MASK, np.uint8)
    if raw.mask is not None:
        mask = resize_mask(raw.mask, size, rules.masks)
    return resize_image(raw, size, rules.images), mask


def resize_image(raw: RawImage, size: int, rule: str) -> np.ndarray:
    """An image as uint8 `[size, size(, 3)]`; float pixels are rounded once, at the end."""
    height, width = raw.extent
    small = Image.fromarray(raw.pixels).resize(
        (size, size), _FILTERS[rule], box=(0, 0, width, height)
    )
    pixels = np.asarray(small)
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return pixels


def resize_mask(mask: np.ndarray, size: int, rule: str) -> np.ndarray:
    """A mask of classes as uint8 `[size, size]`."""
    if rule == "nearest":
        return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))
    classes = range(int(mask.max()) + 1)
    shares = [
        np.asarray(
            Image.fromarray((mask == k).astype(np.float32)).resize(
                (size, size), Image.Resampling.BOX
            )
        )
        for k in classes
    ]
    return np.argmax(shares, axis=0).astype(np.uint8)
