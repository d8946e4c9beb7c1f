"""RETOUCH in its raw layout: one folder per OCT volume, MetaImage headers beside raw voxels.

`RETOUCH-TrainingSet-<vendor>/TRAINnnn/{oct,reference}.{mhd,raw}`; some downloads put another folder
around it. Voxels run x, y, z with z the B-scan; reference: 0 background, 1 IRF, 2 SRF, 3 PED
(docs/data.md has the geometry per vendor).
"""

import math
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import SimpleITK as sitk

from workflow.base.errors import DataError
from workflow.config import paths
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.config.sources import PublicSource
from workflow.data.sources.source import RawImage, Row
from workflow.running.raw_files import IGNORED

# Read as text too, before anything is imported: see `workflow.config.sources`.
ABOUT = PublicSource(
    title="RETOUCH",
    lesions=("irf", "srf", "ped"),
    labels=("irf", "srf", "ped", "no_fluid"),
    color=False,
    vendors=("Cirrus", "Spectralis", "Topcon"),
    volumes=True,
    how_to_get="RETOUCH may not be passed on, so each user fetches it: make an account at "
    "retouch.grand-challenge.org, join the challenge, and send in its signed confidentiality "
    "agreement; then download the three training archives "
    "RETOUCH-TrainingSet-{Cirrus,Spectralis,Topcon} and put them, as archives or unpacked, into "
    "one folder that data.retouch_dir or $RETOUCH_DIR names. preset=demo needs no data.",
    disk="some 6 GB",
    phantoms="workflow.data.phantom.retina:write_vendors",
    phantom_sizes={"volumes": (4, 24), "scale": (0.1, 1)},
    phantom_slices={"Cirrus": 128, "Spectralis": 49, "Topcon": 128},  # as most real ones have them
)
FLUIDS = {name: value for value, name in enumerate(ABOUT.lesions, start=1)}
ELEMENT_TYPES = {sitk.sitkUInt8: np.dtype(np.uint8), sitk.sitkUInt16: np.dtype(np.uint16)}
# Of every B-scan in the set; the record has no width of its own.
WIDTH = 512
RECORD_COLUMNS = ("id", "vendor", "slices", "background", *FLUIDS)
HOW_TO_GET = ABOUT.how_to_get


def open_source(config: Config, dataset: str) -> "Retouch":
    """The source of a data set; what phantoms are like is on no record."""
    record = config.record("retouch") if config.data.origin == "local" else None
    roots = paths.raw_roots(config, "retouch")
    return Retouch(roots, config.datasets[dataset], record)


