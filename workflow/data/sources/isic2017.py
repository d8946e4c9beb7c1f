"""ISIC 2017 in its official layout, archives unpacked.

For each part (Training, Validation, Test_v2): `ISIC-2017_<part>_Data` with `ISIC_*.jpg` (and
`*_superpixels.png`, which are not masks), `ISIC-2017_<part>_Part1_GroundTruth` with
`ISIC_*_segmentation.png` in {0, 255}, and `ISIC-2017_<part>_Part3_GroundTruth.csv` with the
diagnoses; nevus is neither of its two columns.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from workflow.base.errors import DataError
from workflow.base.files import read_yaml
from workflow.config import paths
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.config.sources import PublicSource
from workflow.data.decoding import decode, decode_reduced, size_of
from workflow.data.reading import keys
from workflow.data.reading.leftovers import reasons, refuse_pictures, split_hidden, unused
from workflow.data.sources.source import RawImage, Row

PARTS = {"train": "Training", "val": "Validation", "test": "Test_v2"}
# Read as text too, before anything is imported: see `workflow.config.sources`.
ABOUT = PublicSource(
    title="ISIC 2017",
    lesions=("lesion",),
    labels=("melanoma", "seborrheic_keratosis", "nevus"),
    color=True,
    parts={"train": 2000, "val": 150, "test": 600},
    lesion_everywhere=True,
    downloaded=True,
    licence="CC0 1.0; cite Codella et al., arXiv:1710.05006",
    disk="tens of GB",
    phantoms="workflow.data.phantom.skin:write_isic2017",
    phantom_sizes={
        "train": (6, None),
        "val": (6, None),
        "test": (6, None),
        "size": ((32, None), (32, None)),
        "diagnoses": ("real", "even"),
    },
)
DIAGNOSES = ABOUT.labels
# The threshold of the challenge's own scorer, which is 128 of {0, 255}.
MASK_THRESHOLD = 128
# Formats of the images and of the masks.
PHOTOGRAPH, MASK = ("JPEG",), ("PNG",)
# How names end, in capitals or not.
IMAGE_ENDING, MASK_ENDING = ".jpg", "_segmentation.png"


class _Files(NamedTuple):
    """What there is of one image."""

    part: str
    image: Path
    mask: Path | None
    diagnosis: dict[str, int]


def open_source(config: Config, dataset: str) -> "Isic2017":
    """The source of a data set; what phantoms are like is on no record."""
    record = config.record("isic2017") if config.data.origin == "local" else None
    roots = paths.raw_roots(config, "isic2017")
    return Isic2017(roots, config.datasets[dataset], record)


class Isic2017:
    """The three parts of the challenge; images are their own groups.

    Args:
        roots: folders in which the unpacked archives may lie; the first that has one counts.
        dataset: the data set's configuration.
        record: YAML file whose `counts` the parts must have; None checks nothing.

    Raises:
        DataError: files are missing or contradict each other or the record.
    """

    def __init__(self, roots: list[Path], dataset: Dataset, record: str | None) -> None:
        if dataset.lesions != ["lesion"]:
            raise DataError(f"lesions: found {dataset.lesions}; ISIC 2017 has one: [lesion]")
        wrong = [name for name in dataset.labels if name not in DIAGNOSES]
        if wrong:
            raise DataError(f"labels: {wrong[0]!r} is not a diagnosis; allowed: {[*DIAGNOSES]}")
        self._labels = dataset.labels
        self._files: dict[str, _Files] = {}
        self.ignored: Sequence[str] = ()
        self.tables: Sequence[Path] = tuple(
            table
            for part, title in PARTS.items()
            if (table := self._add(roots, part, f"ISIC-2017_{title}")) is not None
        )
        if twice := keys.look_alike(self._files):
            raise DataError(
                f"{self._files[twice[0]].image}: {self._files[twice[1]].image} has another spelling"
                f" of its id ({keys.side_by_side(twice)}); rename or remove one of them"
            )
        self.ignored = [*self.ignored, *_leftovers(roots, self._files)]
        if not self._files:
            raise DataError(
                f"{roots[0]}: found none of ISIC-2017_{{Training,Validation,Test_v2}}_Data (folder "
                "or .zip, data.isic2017_dir); docs/data.md says which files to place there"
            )
        if record is not None:
            _check_counts(self._files, Path(record), roots[0])
        self.groups: Sequence[str] = list(self._files)

    def rows(self, group: str) -> list[Row]:
        """The one image of a group; see `Source.rows`."""
        files = self._files[group]
        width, height = size_of(files.image, PHOTOGRAPH)
        return [
            {
                "id": group,
                "group": group,
                "part": files.part,
                "width": width,
                "height": height,
                "has_mask": files.mask is not None,
                **{f"label_{name}": files.diagnosis[name] for name in self._labels},
                "files": (files.image, files.mask) if files.mask else (files.image,),
            }
        ]

    def read(self, group: str, size: int) -> Iterator[RawImage]:
        """The one image of a group, decoded no larger than `size` asks for, and its mask."""
        files = self._files[group]
        width, height = size_of(files.image, PHOTOGRAPH)
        pixels, extent = decode_reduced(files.image, size, PHOTOGRAPH)
        mask = None
        if files.mask is not None:
            greys = decode(files.mask, "L", MASK)
            if 0 < greys.max() < MASK_THRESHOLD:
                raise DataError(
                    f"{files.mask}: found values up to {greys.max()}, which all count as "
                    "background; expected 0 and 255. Store a lesion as 255"
                )
            mask = (greys >= MASK_THRESHOLD).astype(np.uint8)
            if mask.shape != (height, width):
                raise DataError(
                    f"{files.mask}: mask is {mask.shape}, image is {(height, width)} (height, "
                    "width); they must agree. Fetch both again"
                )
        yield RawImage(group, pixels, mask, extent)

    def _add(self, roots: list[Path], part: str, prefix: str) -> Path | None:
        """Take in one part if it is there; returns its table of diagnoses."""
        images = _folder(roots, f"{prefix}_Data", IMAGE_ENDING)
        if not images:
            return None  # a copy may lack a part; the split says which images it wants
        masks = _folder(roots, f"{prefix}_Part1_GroundTruth", MASK_ENDING)
        table = _table(roots, f"{prefix}_Part3_GroundTruth.csv")
        diagnoses = _diagnoses(table)
        for image, path in images.items():
            if image in self._files:
                raise DataError(
                    f"{path}: {image} is also in part {self._files[image].part}; remove it from "
                    "one of them"
                )
            if image not in diagnoses:
                raise DataError(
                    f"{table}: no row for {image}, whose image is there"
                    f"{keys.nearest(image, diagnoses)}; fetch the file again"
                )
            self._files[image] = _Files(part, path, masks.get(image), diagnoses[image])
        alone = [image for image in diagnoses if image not in images]
        if alone:
            line = f"{table}: ignored {len(alone)} rows without an image, such as {alone[0]}"
            self.ignored = [*self.ignored, line]
        return table


def _folder(roots: list[Path], name: str, ending: str) -> dict[str, Path]:
    """Image id -> file, of the files with an ending in the first folder that has any.

    An archive holds a folder of its own name, which unpacking puts into another one of that name.
    """
    for root in roots:
        for folder in (root / name, root / name / name):
            if folder.is_dir():
                # "._" begins the shadows that archives packed on a Mac hold.
                found = sorted(
                    f for f in folder.iterdir()
                    if f.name.lower().endswith(ending) and not f.name.startswith(".")
                )  # fmt: skip
                if found:
                    return _by_id(found, ending)
    return {}


def _by_id(files: list[Path], ending: str) -> dict[str, Path]:
    """Image id -> file, of files whose names have an ending."""
    found: dict[str, Path] = {}
    for file in files:
        image = file.name[: -len(ending)]
        if image in found:
            raise DataError(f"{file}: {found[image].name} is of the same image; remove one of them")
        found[image] = file
    return found


def _leftovers(roots: list[Path], files: dict[str, _Files]) -> list[str]:
    """Lines that name what lies in the folders of the parts and is not used, with the reason.

    Raises:
        DataError: a picture lies there that has no place in the layout.
    """
    used = {path for entry in files.values() for path in (entry.image, entry.mask) if path}
    lines = []
    for folder, ending in (
        (root / f"ISIC-2017_{title}_{kind}", ending)
        for root in roots
        for title in PARTS.values()
        for kind, ending in (("Data", IMAGE_ENDING), ("Part1_GroundTruth", MASK_ENDING))
    ):
        left = unused(folder, used) if folder.is_dir() else []
        left, hidden = split_hidden(folder, left)
        lines += hidden
        if left and not any(folder in path.parents for path in used):
            lines += reasons(folder, left, "another folder of this name is read")
            continue
        lines += _of_one_folder(folder, ending, left, files)
    return lines


def _of_one_folder(
    folder: Path, ending: str, left: list[Path], files: dict[str, _Files]
) -> list[str]:
    """As `_leftovers`, of one folder."""
    superpixels = [f for f in left if f.name.lower().endswith("_superpixels.png")]
    alone = {
        f.name[: -len(ending)]: f
        for f in left
        if ending == MASK_ENDING
        and f.name.lower().endswith(ending)
        and f.parent.name == folder.name
    }
    bare = [image for image, entry in files.items() if entry.mask is None]
    for image, file in alone.items():
        if near := keys.nearest(image, bare):
            raise DataError(f"{file}: no image has this mask{near}; rename one of them")
    left = [f for f in left if f not in {*superpixels, *alone.values()}]
    refuse_pictures(f"data.isic2017_dir ({folder.name})", folder, left, f"names with {ending}")
    return [
        *reasons(folder, superpixels, "superpixels are no masks"),
        *reasons(folder, [*alone.values()], "there is no image of this name"),
        *reasons(folder, left, "no picture"),
    ]


def _table(roots: list[Path], name: str) -> Path:
    for root in roots:
        if (root / name).is_file():
            return root / name
    raise DataError(
        f"{roots[0] / name}: missing, but its images are there; it holds the diagnoses. Fetch it"
    )


def _diagnoses(path: Path) -> dict[str, dict[str, int]]:
    """image id -> diagnosis -> 0 or 1."""
    try:
        table = pd.read_csv(path)
    except ValueError as error:
        raise DataError(f"{path}: not a CSV table; fetch the file again") from error
    missing = {"image_id", "melanoma", "seborrheic_keratosis"} - set(table.columns)
    if missing:
        names = keys.listed(map(str, table.columns))
        raise DataError(
            f"{path}: column {sorted(missing)[0]} is missing; fetch the file again (found {names})"
        )
    twice = table["image_id"][table["image_id"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: {twice.iloc[0]} has two rows; fetch the file again")
    table = table.set_index("image_id")[["melanoma", "seborrheic_keratosis"]]
    # Value by value, because one word makes text of a column's numbers.
    table = table.apply(pd.to_numeric, errors="coerce")
    wrong = table.index[~table.isin([0, 1]).all(axis=1)]
    if len(wrong):
        raise DataError(f"{path}: {wrong[0]}: a diagnosis is neither 0 nor 1; fetch the file again")
    both = table.index[table.sum(axis=1) > 1]
    if len(both):
        raise DataError(f"{path}: {both[0]} has two diagnoses; fetch the file again")
    table = table.astype(int)
    table["nevus"] = 1 - table.max(axis=1)
    return {str(image): {d: int(row[d]) for d in DIAGNOSES} for image, row in table.iterrows()}


def _check_counts(files: dict[str, _Files], record: Path, root: Path) -> None:
    """Each part must hold as many images, masks and diagnoses as are on record."""
    found = {part: Counter[str]() for part in PARTS}
    for entry in files.values():
        found[entry.part].update({"images": 1, "masks": int(entry.mask is not None)})
        found[entry.part].update(entry.diagnosis)
    try:
        known = read_yaml(record)["counts"]
        wrong = [
            f"{PARTS[part]} {kind}: found {found[part][kind]}, on record {count}"
            for part, counts in known.items()
            for kind, count in counts.items()
            if found[part][kind] != count
        ]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{record}: cannot be read as a record with `counts` ({', '.join(PARTS)}, and in each "
            "what is counted: its number). Restore the file, or set data.isic2017_record to null"
        ) from error
    if wrong:
        raise DataError(
            f"{root}: {'; '.join(wrong)} ({record}). Complete the files or fetch them again; for a "
            "copy that is meant to be smaller set data.isic2017_record to a record of its own, or "
            "to null"
        )
