"""Which images are meant: files, folders, globs and volumes, each under a name of its own.

A folder stands for the image and volume files in it, or, if it holds a DICOM series, for that
volume. What is there and is no image is refused by name, so that nothing is left out unnoticed.
"""

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from workflow.base.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")  # named, if not read
VOLUMES = (".mhd", ".mha", ".nii", ".nii.gz", ".nrrd")
DICOM = (".dcm", ".dicom", ".ima")
# Voxels that a header beside them names.
COMPANIONS = (".raw", ".zraw", ".raw.gz")

Kind = Literal["picture", "stack", "volume", "series"]


class InputImage(NamedTuple):
    """An image or a volume to predict on.

    Attributes:
        name: what its outputs are called; no two have the same.
        path: its file, or the folder of a DICOM series.
        kind: a picture; a TIFF of several pages; a volume in one file; or a DICOM series.
        series: the series in that folder; empty for anything else.
    """

    name: str
    path: Path
    kind: Kind
    series: str = ""


class RefusedFile(NamedTuple):
    """A file that cannot be used, and why."""

    file: Path
    why: str


def find_inputs(words: Sequence[str]) -> tuple[list[InputImage], list[RefusedFile]]:
    """What the words of a command line stand for, in their order and then by name, each once.

    Args:
        words: files, folders and globs; `**` of a glob goes through folders.

    Raises:
        DataError: none of them leads to an image.
    """
    found: list[InputImage] = []
    refused: list[RefusedFile] = []
    for word in words:
        paths = [Path(word)]
        if not paths[0].exists():
            # `Path.glob` takes no pattern with a folder before it.
            paths = [Path(name) for name in sorted(glob.glob(word, recursive=True))]  # noqa: PTH207
        if not paths:
            refused.append(
                RefusedFile(Path(word), "no such file or folder, and no file matches it")
            )
        # Of what a glob names, only what looks like an image is meant.
        wanted = [one for one in paths if len(paths) == 1 or one.is_dir() or _suffix(one)]
        for path in wanted:
            _add(path, found, refused)
    kept = list({(one.path, one.series): one for one in found}.values())
    if not kept:
        first = f"; {refused[0].file}: {refused[0].why}" if refused else ""
        raise DataError(
            f"{' '.join(words)}: found no image or volume{first}. Known are "
            f"{', '.join((*PICTURES, *VOLUMES, *DICOM))}, and folders of a DICOM series"
        )
    return _named(kept), refused


def _suffix(path: Path) -> str:
    """The known suffix of a file in lower case, `.nii.gz` as one; empty if there is none."""
    name = path.name.lower()
    known = (*VOLUMES, *PICTURES, *DICOM)
    return next((suffix for suffix in known if name.endswith(suffix)), "")


def _add(path: Path, found: list[InputImage], refused: list[RefusedFile]) -> None:
    if path.is_dir():
        _add_folder(path, found, refused)
        return
    try:
        found.append(InputImage(stem(path), path, _kind(path)))
    except DataError as error:
        refused.append(RefusedFile(path, str(error)))


def _kind(path: Path) -> Kind:
    suffix = _suffix(path)
    if not suffix:
        raise DataError(f"its suffix is none of {', '.join((*PICTURES, *VOLUMES, *DICOM))}")
    if suffix not in PICTURES:
        return "volume"
    return "stack" if suffix in (".tif", ".tiff") and _pages(path) > 1 else "picture"


def _pages(path: Path) -> int:
    """The pages of a TIFF; 1 where it cannot be read, which reading it will tell."""
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError):
        return 1


def _add_folder(folder: Path, found: list[InputImage], refused: list[RefusedFile]) -> None:
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    plain = [file for file in files if file.is_file() or file.is_symlink()]
    series = _series(folder, plain)
    found += series
    of_series = {".dcm", ".dicom", ".ima", ""} if series else set[str]()
    before = len(found)
    for file in plain:
        if file.suffix.lower() in of_series or file.name.lower().endswith(COMPANIONS):
            continue
        _add(file, found, refused)
    inside = [one.name for one in files if one.is_dir()]
    if inside and not series and len(found) == before:
        refused.append(
            RefusedFile(
                folder,
                f"no image right in it, and {len(inside)} folders, first {inside[0]}; name them, "
                f"or give '{folder}/**/*.png'",
            )
        )


def _series(folder: Path, files: Iterable[Path]) -> list[InputImage]:
    """The DICOM series in a folder; looked for only where a file may belong to one."""
    if not any(file.suffix.lower() in (*DICOM, "") for file in files):
        return []
    import SimpleITK as sitk

    found = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    names = [folder.name, *(f"{folder.name}_{k}" for k in range(2, len(found) + 1))]
    return [
        InputImage(name, folder, "series", one) for name, one in zip(names, found, strict=False)
    ]


def stem(path: Path) -> str:
    """A file's name without its suffix; `.nii.gz` is one."""
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix else path.name


def _named(images: list[InputImage]) -> list[InputImage]:
    """The images under names that no two share: with the folder before, or the suffix behind."""
    for rename in (_with_folder, _with_suffix):
        count = Counter(image.name for image in images)
        images = [rename(image) if count[image.name] > 1 else image for image in images]
    taken: Counter[str] = Counter()
    named = []
    for image in images:
        taken[image.name] += 1
        again = taken[image.name]
        named.append(image._replace(name=f"{image.name}_{again}") if again > 1 else image)
    return named


def _with_folder(image: InputImage) -> InputImage:
    parent = image.path.absolute().parent.name
    return image._replace(name=f"{parent}_{image.name}") if parent else image


def _with_suffix(image: InputImage) -> InputImage:
    suffix = _suffix(image.path).replace(".", "_")
    return image._replace(name=f"{image.name}{suffix}")
