"""Images of one's own whose values use little of the range that they are taken to have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.workflow.data.bad_cases.case import Action, Case, Group, each_of
from tests.workflow.data.bad_cases.crafted import png, tiff, wrote
from tests.workflow.data.bad_cases.folder import IMAGE, NAMES, SETTINGS, write_folder
from tests.workflow.data.bad_cases.shown import COLOURS, encoded


def _all_images(pixels: Sequence[np.ndarray] | np.ndarray, suffix: str = "png") -> Action:
    """Every image holds grey pixels of its own."""

    def one(name: str, values: np.ndarray) -> Action:
        path = f"DATA/images/{name}.{suffix}"
        if suffix == "tif":
            return wrote(path, tiff(values, 1))
        return wrote(
            path, png(values, 16 if values.max() > 255 or values.dtype == np.uint16 else 8)
        )

    return each_of(*(one(name, values) for name, values in zip(NAMES, pixels, strict=True)))


def _noise(low: int, high: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.random.default_rng(3).integers(low, high, (6, 48, 64)).astype(dtype)


def _large_masks() -> None:
    """Masks of the size of the images of this group."""
    both = np.zeros((48, 64), np.uint8)
    both[8:20, 8:30], both[30:40, 8:30] = 200, 9
    for name in NAMES:
        content = encoded(both if name in "ace" else both * 0, "PNG")
        Path(f"DATA/masks/{name}.png").write_bytes(content)


def _range(what: str, pixels: np.ndarray, suffix: str = "png", **keys: Any) -> Case:
    settings = {"datasets": {"mine": keys}} if keys else {}
    says = "mine: grey levels: 6 of 6 images have a handful of grey levels that lie close together"
    return Case(what, says, each_of(_large_masks, _all_images(pixels, suffix)), settings)


def _number(what: str, says: str, pixels: np.ndarray, **keys: Any) -> Case:
    damage = each_of(_large_masks, _all_images(pixels, "tif"))
    return Case(what, f"DATA/images/a.tif: {says}", damage, {"datasets": {"mine": keys}})


FLOATS = _noise(0, 900).astype(np.float32)
HOT = _noise(0, 200)
HOT[0, 0, 0] = 65535
RANGES = Group(
    "Images of one's own: the range of their values",
    "mine",
    write_folder,
    SETTINGS,
    [
        _range("images of 16 bits hold 12", _noise(0, 4096)),
        _range("images of 16 bits hold 13", _noise(0, 8192)),
        _range("images of 16 bits hold 10", _noise(0, 1024)),
        _range("images of 16 bits hold 8", _noise(0, 256)),
        _range("images of 16 bits lie around 32768", _noise(32768 - 1000, 32768 + 1000)),
        _range("images of 16 bits are very bright", _noise(65000, 65536)),
        _range("images of 16 bits are TIFF and hold 11", _noise(0, 2048), "tif"),
        _range("a given range is much too wide", _noise(0, 255, np.uint8), intensity=[0, 5000]),
        _range("a given range is another unit's", _noise(20, 255, np.uint8), intensity=[0, 1]),
        _range("a given range lies elsewhere", _noise(0, 900), intensity=[1000, 2000]),
        _range("one bright pixel decides the range of all", HOT, intensity="dataset"),
        _number("images are floating point, and no range is given", "found pixels of 32 bits",
                FLOATS, intensity="type"),
        _number("images are signed, and no range is given", "found pixels of 32 bits",
                _noise(0, 900).astype(np.int16) - np.int16(400), intensity="type"),
        _number("an image has a pixel that is no number", "found 1 of 3072 pixels that are no",
                np.where(np.arange(48 * 64).reshape(48, 64) == 5, np.nan, FLOATS)
                .astype(np.float32), intensity="image"),
        _number("an image has a pixel that is infinite", "found 1 of 3072 pixels that are no",
                np.where(np.arange(48 * 64).reshape(48, 64) == 5, np.inf, FLOATS)
                .astype(np.float32), intensity=[0, 900]),
        _number("images are too large whole numbers", "found whole numbers of 32 bits above",
                _noise(0, 900).astype(np.uint32) * np.uint32(4_000_000), intensity="image"),
        Case("images are colour of 16 bits, and a range is given",
             f"{IMAGE}: found colour of 16 bits, of which only the upper",
             wrote(IMAGE, png(COLOURS * 257, 16)),
             {"datasets": {"mine": {"intensity": "image"}}}),
        Case("the intensity of volumes is named", "found 'volume'; allowed with source folder: ty",
             settings={"datasets": {"mine": {"intensity": "volume"}}}),
    ],
)  # fmt: skip
