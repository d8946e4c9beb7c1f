"""Volumes in the formats that hospitals and challenges hand out, each opened by its own reader.

MetaImage, NIfTI, DICOM (a folder with one series, or a file with several frames) and TIFF of
several pages. A header is held to the size of its file before anything is read, and only the reader
of the format that a file is called by may open it.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from PIL import Image

from workflow.base.errors import DataError
from workflow.data.sources.metaimage import ELEMENT_TYPES, MetaImage
from workflow.data.sources.nifti import read_nifti

NIFTI = (".nii", ".nii.gz")
TIFF = (".tif", ".tiff")
METAIMAGE = (".mhd", ".mha")
DICOM = (".dcm",)
SUFFIXES = (*NIFTI, *METAIMAGE, *DICOM, *TIFF)
ADVICE = "replace the file"
# Of the distance between slices, what rounding in the headers of DICOM files may change.
ROUNDING = 0.02
# Of a length in mm, or of a part of a direction: two headers that differ by less mean the same.
SAME_PLACE = 1e-3
_POSITION, _ORIENTATION = "0020|0032", "0020|0037"


class ReadVolume(NamedTuple):
    """A volume that has been read.

    Attributes:
        voxels: `[slices, rows, columns]`.
        geometry: where it lies in space, as spacing, origin and directions; None where the format
            does not say.
    """

    voxels: np.ndarray
    geometry: tuple[float, ...] | None


def suffix_of(file: Path) -> str:
    """The suffix of a volume's file, in small letters; empty where it is none."""
    name = file.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix) and name != suffix), "")


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files that a volume is made of: a file, with its voxels beside it, or a DICOM folder's.

    Raises:
        DataError: a header cannot be used.
    """
    if path.is_dir():
        return tuple(dicom_files(path))
    if suffix_of(path) in METAIMAGE:
        return tuple(reversed(_open_metaimage(path).files))
    return (path,)


def read_volume(path: Path) -> ReadVolume:
    """A volume, by what it is called: a folder is a series of DICOM files.

    Raises:
        DataError: it is damaged, or not one grey volume.
    """
    suffix = suffix_of(path)
    if path.is_dir():
        read = _read_series
    elif suffix in METAIMAGE:
        read = _read_metaimage
    elif suffix in NIFTI:
        read = _read_nifti
    else:
        read = _read_tiff if suffix in TIFF else _read_frames
    volume = read(path)
    if volume.voxels.dtype.kind == "f" and not np.isfinite(volume.voxels).all():
        count = int(np.count_nonzero(~np.isfinite(volume.voxels)))
        raise DataError(
            f"{path}: found {count} voxels that are no number (NaN or infinity); store another "
            "value there, such as that of the background"
        )
    return volume


def same_place(one: ReadVolume, other: ReadVolume) -> bool:
    """Whether two volumes lie in one place, as far as both say where they lie."""
    if one.geometry is None or other.geometry is None:
        return True
    return bool(np.allclose(one.geometry, other.geometry, rtol=SAME_PLACE, atol=SAME_PLACE))


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files of a folder, by their suffix or by their first bytes."""
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    return [file for file in files if file.suffix.lower() in DICOM or _is_dicom(file)]


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _open_metaimage(path: Path) -> MetaImage:
    types = tuple(name for _, name in ELEMENT_TYPES.values())
    return MetaImage.open(path, "a number", types, ADVICE)


def _read_metaimage(path: Path) -> ReadVolume:
    # The place in space is not read: it has many spellings, and both headers are one program's.
    return ReadVolume(_open_metaimage(path).load(), None)


def _read_nifti(path: Path) -> ReadVolume:
    voxels, reader = read_nifti(path), sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NiftiImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise DataError(
            f"{path}: does not say in a way that can be read where it lies in space; {ADVICE}"
        ) from error
    # Of the three axes; a fourth of one volume says nothing.
    count, direction = reader.GetDimension(), np.array(reader.GetDirection())
    axes = direction.reshape(count, count)[:3, :3].ravel()
    return ReadVolume(voxels, (*reader.GetSpacing()[:3], *reader.GetOrigin()[:3], *axes.tolist()))


