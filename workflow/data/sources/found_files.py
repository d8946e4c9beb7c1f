"""The files of a folder of one's own that its configuration means, and the ids they give."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from workflow.base.errors import DataError
from workflow.config.datasets import FolderLayout
from workflow.running.raw_files import find_files


def files_in(folder: Path, key: str, layout: FolderLayout) -> list[Path]:
    """The files and dead links of a folder, by name; hidden ones, and those not meant, left out.

    With `folder.subfolders` those of the folders below too.

    Args:
        folder: the folder.
        key: of the configuration that names it, for messages.
        layout: has the patterns.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder ({key}); correct the path")
    return [file for file in _all_files(folder, layout) if is_meant(file, folder, layout)]


def is_meant(file: Path, folder: Path, layout: FolderLayout) -> bool:
    """Whether `folder.include` and `folder.exclude` keep a file."""
    included = not layout.include or _fits_any(file, folder, layout.include)
    return included and not _fits_any(file, folder, layout.exclude)


def id_of(file: Path, folder: Path, layout: FolderLayout, stem: str | None = None) -> str:
    """The id that a file gives: its stem, or with `folder.ids: path` its path from the folder.

    Args:
        file: lies in the folder or below it.
        folder: the folder of images or of masks.
        layout: says which ids are meant.
        stem: of the file, where it is not that which follows from the last point in its name.
    """
    stem = file.stem if stem is None else stem
    if layout.ids == "stem":
        return stem
    return "-".join((*file.parent.relative_to(folder).parts, stem))


def check_patterns(layout: FolderLayout) -> None:
    """See that each pattern fits some file; one that fits none is misspelt.

    Raises:
        DataError: naming the pattern.
    """
    folders = [Path(path) for path in (layout.images, layout.masks) if path is not None]
    for key, patterns in (("include", layout.include), ("exclude", layout.exclude)):
        for pattern in patterns:
            fits = (
                _fits_any(file, folder, [pattern])
                for folder in folders
                for file in _all_files(folder, layout)
            )
            if not any(fits):
                raise DataError(
                    f"folder.{key}: found {pattern!r}, which fits no file in "
                    f"{' or '.join(map(str, folders))}; expected a pattern such as '*_old*' (a "
                    "name), or 'left/*' (a path from there, with folder.subfolders). Correct it, "
                    "or leave it out"
                )


def groups_by_pattern(images: Iterable[str], pattern: str) -> dict[str, str]:
    """id -> group, which is what the one bracket of a regular expression finds in the id.

    Raises:
        DataError: it finds nothing in some id.
    """
    found = {image: re.search(pattern, image) for image in images}
    without = [image for image, match in found.items() if not (match and match[1])]
    if without:
        raise DataError(
            f"folder.group_pattern: found {pattern!r}, which finds no group in {without[0]!r} "
            f"({len(without)} such ids of {len(found)}); expected one bracket that is not empty "
            "for any id, such as '^(patient[0-9]+)_'. Correct it, or name the images otherwise"
        )
    return {image: match[1] for image, match in found.items() if match}


def _all_files(folder: Path, layout: FolderLayout) -> list[Path]:
    if not folder.is_dir():
        return []
    direct = [file for file in folder.iterdir() if not file.name.startswith(".")]
    files = [file for file in direct if not file.is_dir()]
    if layout.subfolders:
        files += [file for file, _ in find_files(folder) if file.parent != folder]
    return sorted(files)


def _fits_any(file: Path, folder: Path, patterns: Iterable[str]) -> bool:
    """Whether a pattern fits the path from the folder, or the name where it has no `/`."""
    path = file.relative_to(folder).as_posix()
    return any(fnmatchcase(path if "/" in p else file.name, p) for p in patterns)
