"""Phantom ISIC 2017 archives: which pictures, which labels, and the official file layout.

Names, archive contents and line ends follow the challenge's own archives. How a lesion is made is
in `skin_lesion`, what surrounds it in `skin_scene`. Decision: identifiers start at ISIC_9000000,
far above any real one, so that nobody takes a phantom for a patient.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workflow.base.files import replacing
from workflow.data.phantom import skin_scene
from workflow.data.phantom.archives import write_zip
from workflow.data.phantom.skin_lesion import Canvas, Kind, draw_outline, draw_traits, paint

FIRST_ID = 9_000_000
MOST_IMAGES = 900_000
SMALLEST_SIDE = 32
# Shares of the real training set: 374, 254 and 1372 of 2000.
_SHARES: dict[str, dict[Kind, float]] = {
    "real": {"melanoma": 0.187, "seborrheic_keratosis": 0.127},
    "even": {"melanoma": 1 / 3, "seborrheic_keratosis": 1 / 3},
}
_JPEG_QUALITY = 92
_PATCH_SHARE = 0.08
_SUPERPIXEL = 0.04


@dataclass(frozen=True)
class Split:
    """One official split: name in the archives, stream number, line end of its labels."""

    name: str
    number: int
    line_end: str
    patches: bool


# The real test labels came out with CRLF, and no real test picture has a colour patch.
_TRAINING = Split("Training", 0, "\n", True)
_VALIDATION = Split("Validation", 1, "\n", True)
_TEST = Split("Test_v2", 2, "\r\n", False)


@dataclass(frozen=True)
class Picture:
    """One phantom image: RGB [height, width, 3] and its mask {0, 255} [height, width]."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def draw_picture(
    rng: np.random.Generator, kind: Kind, *, size: tuple[int, int], patches: bool
) -> Picture:
    """Draw one dermoscopic picture.

    Args:
        rng: source of randomness.
        kind: diagnosis.
        size: width and height to vary around.
        patches: whether a colour patch may appear.

    Returns:
        The picture; one in eight is upright.
    """
    width, height = (
        max(SMALLEST_SIDE, round(n * f))
        for n, f in zip(size, rng.uniform(0.9, 1.12, 2), strict=True)
    )
    if rng.uniform() < 0.125:
        width, height = height, width
    canvas = Canvas(height, width)
    skin = skin_scene.draw_skin(rng, canvas)
    lesion = draw_outline(rng, canvas, draw_traits(rng, kind))
    mask = lesion.mask
    scene = paint(rng, canvas, skin, lesion)
    scene = skin_scene.add_ink(rng, canvas, scene)
    scene = skin_scene.add_gel(rng, canvas, scene)
    scene = skin_scene.add_hair(rng, canvas, scene)
    scene = skin_scene.add_ruler(rng, canvas, scene)
    if patches and rng.uniform() < _PATCH_SHARE:
        scene = skin_scene.add_patch(rng, canvas, scene, mask)
    scene = skin_scene.light_through_tube(rng, canvas, scene)
    return Picture(
        image=(255.0 * np.clip(scene, 0.0, 1.0) + 0.5).astype(np.uint8),
        mask=np.where(mask, 255, 0).astype(np.uint8),
    )


def write_isic2017(
    root: Path,
    *,
    train: int,
    val: int,
    test: int,
    size: tuple[int, int],
    seed: int,
    diagnoses: Literal["real", "even"] = "real",
) -> None:
    """Write the official archives and label tables of the three splits, each whole or absent.

    For `Training`, `Validation` and `Test_v2`: `ISIC-2017_X_Data.zip` (pictures, superpixels,
    metadata table), `ISIC-2017_X_Part1_GroundTruth.zip` (masks) and
    `ISIC-2017_X_Part3_GroundTruth.csv` (diagnoses).

    Args:
        root: folder for the files; created.
        train: number of training pictures.
        val: number of validation pictures.
        test: number of test pictures. Every diagnosis is present in a split of 3 or more.
        size: width and height in pixels, around which the pictures vary.
        seed: not negative.
        diagnoses: their shares: as in the real set, where most are nevi, or a third each.

    Raises:
        ValueError: an argument outside its bounds.
    """
    counts = {"train": train, "val": val, "test": test}
    for name, count in counts.items():
        if not 1 <= count <= MOST_IMAGES:
            raise ValueError(f"{name}: {count}; allowed are 1 to {MOST_IMAGES} pictures")
    if sum(counts.values()) > MOST_IMAGES:
        raise ValueError(
            f"train + val + test: {sum(counts.values())}; allowed are up to {MOST_IMAGES} in all, "
            f"because identifiers have seven digits and start at {FIRST_ID}"
        )
    if len(size) != 2 or min(size) < SMALLEST_SIDE:
        raise ValueError(
            f"size: {size}; allowed are a width and a height of at least {SMALLEST_SIDE} pixels"
        )
    if seed < 0:
        raise ValueError(f"seed: {seed}; allowed are whole numbers from 0")
    first = FIRST_ID
    for split, count in zip((_TRAINING, _VALIDATION, _TEST), counts.values(), strict=True):
        kinds = assign_kinds(np.random.default_rng([seed, split.number]), count, diagnoses)
        _write_split(root, split, first, kinds, size, seed)
        first += count