def _read_itk(path: Path, files: Sequence[Path], reader: str) -> ReadVolume:
    """What one reader of SimpleITK makes of files that have been checked."""
    names = [str(file) for file in files]
    try:
        image = sitk.ReadImage(names if len(names) > 1 else names[0], imageIO=reader)
    except RuntimeError as error:
        raise DataError(f"{path}: cannot be read by {reader}; {ADVICE}") from error
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(
            f"{path}: found {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} numbers for each voxel; expected a grey "
            "volume of three dimensions. Convert it"
        )
    geometry = (*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    return ReadVolume(sitk.GetArrayFromImage(image), geometry)


def _read_frames(path: Path) -> ReadVolume:
    return _read_itk(path, [path], "GDCMImageIO")


def _read_series(folder: Path) -> ReadVolume:
    """The one series of a folder, its slices in the order in which they lie in space."""
    files = dicom_files(folder)
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise DataError(
            f"{folder}: found {len(series)} series of DICOM images in {len(files)} files; expected "
            "one in each folder. Sort the files into a folder for each series"
        )
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    ordered = [Path(name) for name in names]
    left_out = sorted({file.name for file in files} - {file.name for file in ordered})
    if left_out:
        raise DataError(
            f"{folder / left_out[0]}: is no image of the series beside it ({len(left_out)} such "
            "files); replace it, or take it out"
        )
    if len(ordered) > 1:
        _check_distances(folder, ordered)
    return _read_itk(folder, ordered, "GDCMImageIO")


def _check_distances(folder: Path, files: Sequence[Path]) -> None:
    """See that no slice is missing, or there twice."""
    places = []
    for file in files:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(file))
        reader.SetImageIO("GDCMImageIO")
        try:
            reader.ReadImageInformation()
            position = [float(x) for x in reader.GetMetaData(_POSITION).split("\\")]
            axes = [float(x) for x in reader.GetMetaData(_ORIENTATION).split("\\")]
            normal = np.cross(axes[:3], axes[3:])
            places.append(float(np.dot(normal, position)))
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{file}: does not say where its slice lies (0020,0032 and 0020,0037); expected "
                "slices in their order. Store the volume as NIfTI or MetaImage"
            ) from error
    steps = np.abs(np.diff(places))
    usual = float(np.median(steps))
    wrong = np.flatnonzero(np.abs(steps - usual) > ROUNDING * usual)
    if wrong.size or usual == 0:
        k = int(wrong[0]) if wrong.size else 0
        raise DataError(
            f"{folder}: found {steps[k]:g} mm between {files[k].name} and {files[k + 1].name}, and "
            f"{usual:g} mm between others; expected slices at one distance. One is missing or there"
            " twice: complete the series"
        )


def _read_tiff(path: Path) -> ReadVolume:
    """The pages of a TIFF, which have one size and one type."""
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            pages = []
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                if image.mode not in ("L", "I;16", "I;16B", "I;16L", "1", "F"):
                    raise DataError(
                        f"{path}: found page {number} of mode {image.mode}; expected grey pages of "
                        "8 or 16 bits. Convert the file"
                    )
                page = np.asarray(image)
                pages.append(page.astype(page.dtype.newbyteorder("=")))
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, struct.error) as error:
        raise DataError(f"{path}: cannot be decoded ({error}); {ADVICE}") from error
    kinds = {(page.shape, page.dtype.name) for page in pages}
    if len(kinds) > 1:
        found = ", ".join(sorted(f"{w} × {h} of {t}" for (h, w), t in kinds))
        raise DataError(f"{path}: found pages of {found}; expected one size and type. {ADVICE}")
    voxels = np.stack(pages)
    return ReadVolume(voxels.astype(np.uint8) if voxels.dtype == bool else voxels, None)
