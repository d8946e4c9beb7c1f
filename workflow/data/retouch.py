"""RETOUCH in its raw layout: one folder per OCT volume, MetaImage headers beside raw voxels.

`RETOUCH-TrainingSet-<vendor>/TRAINnnn/{oct,reference}.{mhd,raw}`; some downloads put another folder
around it. Voxels run x, y, z with z the B-scan; reference: 0 background, 1 IRF, 2 SRF, 3 PED
(docs/data.md has the geometry per vendor).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from workflow.config_sections import Dataset
from workflow.data.errors import DataError
from workflow.data.source import RawImage
from workflow.files import sha256

FLUIDS = {"irf": 1, "srf": 2, "ped": 3}


class Retouch:
    """The annotated volumes of one vendor; images are B-scans, groups are volumes."""

    def __init__(self, raw: Path, dataset: Dataset) -> None:
        self._dataset = dataset
        self._lesions = {name: _fluid(name) for name in dataset.lesions}
        folder = f"RETOUCH-TrainingSet-{dataset.vendor}"
        headers = sorted(raw.glob(f"**/{folder}/*/oct.mhd")) if raw.is_dir() else []
        self._volumes = {header.parent.name: header.parent for header in headers}
        if not headers:
            raise DataError(
                f"{raw}: found no {folder}/TRAINnnn/oct.mhd below it. RETOUCH needs an account and "
                "a signed agreement (retouch.grand-challenge.org); unpack the three training "
                "archives there, or run preset=demo, which needs no data."
            )
        if len(self._volumes) != len(headers):
            raise DataError(f"{raw}: some volume id of {folder} occurs twice; keep one copy of it")

    def inventory(self) -> pd.DataFrame:
        """One row per B-scan taken; see `Source.inventory`."""
        return pd.DataFrame([row for name in self._volumes for row in self._rows(name)])

    def read(self, group: str) -> Iterator[RawImage]:
        """The B-scans taken of one volume, with the reference's values as lesion numbers."""
        scans, reference = self._load(group, "oct"), self._load(group, "reference")
        _check(self._volumes[group], scans, reference)
        for index in range(0, len(scans), self._dataset.slice_step):
            mask = np.zeros_like(reference[index], dtype=np.uint8)
            for k, fluid in enumerate(self._lesions.values(), start=1):
                mask[reference[index] == fluid] = k
            yield RawImage(_slice_id(group, index), scans[index], mask)

    def _rows(self, name: str) -> Iterator[dict[str, object]]:
        reference = self._load(name, "reference")
        scans = self._volumes[name] / "oct.raw"
        if not scans.is_file():
            raise DataError(f"{scans}: missing; unpack the volume again")
        digest = sha256(scans)
        slices, height, width = reference.shape
        flat = reference.reshape(slices, -1)
        pixels = {f: np.count_nonzero(flat == value, axis=1) for f, value in FLUIDS.items()}
        for index in range(0, slices, self._dataset.slice_step):
            present = {fluid: int(pixels[fluid][index] > 0) for fluid in FLUIDS}
            present["no_fluid"] = int(not any(present.values()))
            yield {
                "id": _slice_id(name, index),
                "group": name,
                "part": "",
                "width": width,
                "height": height,
                "has_mask": True,
                "sha256": digest,
                **{f"label_{label}": _label(present, label) for label in self._dataset.labels},
                **{f"pixels_{f}": int(pixels[f][index]) for f in self._lesions},
            }

    def _load(self, name: str, kind: str) -> np.ndarray:
        """A volume as `[slices, height, width]`, its element type as the header says."""
        header = self._volumes[name] / f"{kind}.mhd"
        if not header.is_file():
            raise DataError(f"{header}: missing; every volume needs oct and reference")
        try:
            return sitk.GetArrayFromImage(sitk.ReadImage(str(header)))
        except RuntimeError as error:
            raise DataError(
                f"{header}: cannot be read: it is no MetaImage header, or {kind}.raw beside it is "
                "missing or shorter than it says; unpack the volume again"
            ) from error


def _check(folder: Path, scans: np.ndarray, reference: np.ndarray) -> None:
    if scans.shape != reference.shape:
        raise DataError(
            f"{folder}: oct has (slices, height, width) {scans.shape}, reference {reference.shape};"
            " they must agree. Unpack the volume again"
        )
    if reference.max() > max(FLUIDS.values()):
        raise DataError(
            f"{folder / 'reference.raw'}: found label {reference.max()}; "
            "allowed: 0 background, 1 IRF, 2 SRF, 3 PED"
        )


def _slice_id(volume: str, index: int) -> str:
    return f"{volume}-{index:03d}"


def _fluid(name: str) -> int:
    if name not in FLUIDS:
        raise DataError(f"lesions: {name!r} is not annotated in RETOUCH; allowed: {[*FLUIDS]}")
    return FLUIDS[name]


def _label(present: dict[str, int], name: str) -> int:
    if name not in present:
        raise DataError(f"labels: {name!r} is not known in RETOUCH; allowed: {[*present]}")
    return present[name]
