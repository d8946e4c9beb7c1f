"""What is written of an image or a volume: masks at its own size, overlays, and rows of tables.

Masks of pictures are PNGs whose values are the classes; those of volumes are volumes, in the same
place of the world. A mask is brought to the image's own size as evaluation brings it there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit, softmax

from resformer.trained import TrainedFile
from workflow.base.files import replacing
from workflow.evaluation.evaluate import at_size
from workflow.figures.overlays import paint_classes
from workflow.prediction.computing import Answers
from workflow.prediction.reading import ReadImage

MASKS, OVERLAYS, DISAGREEMENT, THUMBS = "masks", "overlays", "disagreement", "thumbs"
FOLDERS = (MASKS, OVERLAYS, DISAGREEMENT, THUMBS)
# Formats of SimpleITK that a mask comes back in; that of a DICOM series is NIfTI.
SAME_FORMAT = (".nii.gz", ".nii", ".nrrd", ".mha")
THUMB = 256

Masks = NDArray[np.uint8]


@dataclass(frozen=True)
class PredictedImage:
    """An image or a volume with all that was said of it.

    Attributes:
        read: what was read of it.
        answers: of its slices, at the network's size.
        masks: the masks at its own size, uint8 `[N, H, W]`; None without segmentation.
        rows: its lines of `predictions.csv`, one for each slice.
        total: its line of `volumes.csv`; None of a picture.
    """

    read: ReadImage
    answers: Answers
    masks: Masks | None
    rows: list[dict[str, Any]]
    total: dict[str, Any] | None

    @property
    def name(self) -> str:
        """What its outputs are called."""
        return self.read.source.name


def described(read: ReadImage, answers: Answers, about: TrainedFile) -> PredictedImage:
    """An image or a volume with its masks at its own size, and its lines of tables."""
    masks = None
    if answers.masks is not None:
        masks = np.stack([at_size(mask, read.size) for mask in answers.masks])
    # [N, n + 1]: pixels of the background and of each lesion, by slice.
    pixels = np.array(
        [np.bincount(one.ravel(), minlength=len(about.lesions) + 1) for one in masks]
        if masks is not None
        else np.zeros((len(read.prepared), 1), int)
    )
    rows = [_row(read, answers, about, k, pixels[k]) for k in range(len(read.prepared))]
    total = _total(read, about, pixels, rows) if read.volume else None
    return PredictedImage(read, answers, masks, rows, total)


def columns(about: TrainedFile, ensemble: bool) -> list[str]:
    """The columns of `predictions.csv`."""
    return [
        *("name", "file", "slice", "width", "height"),
        *(f"pixels_{lesion}" for lesion in about.lesions),
        *(f"mm2_{lesion}" for lesion in about.lesions),
        *(f"probability_{label}" for label in about.labels),
        *(f"called_{label}" for label in about.labels),
        *(("disagreement",) if ensemble and about.lesions else ()),
        *(("mask",) if about.lesions else ()),
        "notes",
    ]


def volume_columns(about: TrainedFile) -> list[str]:
    """The columns of `volumes.csv`."""
    return [
        *("name", "file", "slices", "width", "height", "mm_across", "mm_down", "mm_between"),
        *(f"voxels_{lesion}" for lesion in about.lesions),
        *(f"mm3_{lesion}" for lesion in about.lesions),
        *(f"slices_with_{label}" for label in about.labels),
    ]


def probabilities(logits: NDArray[np.floating], about: TrainedFile) -> NDArray[np.float64]:
    """Of each label, by the rule that decides: its own sigmoid, or its share of the softmax."""
    own = about.decision == "sigmoid"
    return expit(logits.astype(float)) if own else softmax(logits.astype(float), axis=-1)


def called(logits: NDArray[np.floating], about: TrainedFile) -> NDArray[np.bool_]:
    """Which labels count as present, of one image `[n]`; of equal ones `argmax` takes the first."""
    if about.decision == "argmax":
        return np.arange(logits.shape[-1]) == logits.argmax()
    return probabilities(logits, about) > about.threshold


def _row(
    read: ReadImage, answers: Answers, about: TrainedFile, k: int, pixels: NDArray[np.intp]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": read.source.name,
        "file": read.source.path.as_posix(),
        "slice": k if read.volume else None,
        "width": read.size[1],
        "height": read.size[0],
        "notes": "; ".join(read.notes),
    }
    if about.lesions:
        row["mask"] = f"{MASKS}/{mask_name(read)}"
    for value, lesion in enumerate(about.lesions, 1):
        row[f"pixels_{lesion}"] = int(pixels[value])
        if read.spacing:
            row[f"mm2_{lesion}"] = f"{pixels[value] * read.spacing[0] * read.spacing[1]:.6g}"
    if answers.logits is not None:
        shares, present = probabilities(answers.logits[k], about), called(answers.logits[k], about)
        for label, share, there in zip(about.labels, shares, present, strict=True):
            row[f"probability_{label}"] = f"{share:.6f}"
            row[f"called_{label}"] = int(there)
    if answers.disagreement is not None:
        row["disagreement"] = f"{answers.disagreement[k].mean() / 255:.6f}"
    return row


def _total(
    read: ReadImage, about: TrainedFile, pixels: NDArray[np.intp], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    total: dict[str, Any] = {key: rows[0][key] for key in ("name", "file", "width", "height")}
    total["slices"] = len(rows)
    spacing = read.spacing
    if spacing:
        names = ("mm_across", "mm_down", "mm_between")
        total |= {name: f"{length:g}" for name, length in zip(names, spacing, strict=True)}
    for value, lesion in enumerate(about.lesions, 1):
        voxels = int(pixels[:, value].sum())
        total[f"voxels_{lesion}"] = voxels
        if spacing:
            total[f"mm3_{lesion}"] = f"{voxels * float(np.prod(spacing)):.6g}"
    for label in about.labels:
        total[f"slices_with_{label}"] = sum(row[f"called_{label}"] for row in rows)
    return total


def mask_name(read: ReadImage) -> str:
    """The file of a mask: PNG of a picture, TIFF of a TIFF, and else a volume as it was read."""
    source = read.source
    if source.kind == "picture":
        return f"{source.name}.png"
    if source.kind == "stack":
        return f"{source.name}.tif"
    path = source.path.name.lower()
    if source.kind == "volume" and path.endswith(".mhd"):
        return f"{source.name}.mha"  # the same format in one file
    suffix = next((suffix for suffix in SAME_FORMAT if path.endswith(suffix)), ".nii.gz")
    return f"{source.name}{suffix if source.kind == 'volume' else '.nii.gz'}"


def write_images(folder: Path, image: PredictedImage, lesions: tuple[str, ...]) -> None:
    """Write the mask of an image, its overlays if its slices were kept, and its disagreement."""
    read, name = image.read, image.name
    if image.masks is not None:
        _write_stack(folder / MASKS / mask_name(read), image.masks, read)
    if image.answers.disagreement is not None:
        maps = np.stack([at_size(one, read.size) for one in image.answers.disagreement])
        _write_stack(folder / DISAGREEMENT / mask_name(read), maps, read)
    if read.shown and image.masks is not None:
        for k, (pixels, mask) in enumerate(zip(read.shown, image.masks, strict=True)):
            part = f"{name}/{k:03d}.png" if read.volume else f"{name}.png"
            _write_png(folder / OVERLAYS / part, paint_classes(pixels, mask, lesions))
    for part, picture in _thumbs(image, lesions):
        with replacing(folder / THUMBS / f"{name}{part}.webp") as temporary:
            picture.save(temporary, quality=80)


def _write_stack(file: Path, masks: Masks, read: ReadImage) -> None:
    """Write the masks of an image's slices as one file, which lies where the volume does."""
    if read.source.kind == "picture":
        _write_png(file, masks[0])
        return
    if read.geometry is None:
        pages = [Image.fromarray(mask) for mask in masks]
        with replacing(file) as temporary:
            pages[0].save(
                temporary,
                save_all=True,
                append_images=pages[1:],
                compression="tiff_deflate",
            )
        return
    flat = read.geometry.GetDimension() == 2
    volume = sitk.GetImageFromArray(masks[0] if flat else masks)
    volume.CopyInformation(read.geometry)
    with replacing(file) as temporary:
        # SimpleITK chooses the format by the whole suffix, which `.nii.gz` has two of.
        written = temporary.with_name(f".{file.name.partition('.')[0]}.writing{_ending(file)}")
        try:
            sitk.WriteImage(volume, str(written), useCompression=True)
            written.replace(temporary)
        finally:
            written.unlink(missing_ok=True)


