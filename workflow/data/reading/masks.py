"""Masks as classes: by the values, by a threshold, or by the colours that a viewer shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workflow.base.errors import DataError
from workflow.config.datasets import FolderLayout
from workflow.data.reading.pictures import DRAWINGS, check_opaque, opened

# A grey picture saved as JPEG in colour may differ by a little from channel to channel.
TINT = 32
# More unknown values than these are soft edges, or what JPEG made of an edge.
FEW_VALUES = 8
# What a mask that holds nothing may hold all the same, after JPEG.
JPEG_NOISE = 16
_READ = ("1", "L", "P", "RGB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX", "I", "F")


def mask_classes(path: Path, layout: FolderLayout, lesions: Sequence[str]) -> np.ndarray:
    """A mask as uint8 `[H, W]` with 0 for background and k for the k-th lesion.

    Raises:
        DataError: the file cannot be used, or holds what the layout does not name.
    """
    if layout.mask_colors:
        return _by_color(path, layout, lesions)
    if layout.mask_threshold is not None:
        return _by_threshold(path, layout.mask_threshold)
    return _by_value(path, layout, lesions)


def _by_value(path: Path, layout: FolderLayout, lesions: Sequence[str]) -> np.ndarray:
    values, palette = _shown_values(path, DRAWINGS)
    if values.dtype == bool:
        # White is 1 to some programs and 255 to others.
        white = 255 if 255 in layout.mask_values and 1 not in layout.mask_values else 1
        values = values.astype(np.uint8) * np.uint8(white)
    mask = np.zeros(values.shape, np.uint8)
    for k, value in enumerate(layout.mask_values, start=1):
        mask[values == value] = k
    unknown = values[(mask == 0) & (values != 0)]
    if unknown.size:
        meanings = zip(layout.mask_values, lesions, strict=True)
        raise DataError(
            f"{path}: found value {_number(unknown.min())} in a mask ({unknown.size} pixels have "
            f"an unknown value); allowed: 0 background, "
            f"{', '.join(f'{value} {lesion}' for value, lesion in meanings)}. Correct the mask "
            f"or folder.mask_values{_hint(np.unique(unknown), palette)}"
        )
    return mask


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, np.floating) else str(value)


def _hint(unknown: np.ndarray, palette: str) -> str:
    """What else unknown values may mean."""
    if palette:
        return f" ({palette})"
    if len(unknown) > FEW_VALUES:
        return (
            f"; {len(unknown)} different values are unknown, as where edges are soft or were "
            "resized: folder.mask_threshold, such as 128, reads such masks of one lesion"
        )
    if (unknown != np.rint(unknown)).any() or unknown.min() < 0 or unknown.max() > 65535:
        return "; values are whole numbers from 0 to 65535"
    return ""


def _by_threshold(path: Path, threshold: float) -> np.ndarray:
    with opened(path, (*DRAWINGS, "JPEG")) as image:
        lossy = image.format in ("JPEG", "MPO")
    values, _ = _shown_values(path, (*DRAWINGS, "JPEG"), tint=TINT if lossy else 0)
    if values.dtype == bool:
        return values.astype(np.uint8)
    highest = values.max()
    if 0 < highest < threshold and not (lossy and highest <= JPEG_NOISE):
        raise DataError(
            f"{path}: found values up to {_number(highest)} in a mask, so none reaches "
            f"folder.mask_threshold, {threshold:g}; lower the threshold, or store a mask without a "
            "lesion as 0 everywhere"
        )
    return (values >= threshold).astype(np.uint8)


def _by_color(path: Path, layout: FolderLayout, lesions: Sequence[str]) -> np.ndarray:
    with opened(path, DRAWINGS) as image:
        _check_mode(path, image)
        check_opaque(path, image)
        if image.mode not in ("1", "L", "P", "RGB", "LA", "PA", "RGBA", "RGBX"):
            raise DataError(
                f"{path}: found a mask of more than 8 bits; expected colours (folder.mask_colors)."
                " Convert the file, or name values in folder.mask_values instead"
            )
        shown = np.asarray(image.convert("RGB"))
    # One number for each colour.
    coded = shown.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    mask = np.zeros(coded.shape, np.uint8)
    known = coded == _code(layout.mask_background)
    for k, colour in enumerate(layout.mask_colors, start=1):
        mask[coded == _code(colour)] = k
    unknown = coded[(mask == 0) & ~known]
    if unknown.size:
        codes, counts = np.unique(unknown, return_counts=True)
        most = int(codes[np.argmax(counts)])
        names = [
            f"{_triple(layout.mask_background)} background",
            *(f"{_triple(c)} {x}" for c, x in zip(layout.mask_colors, lesions, strict=True)),
        ]
        soft = "; edges seem to be soft, store them hard" if len(codes) > FEW_VALUES else ""
        raise DataError(
            f"{path}: found colour {_triple((most >> 16, most >> 8 & 255, most & 255))} in a mask "
            f"({unknown.size} pixels have one of {len(codes)} unknown colours); allowed: "
            f"{', '.join(names)}. Correct the mask, folder.mask_colors or "
            f"folder.mask_background{soft}"
        )
    return mask


def _code(colour: Sequence[int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _triple(colour: Sequence[int]) -> str:
    return f"[{', '.join(map(str, colour))}]"


def _shown_values(path: Path, formats: tuple[str, ...], tint: int = 0) -> tuple[np.ndarray, str]:
    """The values of a mask `[H, W]`, and what its palette says of them, if it has one.

    Args:
        path: the file.
        formats: Pillow's names of the formats that may be opened.
        tint: by how much channels of one pixel may differ.

    Returns:
        bool of a file of one bit; else numbers as they are stored, of a palette the greys.
    """
    with opened(path, formats) as image:
        _check_mode(path, image)
        bits = check_opaque(path, image)
        if image.mode in ("P", "PA"):
            return _of_palette(path, image)
        values = np.asarray(image)
    if values.ndim == 3:
        if bits > 8:
            raise DataError(
                f"{path}: found a mask of {bits} bits in several channels, of which 8 are read; "
                "store it as grey"
            )
        # Grey or RGB, with or without alpha.
        channels = values[..., : 1 if values.shape[2] == 2 else 3].astype(np.int16)
        if (np.ptp(channels, axis=2) > tint).any():
            raise DataError(
                f"{path}: found a mask in colour; expected one channel, or equal ones. Store the "
                "values of folder.mask_values instead of colours, or name the colours in "
                "folder.mask_colors"
            )
        values = channels[..., 0].astype(np.uint8)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            f"{path}: found pixels in a mask that are no finite number; store whole numbers"
        )
    return values, ""


def _check_mode(path: Path, image: Image.Image) -> None:
    if image.mode not in _READ and not image.mode.startswith("I;16"):
        raise DataError(
            f"{path}: found a mask in {image.mode}; expected grey, a palette or RGB. Convert the "
            "file"
        )


def _of_palette(path: Path, image: Image.Image) -> tuple[np.ndarray, str]:
    """What a palette shows: its greys; or its indices, where colours are but names of them.

    They are where 0 is black and every other index that occurs has a colour of its own that is not
    black. Elsewhere a viewer shows another mask than the indices are, and which one is meant only
    its maker knows. But programs number the palette of a GIF as they like.
    """
    indices = np.asarray(image.getchannel(0) if image.mode == "PA" else image)
    palette = np.array(image.getpalette("RGB") or [], int).reshape(-1, 3)
    used = np.unique(indices)
    if used.max() >= len(palette):
        raise DataError(
            f"{path}: found index {used.max()} in a mask whose palette has {len(palette)} colours; "
            "store the values as grey"
        )
    colours = palette[used]
    listed = ", ".join(
        f"{index} is shown as {_triple(colour)}"
        for index, colour in zip(used[:4].tolist(), colours[:4].tolist(), strict=True)
    ) + (", ..." if len(used) > 4 else "")
    distinct = len(np.unique(colours, axis=0)) == len(used)
    if (palette == palette[:, :1]).all() and (distinct or image.format == "GIF"):
        same = (colours[:, 0] == used).all()
        says = "" if same else f"the file has a palette, and what is shown counts: {listed}"
        return palette[indices][..., 0].astype(np.uint8), says
    named = distinct and not palette[0].any() and colours[used > 0].any(axis=1).all()
    if named and image.format != "GIF":
        return indices, f"the file has a palette, and its indices are read: {listed}"
    raise DataError(
        f"{path}: found a palette that shows something else than the indices say: {listed}; name "
        "the colours in folder.mask_colors, or store the mask as grey, with the values of "
        "folder.mask_values"
    )
