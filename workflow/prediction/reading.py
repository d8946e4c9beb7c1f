"""Images and volumes read and prepared for a network, as the images were that it learnt from.

Pictures go through the readers and the resizing of `workflow.data`; a volume's slices too, once
SimpleITK has read it. Nothing here knows of networks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from resformer.trained import Preparation
from workflow.base.errors import DataError
from workflow.data.decoding import decode_reduced, size_of
from workflow.data.reading.levels import grey_levels, stored_pixels
from workflow.data.reading.pictures import PHOTOGRAPHS, found_instead
from workflow.data.resize import resize_image
from workflow.data.sources.intensities import stretch
from workflow.data.sources.source import RawImage
from workflow.prediction.inputs import InputImage

Bytes = NDArray[np.uint8]
# What SimpleITK and Pillow raise of files that they cannot read.
UNREADABLE = (DataError, OSError, RuntimeError, ValueError, MemoryError)
# Of TIFFs, lengths are those of a printer or a screen.
WITH_SPACING = ("volume", "series")


@dataclass(frozen=True)
class ReadImage:
    """An image or a volume, read and prepared.

    Attributes:
        source: what was read.
        prepared: uint8 `[N, S, S]` or `[N, S, S, 3]`, as the network takes it; N is 1 of a picture.
        size: height and width of the image itself.
        shown: the slices at that size, uint8 `[H, W]` or `[H, W, 3]`; empty if not asked for.
        geometry: the volume that masks lie on, without its voxels; None of a picture or a TIFF.
        notes: what was decided of it, for the user to know.
    """

    source: InputImage
    prepared: Bytes
    size: tuple[int, int]
    shown: tuple[Bytes, ...] = ()
    geometry: sitk.Image | None = None
    notes: tuple[str, ...] = ()

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Lengths of a voxel in mm: across, down, from slice to slice; None if not known."""
        if self.geometry is None:
            return None
        across, down, *between = self.geometry.GetSpacing()
        return across, down, (between[0] if between else 1.0)

    @property
    def volume(self) -> bool:
        """Whether it has slices, even if it is one."""
        return self.source.kind != "picture"


def read_prepared(source: InputImage, preparation: Preparation, show: bool) -> ReadImage:
    """Read an image or a volume, and prepare it.

    Args:
        source: what to read.
        preparation: how the network's images were prepared.
        show: whether slices at their own size are wanted as well.

    Raises:
        DataError: it cannot be read, or its pixels are of a kind that nothing is known of.
    """
    try:
        if source.kind == "picture":
            return _picture(source, preparation, show)
        return _volume(source, preparation, show)
    except DataError:
        raise
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[-300:]
        raise DataError(f"{source.path}: cannot be read ({reason})") from error


def _picture(source: InputImage, preparation: Preparation, show: bool) -> ReadImage:
    path, color = source.path, preparation.color
    turn = _orientation(path)
    notes: tuple[str, ...] = ()
    pixels: np.ndarray
    if turn in range(2, 9):
        pixels, notes = _upright(path, color), (f"turned upright (EXIF orientation {turn})",)
    elif preparation.reduced and _is_jpeg(path):
        width, height = size_of(path)
        reduced, extent = decode_reduced(path, preparation.image_size)
        raw = RawImage(source.name, reduced, None, extent)
        prepared = resize_image(raw, preparation.image_size, preparation.images)
        whole = (_shown(read_picture(path, preparation)),) if show else ()
        return ReadImage(source, prepared[None], (height, width), whole)
    else:
        pixels = read_picture(path, preparation)
    height, width = pixels.shape[:2]
    raw = RawImage(source.name, pixels, None, (height, width))
    prepared = resize_image(raw, preparation.image_size, preparation.images)
    whole = (_shown(pixels),) if show else ()
    return ReadImage(source, prepared[None], (height, width), whole, notes=notes)


def read_picture(path: Path, preparation: Preparation) -> np.ndarray:
    """A picture's grey levels or colours at its own size, in the range that training had.

    Raises:
        DataError: it cannot be read as images of training were.
    """
    rule = "type" if preparation.intensity == "volume" else preparation.intensity
    if rule == "dataset":
        raise DataError(
            f"{path}: images of training were brought into the range of their whole data set "
            "(intensity: dataset), which is not that of another folder; give the range that they "
            "had with --intensity LOW HIGH"
        )
    pixels = stored_pixels(path, preparation.color, by_type=rule == "type")
    return grey_levels(pixels, preparation.color, rule, None)


def _orientation(path: Path) -> int:
    """How a picture is turned when it is shown; 1 is as it is stored.

    Raises:
        DataError: it is no image of a format that is opened.
    """
    try:
        with Image.open(path, formats=PHOTOGRAPHS) as image:
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except UnidentifiedImageError as error:
        found = found_instead(path, PHOTOGRAPHS)
        raise DataError(f"{path}: cannot be decoded ({found}); convert or replace it") from error


def _is_jpeg(path: Path) -> bool:
    with Image.open(path, formats=PHOTOGRAPHS) as image:
        return image.format in ("JPEG", "MPO")