def _write_split(
    root: Path, split: Split, first: int, kinds: list[Kind], size: tuple[int, int], seed: int
) -> None:
    """Write the two archives and the label table of one split."""
    count = len(kinds)
    names = [f"ISIC_{first + index:07d}" for index in range(count)]
    masks: list[tuple[str, bytes]] = []
    stem = f"ISIC-2017_{split.name}"

    def data() -> Iterator[tuple[str, bytes]]:
        folder = f"{stem}_Data"
        for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            rng = np.random.default_rng([seed, split.number, index])
            picture = draw_picture(rng, kind, size=size, patches=split.patches)
            masks.append((f"{stem}_Part1_GroundTruth/{name}_segmentation.png", _png(picture.mask)))
            yield f"{folder}/{name}.jpg", _jpeg(picture.image)
            yield f"{folder}/{name}_superpixels.png", _png(_superpixels(picture.mask.shape))
        table = _metadata(np.random.default_rng([seed, split.number, count, 1]), names, kinds)
        yield f"{folder}/{folder}_metadata.csv", table

    write_zip(root / f"{stem}_Data.zip", data())
    write_zip(root / f"{stem}_Part1_GroundTruth.zip", masks)
    with replacing(root / f"{stem}_Part3_GroundTruth.csv") as partial:
        # As bytes, so that no platform changes the line ends.
        partial.write_bytes(_diagnoses(names, kinds, split.line_end))


def assign_kinds(
    rng: np.random.Generator, count: int, diagnoses: Literal["real", "even"] = "real"
) -> list[Kind]:
    """Diagnoses of a split in random order, by these shares; none is missing from 3 on."""
    least = 1 if count >= 3 else 0
    shares = _SHARES[diagnoses]
    kinds = [k for k, share in shares.items() for _ in range(max(least, round(share * count)))]
    nevi: list[Kind] = ["nevus" for _ in range(count - len(kinds))]
    kinds += nevi
    return [kinds[place] for place in rng.permutation(count)]


def _diagnoses(names: list[str], kinds: list[Kind], line_end: str) -> bytes:
    """Part 3 ground truth: one-hot for two diagnoses, a nevus is neither."""
    lines = ["image_id,melanoma,seborrheic_keratosis"]
    lines += [
        f"{name},{float(kind == 'melanoma')},{float(kind == 'seborrheic_keratosis')}"
        for name, kind in zip(names, kinds, strict=True)
    ]
    return (line_end.join(lines) + line_end).encode("ascii")


def _metadata(rng: np.random.Generator, names: list[str], kinds: list[Kind]) -> bytes:
    """Age in steps of five years and sex, either of which may be unknown."""
    middle = {"nevus": 40, "melanoma": 60, "seborrheic_keratosis": 65}
    lines = ["image_id,age_approximate,sex"]
    for name, kind in zip(names, kinds, strict=True):
        age = int(np.clip(5 * round(rng.normal(middle[kind], 15) / 5), 5, 85))
        known_age, known_sex, female = rng.uniform(size=3)
        sex = "female" if female < 0.5 else "male"
        shown_age = age if known_age < 0.85 else "unknown"
        lines.append(f"{name},{shown_age},{sex if known_sex < 0.85 else 'unknown'}")
    return ("\n".join(lines) + "\n").encode("ascii")


def _superpixels(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Label map [height, width, 3] of wavy blocks; id = R + 256 G + 65536 B as in the real files.

    Nothing in this project reads superpixels; they are there because the archives have them.
    """
    height, width = shape
    step = max(4.0, _SUPERPIXEL * float(np.sqrt(height * width)))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    row = ((y + 0.2 * step * np.sin(2 * np.pi * x / (3 * step))) // step + 1).astype(np.int64)
    column = ((x + 0.2 * step * np.sin(2 * np.pi * y / (3 * step))) // step + 1).astype(np.int64)
    _, ids = np.unique(row * (width + 2) + column, return_inverse=True)
    ids = ids.reshape(height, width)
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encode RGB as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode grey or RGB as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