class Retouch:
    """The annotated volumes of one vendor; images are B-scans, groups are volumes.

    Args:
        roots: folders below which volumes lie; those that are missing count as empty.
        dataset: names the vendor, the lesions and how intensities become 8-bit.
        record: CSV of what each volume must hold, or None where nothing is on record.

    Raises:
        DataError: the vendor has no volume, or one twice, or the record cannot be used.
    """

    def __init__(self, roots: list[Path], dataset: Dataset, record: str | None) -> None:
        self._dataset = dataset
        self._folders = _find(roots, f"RETOUCH-TrainingSet-{dataset.vendor}")
        self._record_path = record
        self._record = _read_record(Path(record)) if record is not None else None
        self.groups: Sequence[str] = sorted(self._folders)
        self.tables: Sequence[Path] = ()

    def rows(self, group: str) -> list[Row]:
        """The B-scans taken of one volume, with the number of pixels of each lesion.

        Raises:
            DataError: a file is missing or damaged, or the volume is not as on record.
        """
        scans, reference = self._pair(group)
        # [slices, 4]: voxels of each label per slice, one slice at a time to spare memory.
        counts = np.array(
            [np.bincount(labels.ravel(), minlength=len(FLUIDS) + 1) for labels in reference.load()]
        )
        if self._record is not None:
            self._compare(group, self._record, reference.shape, counts.sum(axis=0))
        slices, height, width = reference.shape
        rows: list[Row] = []
        for index in range(0, slices, self._dataset.slice_step):
            present = {name: int(counts[index, value] > 0) for name, value in FLUIDS.items()}
            present["no_fluid"] = int(not any(present.values()))
            rows.append(
                {
                    "id": _slice_id(group, index),
                    "group": group,
                    "part": "",
                    "width": width,
                    "height": height,
                    "has_mask": True,
                    "files": (*scans.files, *reference.files),
                    **{f"label_{name}": present[name] for name in self._dataset.labels},
                    **{
                        f"pixels_{name}": int(counts[index, FLUIDS[name]])
                        for name in self._dataset.lesions
                    },
                }
            )
        return rows

    def read(self, group: str, size: int) -> Iterator[RawImage]:
        """The B-scans taken of one volume, at their own size whatever `size` is.

        Intensities are in 0..255, as uint8 where that is exact and as float32 elsewhere.

        Raises:
            DataError: a file is missing or damaged.
        """
        header, reference = self._pair(group)
        labels, scans = reference.load(), header.load()
        low, high = self._range(scans)
        slices, height, width = reference.shape
        for index in range(0, slices, self._dataset.slice_step):
            mask = np.zeros((height, width), np.uint8)
            for k, lesion in enumerate(self._dataset.lesions, start=1):
                mask[labels[index] == FLUIDS[lesion]] = k
            pixels = scans[index]
            if pixels.dtype != np.uint8 or (low, high) != (0, 255):
                pixels = stretch(pixels, low, high)
            yield RawImage(_slice_id(group, index), pixels, mask, (height, width))

    def _pair(self, group: str) -> tuple["_Volume", "_Volume"]:
        folder = self._folders[group]
        scans, reference = _Volume.open(folder / "oct.mhd"), _Volume.open(folder / "reference.mhd")
        # Spacing is not compared: nothing here uses it, and no record says that the two agree.
        if scans.shape != reference.shape:
            raise DataError(
                f"{folder}: oct has (slices, height, width) {scans.shape}, reference "
                f"{reference.shape}; they must agree. Unpack the volume again"
            )
        return scans, reference

    def _range(self, scans: np.ndarray) -> tuple[float, float]:
        """The intensities that become 0 and 255."""
        if self._dataset.intensity == "type":
            return 0, np.iinfo(scans.dtype).max
        if isinstance(self._dataset.intensity, str):  # by volume
            return int(scans.min()), int(scans.max())
        return self._dataset.intensity

    def _compare(
        self, group: str, record: "_Record", shape: tuple[int, int, int], counts: np.ndarray
    ) -> None:
        """Hold a volume against the record; `counts` are its voxels of labels 0 to 3."""
        folder, where = self._folders[group], f"{self._record_path} (data.retouch_record)"
        advice = (
            "the copy is damaged or altered: unpack it again, or fetch it again; if it is meant "
            "to be a different data set, set data.retouch_record to null"
        )
        if group not in record:
            raise DataError(f"{folder}: volume {group} is not on record in {where}; {advice}")
        recorded = record[group]
        voxels = sum(int(recorded[name]) for name in ("background", *FLUIDS))
        slices, height, width = shape
        compared = {
            "vendor": (self._dataset.vendor, recorded["vendor"]),
            "slices": (f"{slices}", recorded["slices"]),
            "rows": (f"{height}", f"{voxels / int(recorded['slices']) / WIDTH:g}"),
            "width": (f"{width}", f"{WIDTH}"),
        }
        for name, value in FLUIDS.items():
            compared[f"voxels of {name}"] = (f"{counts[value]}", recorded[name])
        differences = [
            f"{key} {found} (on record {expected})"
            for key, (found, expected) in compared.items()
            if found != expected
        ]
        if differences:
            raise DataError(
                f"{folder}: found {', '.join(differences)} for {group} in {where}; {advice}"
            )


