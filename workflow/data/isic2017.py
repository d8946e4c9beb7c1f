"""ISIC 2017 in its official layout, unpacked or still in its zip archives.

For each part (Training, Validation, Test_v2): `ISIC-2017_<part>_Data` with `ISIC_*.jpg` (and
`*_superpixels.png`, which are not masks), `ISIC-2017_<part>_Part1_GroundTruth` with
`ISIC_*_segmentation.png` in {0, 255}, and `ISIC-2017_<part>_Part3_GroundTruth.csv` with the
diagnoses; nevus is neither of its two columns. Archives are read in place: nothing is unpacked.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from workflow.config_sections import Dataset
from workflow.data.errors import DataError
from workflow.data.source import RawImage

PARTS = {"train": "Training", "val": "Validation", "test": "Test_v2"}
DIAGNOSES = ("melanoma", "seborrheic_keratosis", "nevus")
# The threshold of the challenge's own scorer, which is 128 of {0, 255}.
MASK_THRESHOLD = 128


class Isic2017:
    """The three parts of the challenge; images are their own groups."""

    def __init__(self, raw: Path, dataset: Dataset) -> None:
        if dataset.lesions != ["lesion"]:
            raise DataError(f"lesions: found {dataset.lesions}; ISIC 2017 has one: [lesion]")
        wrong = [name for name in dataset.labels if name not in DIAGNOSES]
        if wrong:
            raise DataError(f"labels: {wrong[0]!r} is not a diagnosis; allowed: {[*DIAGNOSES]}")
        self._raw = raw
        self._dataset = dataset
        self._images: dict[str, _Folder] = {}
        self._masks: dict[str, _Folder] = {}
        self._rows: list[dict[str, object]] = []
        for part, title in PARTS.items():
            self._add(part, f"ISIC-2017_{title}")
        if not self._rows:
            raise DataError(
                f"{raw}: found none of ISIC-2017_{{Training,Validation,Test_v2}}_Data (folder or "
                ".zip); docs/data.md says which files to place there"
            )

    def inventory(self) -> pd.DataFrame:
        """One row per image; see `Source.inventory`."""
        return pd.DataFrame(self._rows)

    def read(self, group: str) -> Iterator[RawImage]:
        """The one image of a group, with its mask where it has one."""
        pixels = _decode(self._images[group], f"{group}.jpg", "RGB")
        mask = None
        if group in self._masks:
            name = f"{group}_segmentation.png"
            mask = (_decode(self._masks[group], name, "L") >= MASK_THRESHOLD).astype(np.uint8)
            if mask.shape != pixels.shape[:2]:
                raise DataError(
                    f"{self._masks[group].path}/{name}: mask is {mask.shape}, image is "
                    f"{pixels.shape[:2]} (height, width); they must agree"
                )
        yield RawImage(group, pixels, mask)

    def _add(self, part: str, prefix: str) -> None:
        images = _open(self._raw / f"{prefix}_Data")
        if images is None:
            return  # a copy may lack a part; the split says which images it wants
        masks = _open(self._raw / f"{prefix}_Part1_GroundTruth")
        labels = _diagnoses(self._raw / f"{prefix}_Part3_GroundTruth.csv")
        for name in sorted(n for n in images.names if n.endswith(".jpg")):
            image = PurePosixPath(name).stem
            if image not in labels:
                raise DataError(
                    f"{prefix}_Part3_GroundTruth.csv: no row for {image}, whose image is there"
                )
            if masks is not None and f"{image}_segmentation.png" in masks.names:
                self._masks[image] = masks
            self._images[image] = images
            data = images.read(name)
            width, height = _size(images, name, data)
            self._rows.append(
                {
                    "id": image,
                    "group": image,
                    "part": part,
                    "width": width,
                    "height": height,
                    "has_mask": image in self._masks,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    **{f"label_{name}": labels[image][name] for name in self._dataset.labels},
                }
            )


class _Folder:
    """Files by name, in a folder or in a zip archive of the same name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = zipfile.ZipFile(path) if path.suffix == ".zip" else None
        members = self._zip.namelist() if self._zip else [f.name for f in path.iterdir()]
        named = {PurePosixPath(member).name: member for member in members}
        # Archives packed on a Mac hold a "._" shadow of each file.
        self._members = {name: m for name, m in named.items() if not name.startswith("._")}

    @property
    def names(self) -> set[str]:
        """The file names, without folders."""
        return set(self._members)

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        member = self._members[name]
        try:
            return self._zip.read(member) if self._zip else (self.path / member).read_bytes()
        except (zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.path}: {name} in it is damaged; fetch it again") from error


def _open(folder: Path) -> _Folder | None:
    archive = folder.with_name(f"{folder.name}.zip")
    if folder.is_dir():
        return _Folder(folder)
    if not archive.is_file():
        return None
    try:
        return _Folder(archive)
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive}: not a complete zip archive; fetch it again") from error


def _diagnoses(path: Path) -> dict[str, dict[str, int]]:
    """image id -> diagnosis -> 0 or 1."""
    if not path.is_file():
        raise DataError(f"{path}: missing, but its images are there; it holds the diagnoses")
    try:
        table = pd.read_csv(path)
    except ValueError as error:
        raise DataError(f"{path}: not a CSV table; fetch the file again") from error
    missing = {"image_id", "melanoma", "seborrheic_keratosis"} - set(table.columns)
    if missing:
        raise DataError(f"{path}: column {sorted(missing)[0]} is missing; fetch the file again")
    table = table.set_index("image_id")[["melanoma", "seborrheic_keratosis"]]
    wrong = table.index[~table.isin([0, 1]).all(axis=1)]
    if len(wrong):
        raise DataError(f"{path}: {wrong[0]}: a diagnosis is neither 0 nor 1; fetch the file again")
    table = table.astype(int)
    table["nevus"] = 1 - table.max(axis=1)
    return {str(image): {d: int(row[d]) for d in DIAGNOSES} for image, row in table.iterrows()}


def _size(folder: _Folder, name: str, data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except OSError as error:
        raise DataError(f"{folder.path}/{name}: not an image; fetch it again") from error


def _decode(folder: _Folder, name: str, mode: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(folder.read(name))) as image:
            return np.asarray(image.convert(mode))
    except OSError as error:
        raise DataError(f"{folder.path}/{name}: cannot be decoded; fetch it again") from error