def _ending(file: Path) -> str:
    return next(suffix for suffix in SAME_FORMAT if file.name.endswith(suffix))


def _write_png(file: Path, pixels: Masks) -> None:
    with replacing(file) as temporary:
        Image.fromarray(pixels).save(temporary, compress_level=4)


def shown_slice(image: PredictedImage) -> int:
    """The slice that stands for an image: the one with most of any lesion, or the middle."""
    if image.masks is None or not image.masks.any():
        return len(image.read.prepared) // 2
    return int(np.argmax((image.masks > 0).sum(axis=(1, 2))))


def _thumbs(image: PredictedImage, lesions: tuple[str, ...]) -> Iterator[tuple[str, Image.Image]]:
    """Small pictures for the page, in the image's own proportions: it alone, and painted."""
    k = shown_slice(image)
    height, width = image.read.size
    longest = max(height, width)
    size = (max(1, round(THUMB * width / longest)), max(1, round(THUMB * height / longest)))
    pixels = np.asarray(Image.fromarray(image.read.prepared[k]).resize(size))
    yield "", Image.fromarray(pixels)
    if image.answers.masks is not None:
        mask = np.asarray(
            Image.fromarray(image.answers.masks[k]).resize(size, Image.Resampling.NEAREST)
        )
        yield "_painted", Image.fromarray(paint_classes(pixels, mask, lesions))