def stretch(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Bring intensities from `low`..`high` to 0..255, clipped; where the two are equal, to 0.

    Args:
        pixels: uint8 or uint16 `[H, W]`.
        low, high: the bounds in the unit of `pixels`.

    Returns:
        float32 of the same shape.
    """
    if low == high:
        return np.zeros(pixels.shape, np.float32)
    # In float64, so that only the last step rounds, and `high` gives 255 and not a little more.
    share = (np.clip(pixels.astype(np.float64), low, high) - low) / (high - low)
    return (share * 255).astype(np.float32)


class _Volume(NamedTuple):
    """One MetaImage whose header has been read and found to promise what its file holds."""

    header: Path
    voxels: Path
    dtype: np.dtype
    shape: tuple[int, int, int]

    @property
    def files(self) -> tuple[Path, ...]:
        """The voxel file and the header, or the header alone where it holds the voxels."""
        return (self.header,) if self.voxels == self.header else (self.voxels, self.header)

    @classmethod
    def open(cls, header: Path) -> "_Volume":
        """Read a header and check it, the voxels being left where they are."""
        if not header.is_file():
            raise DataError(
                f"{header}: missing; a volume has oct.mhd and reference.mhd, each with its .raw "
                "file. Unpack the volume again"
            )
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(header))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise DataError(
                f"{header}: not the header of a MetaImage volume; unpack the volume again"
            ) from error
        size, spacing = reader.GetSize(), reader.GetSpacing()
        # SimpleITK takes a negative size for one near 2^32.
        if len(size) != 3 or not all(0 < n < 2**31 for n in size):
            raise DataError(
                f"{header}: found size {size}; expected columns, rows and slices. Unpack the "
                "volume again"
            )
        if not all(step > 0 and math.isfinite(step) for step in spacing):
            raise DataError(
                f"{header}: found ElementSpacing {spacing}; expected three positive lengths in mm. "
                "Unpack the volume again"
            )
        dtype = ELEMENT_TYPES.get(reader.GetPixelID())
        if dtype is None:
            kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
            raise DataError(
                f"{header}: found voxels of type {kind}; expected 8-bit or 16-bit unsigned "
                "integer. Unpack the volume again"
            )
        voxels, found = _voxels(header)
        expected = math.prod(size) * dtype.itemsize
        if found != expected:
            raise DataError(
                f"{voxels}: found {found} bytes of voxels; {header.name} promises {expected} "
                f"({' × '.join(map(str, size))} of {dtype}). The file is damaged or belongs to "
                "another volume; unpack the volume again"
            )
        return cls(header, voxels, dtype, (size[2], size[1], size[0]))

    def load(self) -> np.ndarray:
        """The voxels `[slices, height, width]`; of a reference, with the labels checked."""
        try:
            voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(self.header)))
        except RuntimeError as error:
            raise DataError(
                f"{self.header}: its voxels cannot be read; unpack the volume again"
            ) from error
        if self.header.stem == "reference" and voxels.max() > max(FLUIDS.values()):
            wrong = voxels > max(FLUIDS.values())
            values = np.unique(voxels[wrong])
            raise DataError(
                f"{self.voxels}: found label {', '.join(map(str, values[:5]))}"
                f"{', ...' if len(values) > 5 else ''} in {np.count_nonzero(wrong)} voxels, first "
                f"in B-scan {int(np.argmax(wrong.any(axis=(1, 2)))):03d}; allowed: 0 background, "
                "1 IRF, 2 SRF, 3 PED. Unpack the volume again"
            )
        return voxels


def _voxels(header: Path) -> tuple[Path, int]:
    """The file with a header's voxels, and how many bytes of them it holds, uncompressed.

    SimpleITK returns noise for compressed voxels that are damaged, so they are counted here.
    """
    keys: dict[str, str] = {}
    with header.open("rb") as stream:
        # The voxels of a LOCAL header follow this key, which is always its last.
        while "ElementDataFile" not in keys and (line := stream.readline(4096)):
            key, _, value = line.decode("latin-1").partition("=")
            keys[key.strip()] = value.strip()
        start = stream.tell()
    name = keys.get("ElementDataFile", "")
    if not name or name.startswith("LIST") or "%" in name or Path(name).name != name:
        raise DataError(
            f"{header}: found ElementDataFile {name!r}; expected the name of one file beside it, or"
            " LOCAL. Unpack the volume again"
        )
    local = name.upper() == "LOCAL"
    path = header if local else header.parent / name
    if not path.is_file():
        raise DataError(
            f"{path}: missing, but {header.name} names it as its voxels; unpack the volume again"
        )
    start = start if local else 0
    if keys.get("CompressedData", "").upper() != "TRUE":
        return path, path.stat().st_size - start
    found, inflater = 0, zlib.decompressobj()
    with path.open("rb") as stream:
        stream.seek(start)
        try:
            while block := stream.read(2**20):
                found += len(inflater.decompress(block))
        except zlib.error as error:
            raise DataError(
                f"{path}: its compressed voxels are damaged; unpack the volume again"
            ) from error
    return path, found


def _find(roots: list[Path], wanted: str) -> dict[str, Path]:
    """Volume id -> its folder, of all volumes below the training folder of one vendor."""
    found: dict[str, Path] = {}
    seen: set[tuple[int, int, bool]] = set()
    for root in roots:
        if not root.is_dir():
            continue
        for folder in _volume_folders(root, wanted.lower(), seen, inside=False):
            volume = folder.name.upper()
            if volume in found:
                raise DataError(
                    f"{folder}: volume {volume} is also in {found[volume]}; keep one of them"
                )
            found[volume] = folder
    if not found:
        places = " or ".join(map(str, dict.fromkeys(roots)))
        raise DataError(f"{places}: found no {wanted}/TRAINnnn/oct.mhd below it. {HOW_TO_GET}")
    return found


def _volume_folders(
    folder: Path, wanted: str, seen: set[tuple[int, int, bool]], inside: bool
) -> Iterator[Path]:
    """Walk once through folders, also through links; `inside`: below the vendor's folder."""
    if folder.name.lower().startswith("retouch-"):
        inside = folder.name.lower() == wanted
    try:
        status = folder.stat()
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except PermissionError:
        if not inside:
            return  # somebody else's, in a place shared with others
        raise DataError(f"{folder}: may not be listed; make the folder readable") from None
    visit = (status.st_dev, status.st_ino, inside)
    if visit in seen:
        return
    seen.add(visit)
    numbered = re.fullmatch(r"train\d+", folder.name, re.IGNORECASE)
    if inside and (numbered or any(entry.name == "oct.mhd" for entry in entries)):
        yield folder
        return
    for entry in entries:
        below = folder / entry.name
        # Of a path, not of the entry, which raises for a link to itself.
        if not entry.name.startswith(".") and entry.name not in IGNORED and below.is_dir():
            yield from _volume_folders(below, wanted, seen, inside)


# Volume id -> its row of the record.
_Record = dict[str, dict[str, str]]


def _read_record(path: Path) -> _Record:
    """Read the record, and check that it can be compared with."""
    advice = "restore the file, or set data.retouch_record to null"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False).fillna("")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} (data.retouch_record): not a CSV table; {advice}") from error
    missing = [column for column in RECORD_COLUMNS if column not in table]
    if missing:
        raise DataError(f"{path} (data.retouch_record): column {missing[0]!r} is missing; {advice}")
    wrong = table["id"].duplicated()
    wrong |= ~table[[*RECORD_COLUMNS[2:]]].map(str.isdecimal).all(axis=1)
    wrong |= table["slices"].str.strip("0") == ""
    if wrong.any():
        raise DataError(
            f"{path} (data.retouch_record): {table['id'][wrong].iloc[0]}: occurs twice, or a count "
            f"in its row is no whole number; {advice}"
        )
    return {row["id"]: {str(k): v for k, v in row.items()} for row in table.to_dict("records")}


def _slice_id(volume: str, index: int) -> str:
    return f"{volume}-{index:03d}"
