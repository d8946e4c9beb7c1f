"""What is known of a paper's data sets from elsewhere: the record its statements are held against.

A YAML file, data set -> any of

    volumes:     {file: volumes.csv, voxels: [background, lesion], vendor: Cirrus}
                 a CSV beside this file with a line per volume: column `slices`, the columns named
                 by `voxels` (their sum, over the slices, is an image's size in pixels; may be left
                 out); every other key chooses lines by a column
    slices:      49             images of every volume, where there is no such CSV
    prevalence:  [600, 1800]    positive labels and all labels of the test set
    images:      {train: 2000, test: 600}
    image_sizes: [639×602, 6748×4499]    smallest and largest, width × height
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from workflow.audit.rounding import AuditError
from workflow.audit.yaml_files import check_mapping, read_mapping
from workflow.base.files import read_csv

_KEYS = ("volumes", "slices", "prevalence", "images", "image_sizes")


@dataclass(frozen=True)
class DatasetRecord:
    """What is known of one data set; None or empty where it is not.

    Attributes:
        slices: images of each volume.
        pixels: pixels of an image of each volume.
        uniform: images of every volume, where the volumes are not listed.
        prevalence: the share of positive labels in the test set.
        images: part -> its number of images.
        image_sizes: smallest and largest (width, height).
    """

    slices: tuple[int, ...] = ()
    pixels: tuple[int, ...] = ()
    uniform: int | None = None
    prevalence: Fraction | None = None
    images: tuple[tuple[str, int], ...] = ()
    image_sizes: tuple[tuple[int, int], ...] = ()


def read_record(path: Path) -> dict[str, DatasetRecord]:
    """Read the record.

    Raises:
        AuditError: the file, a key of it, or a CSV that it names cannot be used.
    """
    return {
        dataset: _dataset(check_mapping(content, f"{path}: {dataset}", _KEYS), path, dataset)
        for dataset, content in read_mapping(path).items()
    }


def sizes(text: str) -> list[tuple[int, int]]:
    """All sizes (width, height) that a text such as `512×885` names."""
    found = re.findall(r"(\d+)\s*[×xX]\s*(\d+)", text)
    return [(int(width), int(height)) for width, height in found]


def _dataset(content: dict[str, Any], path: Path, dataset: str) -> DatasetRecord:
    where = f"{path}: {dataset}"
    slices, pixels = (), ()
    if "volumes" in content:
        slices, pixels = _volumes(content["volumes"], path, f"{where}: volumes")
    images = check_mapping(content.get("images", {}), f"{where}: images")
    for part, count in images.items():
        _count(count, f"{where}: images: {part}")
    return DatasetRecord(
        slices=slices,
        pixels=pixels,
        uniform=_count(content["slices"], f"{where}: slices") if "slices" in content else None,
        prevalence=_prevalence(content.get("prevalence"), f"{where}: prevalence"),
        images=tuple(images.items()),
        image_sizes=_sizes(content.get("image_sizes"), f"{where}: image_sizes"),
    )


def _volumes(content: Any, path: Path, where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Images of each volume, and pixels of an image of each."""
    chosen = dict(check_mapping(content, where, required=("file",)))
    file = path.parent / str(chosen.pop("file"))
    voxels = chosen.pop("voxels", [])
    try:
        of_dataset = [
            row for row in read_csv(file) if all(row[k] == str(v) for k, v in chosen.items())
        ]
        slices = tuple(int(row["slices"]) for row in of_dataset)
        totals = [sum(int(row[name]) for name in voxels) for row in of_dataset]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise AuditError(
            f"{where}: {file} cannot be used: {error!r}; expected a CSV with columns "
            f"{', '.join(['slices', *map(str, voxels), *chosen])}"
        ) from error
    if not slices:
        raise AuditError(f"{where}: {file} has no line with {chosen}")
    uneven = [k for k, total in enumerate(totals) if total % slices[k]]
    if uneven:
        raise AuditError(
            f"{where}: {file}: voxels {totals[uneven[0]]} of a volume are no multiple of its "
            f"{slices[uneven[0]]} slices"
        )
    return slices, tuple(t // s for t, s in zip(totals, slices, strict=True)) if voxels else ()


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise AuditError(f"{where}: found {value!r}; expected a positive whole number")
    return value


def _prevalence(value: Any, where: str) -> Fraction | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise AuditError(f"{where}: found {value!r}; expected [positive labels, all labels]")
    positive, labels = (_count(part, where) for part in value)
    if positive > labels:
        raise AuditError(f"{where}: {positive} positive labels of {labels}")
    return Fraction(positive, labels)


def _sizes(value: Any, where: str) -> tuple[tuple[int, int], ...]:
    if value is None:
        return ()
    found = [sizes(str(text)) for text in value] if isinstance(value, list) else []
    if len(found) != 2 or not all(len(size) == 1 for size in found):
        raise AuditError(f"{where}: found {value!r}; expected [smallest, largest], as 640×480")
    return tuple(size[0] for size in found)
