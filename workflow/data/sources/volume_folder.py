"""Volumes of one's own: files in folders, with masks of the same ids, seen slice by slice.

Images are the slices along the last axis of a volume as it is stored, groups are volumes, or what
`folder.group_pattern` makes of their ids. `volume_files` has the formats.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from workflow.base.errors import DataError
from workflow.config.datasets import Dataset, FolderLayout
from workflow.data.reading.leftovers import reasons
from workflow.data.sources.found_files import (
    check_patterns,
    files_in,
    groups_by_pattern,
    id_of,
    is_meant,
)
from workflow.data.sources.intensities import range_of, stretch
from workflow.data.sources.source import RawImage, Row
from workflow.data.sources.volume_files import (
    DICOM,
    METAIMAGE,
    SUFFIXES,
    ReadVolume,
    dicom_files,
    parts_of,
    read_volume,
    same_place,
    suffix_of,
)
from workflow.running.raw_files import find_files

# What lies beside a .mhd header, and is no volume by itself.
VOXELS = (".raw", ".zraw")
EXPECTED = f"expected files {', '.join(SUFFIXES)}, or a folder of DICOM files for each volume"


class VolumeFolder:
    """The volumes of one folder; images are their slices.

    Args:
        dataset: names the lesions and labels, and says how intensities become 8-bit.
        layout: names the folders.

    Raises:
        DataError: volumes and masks do not fit each other.
    """

    def __init__(self, dataset: Dataset, layout: FolderLayout) -> None:
        self._dataset, self._layout = dataset, layout
        if layout.masks is None:
            raise DataError(
                "folder.masks: found null, but the labels of slices are seen in masks; name the "
                "folder of masks"
            )
        check_patterns(layout)
        self._images, self._masks = _pairs(layout)
        groups = {volume: volume for volume in self._images}
        if layout.group_pattern is not None:
            groups = groups_by_pattern(self._images, layout.group_pattern)
        self._members: dict[str, list[str]] = {}
        for volume in self._images:
            self._members.setdefault(groups[volume], []).append(volume)
        self.groups: Sequence[str] = sorted(self._members)
        self.tables: Sequence[Path] = ()
        self.ignored: Sequence[str] = _left_out(layout)

    def rows(self, group: str) -> list[Row]:
        """The slices taken of the volumes of one group, with the pixels of each lesion.

        Raises:
            DataError: a file cannot be used, or a volume and its mask do not fit.
        """
        return [row for volume in self._members[group] for row in self._rows(group, volume)]

    def read(self, group: str, size: int) -> Iterator[RawImage]:
        """The slices taken of the volumes of one group, at their own size whatever `size` is.

        Raises:
            DataError: a file cannot be used, or a volume and its mask do not fit.
        """
        for volume in self._members[group]:
            voxels, masks = self._pair(volume)
            low, high = self._range(volume, voxels)
            height, width = voxels.shape[1:]
            for index in range(0, len(voxels), self._dataset.slice_step):
                pixels = voxels[index]
                if pixels.dtype != np.uint8 or (low, high) != (0, 255):
                    pixels = stretch(pixels, low, high)
                yield RawImage(_slice_id(volume, index), pixels, masks[index], (height, width))

    def _rows(self, group: str, volume: str) -> Iterator[Row]:
        voxels, masks = self._pair(volume)
        self._range(volume, voxels)
        files = (*parts_of(self._images[volume]), *parts_of(self._masks[volume]))
        slices, height, width = voxels.shape
        for index in range(0, slices, self._dataset.slice_step):
            counts = np.bincount(masks[index].ravel(), minlength=len(self._dataset.lesions) + 1)
            pixels = {
                lesion: int(counts[k]) for k, lesion in enumerate(self._dataset.lesions, start=1)
            }
            yield {
                "id": _slice_id(volume, index),
                "group": group,
                "part": "",
                "width": width,
                "height": height,
                "has_mask": True,
                "files": files,
                **{f"label_{name}": int(pixels[name] > 0) for name in self._dataset.labels},
                **{f"pixels_{lesion}": count for lesion, count in pixels.items()},
            }

    def _pair(self, volume: str) -> tuple[np.ndarray, np.ndarray]:
        """The voxels of a volume, and its mask as uint8 with k for the k-th lesion."""
        image, mask = self._images[volume], self._masks[volume]
        scans, drawn = read_volume(image), read_volume(mask)
        if scans.voxels.shape != drawn.voxels.shape:
            raise DataError(
                f"{mask}: found (slices, rows, columns) {drawn.voxels.shape}, but {image} has "
                f"{scans.voxels.shape}; a mask must have the size of its volume"
            )
        if not same_place(scans, drawn):
            raise DataError(
                f"{mask}: lies elsewhere in space than {image} ({_difference(scans, drawn)}), so "
                "that its voxels belong to others; expected one place. Resample the mask onto the "
                "volume"
            )
        return scans.voxels, self._classes(mask, drawn.voxels)

    def _classes(self, path: Path, values: np.ndarray) -> np.ndarray:
        mask = np.zeros(values.shape, np.uint8)
        for k, value in enumerate(self._layout.mask_values, start=1):
            mask[values == value] = k
        unknown = values[(mask == 0) & (values != 0)]
        if unknown.size:
            meanings = zip(self._layout.mask_values, self._dataset.lesions, strict=True)
            raise DataError(
                f"{path}: found value {unknown.min():g} in a mask ({unknown.size} voxels have an "
                "unknown value); allowed: 0 background, "
                f"{', '.join(f'{value} {lesion}' for value, lesion in meanings)}. Correct the mask "
                "or folder.mask_values"
            )
        return mask

    def _range(self, volume: str, voxels: np.ndarray) -> tuple[float, float]:
        """The intensities that become 0 and 255."""
        if self._dataset.intensity == "type" and voxels.dtype not in (np.uint8, np.uint16):
            raise DataError(
                f"{self._images[volume]}: found voxels of {voxels.dtype} from {voxels.min():g} to "
                f"{voxels.max():g}, a type whose range says nothing of them; expected another "
                "`intensity`: a range such as [-160, 240] for all volumes, or `volume` for each "
                "one's own. Set it in the configuration of the data set"
            )
        return range_of(voxels, self._dataset.intensity)


def _pairs(layout: FolderLayout) -> tuple[dict[str, Path], dict[str, Path]]:
    """Id -> volume, and id -> mask, which every volume has."""
    folder, masks = Path(layout.images), Path(str(layout.masks))
    shared = folder.exists() and masks.exists() and folder.samefile(masks)
    if shared and not layout.mask_suffix:
        raise DataError(
            f"{folder}: is both folder.images and folder.masks, so folder.mask_suffix must say "
            "which files are masks; set it, or keep masks in a folder of their own"
        )
    images = _volumes(folder, "folder.images", layout)
    drawn = images if shared else _volumes(masks, "folder.masks", layout)
    (suffix,) = layout.mask_suffixes
    if shared:
        images = {name: path for name, path in images.items() if not name.endswith(suffix)}
        drawn = {name: path for name, path in drawn.items() if name.endswith(suffix)}
    ending = layout.image_suffix
    images = {n.removesuffix(ending): path for n, path in images.items() if n.endswith(ending)}
    nameless = [path for name, path in drawn.items() if not name.endswith(suffix)]
    if nameless:
        raise DataError(
            f"{nameless[0]}: is called otherwise than masks are ({len(nameless)} such files): "
            f"expected {suffix!r} before the suffix of the file. Rename it, take it out, or "
            "correct folder.mask_suffix"
        )
    found = {name.removesuffix(suffix): path for name, path in drawn.items()}
    for one, other, what in ((images, found, "has no mask"), (found, images, "has no volume")):
        lacking = [name for name in one if name not in other]
        if lacking:
            raise DataError(
                f"{one[lacking[0]]}: {what} ({len(lacking)} such files); expected a file called "
                f"{lacking[0]}{suffix if one is images else ending} beside the others. Add it, or "
                "take this one out"
            )
    return images, found


def _volumes(folder: Path, key: str, layout: FolderLayout) -> dict[str, Path]:
    """Id -> file, or folder of DICOM files, in the order of the ids."""
    files = files_in(folder, key, layout)
    series = [] if layout.subfolders else sorted(f for f in folder.iterdir() if f.is_dir())
    series = [f for f in series if not f.name.startswith(".") and dicom_files(f)]
    if layout.subfolders:
        by_folder = {file.parent for file in files if suffix_of(file) in DICOM}
        series = sorted(by_folder - {folder})
    kept = [file for file in files if file.parent not in series]
    other = [
        file
        for file in kept
        if not suffix_of(file) and not (file.suffix.lower() in VOXELS and _is_voxels(file, kept))
    ]
    if other:
        raise DataError(
            f"{other[0]}: is no volume ({len(other)} such files); {EXPECTED}. Take it out, or name "
            "it in folder.exclude"
        )
    found: dict[str, Path] = {}
    stem = partial(id_of, folder=folder, layout=layout)
    named = [(stem(f, stem=f.name[: -len(suffix_of(f))]), f) for f in kept if suffix_of(f)]
    for name, path in sorted(named + [(stem(f, stem=f.name), f) for f in series]):
        if name in found:
            raise DataError(
                f"{path}: {found[name].name} has the same id, {name!r}; rename or remove one of "
                "them, or set folder.ids to path"
            )
        if not name.isprintable() or name != name.strip() or set("/\\") & set(name):
            raise DataError(f"{path}: {name!a} cannot be an id; rename it with printable letters")
        found[name] = path
    if not found:
        raise DataError(f"{folder}: found no volumes ({key}); {EXPECTED}")
    return found


def _left_out(layout: FolderLayout) -> list[str]:
    """Lines that name the files which the configuration's patterns leave out."""
    folders = dict.fromkeys(map(Path, filter(None, (layout.images, layout.masks))))
    lines = []
    for folder in folders:
        files = [file for file, _ in find_files(folder) if not is_meant(file, folder, layout)]
        lines += reasons(folder, files, "by folder.include and folder.exclude")
    return lines


def _is_voxels(file: Path, files: Sequence[Path]) -> bool:
    """Whether a header lies beside a file of voxels."""
    headers = {other for other in files if suffix_of(other) in METAIMAGE}
    return any(parent.parent == file.parent and file in parts_of(parent) for parent in headers)


def _difference(one: ReadVolume, other: ReadVolume) -> str:
    """The first of spacing, origin and directions in which two volumes differ."""
    assert one.geometry is not None
    assert other.geometry is not None
    for name, part in (("spacing", slice(3)), ("origin", slice(3, 6)), ("axes", slice(6, None))):
        a, b = (np.array(volume.geometry)[part] for volume in (one, other))
        if not np.allclose(a, b, rtol=1e-3, atol=1e-3):
            found, expected = (", ".join(f"{x:g}" for x in values) for values in (b, a))
            return f"{name} {found}, and not {expected}"
    return "its place"


def _slice_id(volume: str, index: int) -> str:
    return f"{volume}-{index:03d}"