def _upright(path: Path, color: bool) -> Bytes:
    """A photograph as it is shown: a telephone stores it as its sensor saw it."""
    with Image.open(path, formats=PHOTOGRAPHS) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB" if color else "L"))


def _shown(pixels: np.ndarray) -> Bytes:
    if pixels.dtype == np.uint8:
        return pixels
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _volume(source: InputImage, preparation: Preparation, show: bool) -> ReadImage:
    image = _read_volume(source)
    voxels, notes = _slices(source.path, image)
    if voxels.ndim == 4 and not preparation.color:
        voxels = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in voxels])
    (low, high), note = intensity_range(source.path, voxels, preparation.intensity)
    prepared, shown = [], []
    for pixels in _in_bytes(voxels, low, high):
        height, width = pixels.shape[:2]
        raw = RawImage(source.name, pixels, None, (height, width))
        small = resize_image(raw, preparation.image_size, preparation.images)
        if preparation.color and small.ndim == 2:
            small = np.repeat(small[..., None], 3, axis=2)
        prepared.append(small)
        if show:
            shown.append(_shown(pixels))
    known = source.kind in WITH_SPACING
    if known and set(image.GetSpacing()) == {1.0}:
        notes = (*notes, "spacing 1 mm, which is also what a file without a spacing gives")
    return ReadImage(
        source,
        np.stack(prepared),
        (voxels.shape[1], voxels.shape[2]),
        tuple(shown),
        _geometry(image) if known else None,
        (*notes, *note),
    )


def _read_volume(source: InputImage) -> sitk.Image:
    """A volume of one file, of a TIFF's pages, or of a DICOM series."""
    if source.kind == "series":
        reader = sitk.ImageSeriesReader()
        names = reader.GetGDCMSeriesFileNames(str(source.path), source.series)
        reader.SetFileNames(names)
        return reader.Execute()
    return sitk.ReadImage(str(source.path))


def _slices(path: Path, image: sitk.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels `[N, H, W]`, or `[N, H, W, 3]` of a volume in colour, and what to say of them.

    Raises:
        DataError: it has too many dimensions, or channels that are not colours.
    """
    size = image.GetSize()
    if len(size) > 3 and set(size[3:]) != {1}:
        raise DataError(f"{path}: found {len(size)} dimensions {size}; expected a volume of three")
    channels = image.GetNumberOfComponentsPerPixel()
    voxels = sitk.GetArrayViewFromImage(image)
    grid = tuple(reversed(size[:3])) if len(size) > 2 else (1, *reversed(size))
    if channels == 1:
        return _not_inverted(path, image, voxels.reshape(grid))
    if channels in (3, 4) and voxels.dtype == np.uint8:
        return np.array(voxels.reshape((*grid, channels))[..., :3]), ()
    raise DataError(
        f"{path}: found {channels} channels of {voxels.dtype}; expected one, or RGB of 8 bits"
    )


def _not_inverted(
    path: Path, image: sitk.Image, voxels: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels whose largest values are white: in some DICOM files they are black."""
    key = "0028|0004"
    if image.HasMetaDataKey(key) and image.GetMetaData(key).strip() == "MONOCHROME1":
        return voxels.max() - voxels, ("inverted (MONOCHROME1)",)
    return np.array(voxels), ()


def intensity_range(
    path: Path, voxels: np.ndarray, rule: str | tuple[float, float]
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """The intensities of a volume that become 0 and 255, and what to say of them.

    The range of a type, by which volumes of 8 and 16 bits were prepared, means nothing for signed
    integers and floating point: those have the volume's own range instead.

    Raises:
        DataError: the volume has no finite voxel.
    """
    if not isinstance(rule, str):
        return rule, ()
    if rule == "type" and voxels.dtype in (np.uint8, np.uint16):
        return (0.0, float(np.iinfo(voxels.dtype).max)), ()
    finite = voxels[np.isfinite(voxels)] if voxels.dtype.kind == "f" else voxels
    if not finite.size:
        raise DataError(f"{path}: found no finite voxel; the file is damaged")
    low, high = float(finite.min()), float(finite.max())
    if rule == "volume":
        return (low, high), ()
    return (low, high), (
        f"intensities from {low:g} to {high:g}, the volume's own, because its voxels are "
        f"{voxels.dtype} (--intensity chooses others)",
    )


def _in_bytes(voxels: np.ndarray, low: float, high: float) -> Iterator[np.ndarray]:
    """The slices in 0..255, uint8 where that is exact and float32 elsewhere."""
    exact = voxels.dtype == np.uint8 and (low, high) == (0, 255)
    for pixels in voxels:
        if exact or pixels.ndim == 3:
            yield np.ascontiguousarray(pixels)
        else:
            clean = np.nan_to_num(pixels, nan=low) if pixels.dtype.kind == "f" else pixels
            yield stretch(clean, low, high)


def _geometry(image: sitk.Image) -> sitk.Image:
    """Where a volume lies in the world, without its voxels."""
    while image.GetDimension() > 3:
        image = image[..., 0]
    empty = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(image)
    return empty
