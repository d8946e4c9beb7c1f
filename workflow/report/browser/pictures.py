"""Test images as pictures: as networks see them, before augmentation and normalisation."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Longest side in pixels, and WebP's quality.
PICTURE = (512, 80)
THUMB = (96, 70)


def write_pictures(folder: Path, images: NDArray[np.uint8], look: tuple[int, int]) -> None:
    """Write images `[N, H, W]` or `[N, H, W, 3]` as `00000.webp` and so on; none is enlarged.

    Args:
        folder: the folder to write to.
        images: may be memory-mapped.
        look: PICTURE or THUMB.
    """
    side, quality = look
    for number, pixels in enumerate(images):
        picture = Image.fromarray(np.asarray(pixels))
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        picture.save(folder / f"{number:05d}.webp", quality=quality)
