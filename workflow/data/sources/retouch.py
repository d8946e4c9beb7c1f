"""RETOUCH in its raw layout: one folder per OCT volume, MetaImage headers beside raw voxels.

`RETOUCH-TrainingSet-<vendor>/TRAINnnn/{oct,reference}.{mhd,raw}`; some downloads put another folder
around it. Voxels run x, y, z with z the B-scan; reference: 0 background, 1 IRF, 2 SRF, 3 PED
(docs/data.md has the geometry per vendor).
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.base.errors import DataError
from workflow.config import paths
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.config.sources import PublicSource
from workflow.data.sources.intensities import range_of, stretch
from workflow.data.sources.metaimage import MetaImage
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
ADVICE = "unpack the volume again"
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
            [
                np.bincount(labels.ravel(), minlength=len(FLUIDS) + 1)
                for labels in _load_reference(reference)
            ]
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
        labels, scans = _load_reference(reference), header.load()
        low, high = range_of(scans, self._dataset.intensity)
        slices, height, width = reference.shape
        for index in range(0, slices, self._dataset.slice_step):
            mask = np.zeros((height, width), np.uint8)
            for k, lesion in enumerate(self._dataset.lesions, start=1):
                mask[labels[index] == FLUIDS[lesion]] = k
            pixels = scans[index]
            if pixels.dtype != np.uint8 or (low, high) != (0, 255):
                pixels = stretch(pixels, low, high)
            yield RawImage(_slice_id(group, index), pixels, mask, (height, width))

    def _pair(self, group: str) -> tuple[MetaImage, MetaImage]:
        folder = self._folders[group]
        scans, reference = (_open_volume(folder / f"{kind}.mhd") for kind in ("oct", "reference"))
        # Spacing is not compared: nothing here uses it, and no record says that the two agree.
        if scans.shape != reference.shape:
            raise DataError(
                f"{folder}: oct has (slices, height, width) {scans.shape}, reference "
                f"{reference.shape}; they must agree. Unpack the volume again"
            )
        return scans, reference

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


def _open_volume(header: Path) -> MetaImage:
    """Read a header and check it, the voxels being left where they are."""
    if not header.is_file():
        raise DataError(
            f"{header}: missing; a volume has oct.mhd and reference.mhd, each with its .raw "
            "file. Unpack the volume again"
        )
    return MetaImage.open(header, "8-bit or 16-bit unsigned integer", ("u1", "u2"), ADVICE)


def _load_reference(volume: MetaImage) -> np.ndarray:
    """The labels `[slices, height, width]` of a reference, checked."""
    voxels = volume.load()
    if voxels.max() > max(FLUIDS.values()):
        wrong = voxels > max(FLUIDS.values())
        values = np.unique(voxels[wrong])
        raise DataError(
            f"{volume.voxels}: found label {', '.join(map(str, values[:5]))}"
            f"{', ...' if len(values) > 5 else ''} in {np.count_nonzero(wrong)} voxels, first "
            f"in B-scan {int(np.argmax(wrong.any(axis=(1, 2)))):03d}; allowed: 0 background, "
            "1 IRF, 2 SRF, 3 PED. Unpack the volume again"
        )
    return voxels


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
