"""What lies in a folder and is not used: named with the reason, or refused if it is a picture.

A mask that does not match, or an image in a folder below, would otherwise be missing from training
and from every score without a word.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from workflow.base.errors import DataError
from workflow.data.reading.pictures import kind_of

# Suffixes of files that hold pictures, those included that are not read.
_PICTURE_NAMES = (
    "png apng jpg jpeg jpe jfif tif tiff bmp dib gif webp jp2 j2k jpx heic heif avif pgm ppm pbm "
    "pnm dcm dicom nii mha mhd nrrd dds eps psd ico tga svg exr hdr svs ndpi npy npz xcf raw"
)
PICTURES = frozenset(f".{name}" for name in re.split(" ", _PICTURE_NAMES))
# What `kind_of` says of files that hold no picture.
_NO_PICTURE = frozenset(
    {"", "empty file", "PDF", "ZIP", "gzip", "web page", "XML or SVG", "HDF5", "NumPy"}
)
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "@eadir"})
_NAMED = 5


def suffix_of(path: Path) -> str:
    """A file's suffix in small letters; `.nii.gz` is `.nii`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def is_picture(path: Path) -> bool:
    """Whether a file holds a picture, by its suffix, or without a known one by its beginning."""
    suffix = suffix_of(path)
    if suffix in PICTURES:
        return True
    return not suffix and _kind(path) not in _NO_PICTURE


def _kind(path: Path) -> str:
    """As `kind_of`; of what cannot be read, such as a dead link, nothing is known."""
    try:
        return kind_of(path)
    except OSError:
        return ""


def files_below(folder: Path, apart: Collection[Path] = ()) -> Iterator[Path]:
    """Every file below a folder, also through links, but not below some other paths.

    Raises:
        DataError: a folder may not be listed.
    """
    skipped, visited = {path.resolve() for path in apart}, set[Path]()

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: may not be listed; make the folder readable")

    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(place)
        if here.resolve() in visited:
            folders.clear()
            continue
        visited.add(here.resolve())
        folders[:] = sorted(x for x in folders if (here / x).resolve() not in skipped)
        yield from (
            here / x for x in sorted(files) if not skipped or (here / x).resolve() not in skipped
        )


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a system put a file there: it, or a folder above it, has such a name."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part.lower() in _SYSTEM for part in parts)


def unused(folder: Path, used: Collection[Path], apart: Collection[Path] = ()) -> list[Path]:
    """The files below a folder that are not used; some paths are not looked at.

    Args:
        folder: the folder.
        used: the files that are.
        apart: other folders and files that are named for something else.
    """
    taken = set(used)
    return [file for file in files_below(folder, apart) if file not in taken]


def split_hidden(folder: Path, files: Collection[Path]) -> tuple[list[Path], list[str]]:
    """The files that are not hidden, and a line that names the others as ignored."""
    hidden = [file for file in files if is_hidden(file, folder)]
    shown = [file for file in files if file not in set(hidden)]
    return shown, reasons(folder, hidden, "hidden, or a system's own")


def refuse_pictures(key: str, folder: Path, files: Collection[Path], suffixes: str) -> None:
    """Refuse pictures among the files that are not used.

    Args:
        key: the key that names the folder.
        folder: the folder.
        files: unused files, and nobody knows why.
        suffixes: that are read, in words.

    Raises:
        DataError: naming the first, how many there are, and why they are not read.
    """
    below = [file for file in files if file.parent != folder and is_picture(file)]
    if below:
        more = ", or set folder.subfolders" if key.startswith("folder.") else ""
        raise DataError(
            f"{below[0]}: found in a folder below {key} ({len(below)} such files), where it would "
            f"not be read; move it into {folder}, or out of it{more}"
        )
    others = [file for file in files if is_picture(file)]
    if others:
        kind = _kind(others[0])
        raise DataError(
            f"{others[0]}: found {kind or 'a picture'} that would not be read ({len(others)} such "
            f"files in {key}); expected {suffixes}. Convert or rename it, or move it out of the "
            "folder"
        )


def reasons(folder: Path, files: Collection[Path], reason: str) -> list[str]:
    """A line that names files as ignored, with the reason; nothing where there are none."""
    if not files:
        return []
    names = [str(file.relative_to(folder)) for file in sorted(files)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{folder}: ignored {', '.join(names[:_NAMED])}{more}: {reason}"]
