"""Images of one's own: which files are meant, and volumes, that cannot be used."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from tests.workflow.data.bad_cases import folder
from tests.workflow.data.bad_cases.case import (
    Action,
    Case,
    Group,
    copied,
    cut,
    each_of,
    edited,
    emptied,
    gone,
    holds,
    linked,
    moved,
)
from tests.workflow.data.sources.volume_data import drawn, save_series, save_volume, scan

SCAN, MASK = "DATA/images/p1.nii.gz", "DATA/masks/p1.nii.gz"
SHAPE = (4, 8, 8)


def _folder(**layout: Any) -> dict[str, Any]:
    return {"datasets": {"mine": {"folder": layout}}}


MEANT = Group(
    "Images of one's own: which files are meant",
    "mine",
    folder.write_folder,
    folder.SETTINGS,
    [
        Case(
            "a pattern to include fits no file",
            "folder.include: found '*.PNG', which fits no file in DATA/images or DATA/masks",
            settings=_folder(include=["*.png", "*.PNG"]),
        ),
        Case(
            "a pattern to exclude fits no file",
            "folder.exclude: found 'old/*', which fits no file",
            settings=_folder(exclude=["old/*"]),
        ),
        Case(
            "every image is excluded",
            "DATA/images: found no images (folder.images)",
            settings=_folder(exclude=["*.png"]),
        ),
        Case(
            "an image is excluded that has a row",
            f"{folder.TABLE}: id 'f' has no image in folder.images (1 such rows)",
            settings=_folder(exclude=["f.*"]),
        ),
        Case(
            "two folders below have one name for an image",
            "DATA/images/more/a.png: a.png has the same stem",
            each_of(emptied("DATA/images/more"), copied(folder.IMAGE, "DATA/images/more/a.png")),
            _folder(subfolders=True),
        ),
        Case(
            "ids are paths, and the table has stems",
            f"{folder.TABLE}: no row for DATA/images/more/f.png (1 such images); add a row with "
            "id 'more-f'",
            each_of(
                moved("DATA/images/f.png", "DATA/images/more/f.png"),
                moved("DATA/masks/f.png", "DATA/masks/more/f.png"),
            ),
            _folder(subfolders=True, ids="path"),
        ),
        Case(
            "the column of ids is missing",
            f"{folder.TABLE}: column 'image_id' is missing; found id, wet, patient",
            settings=_folder(id_column="image_id"),
        ),
        Case(
            "a pattern finds no group in an id",
            "folder.group_pattern: found '^([a-e])', which finds no group in 'f' (1 such ids of 6)",
            settings=_folder(group=None, group_pattern="^([a-e])"),
        ),
        Case(
            "a pattern finds an empty group",
            "folder.group_pattern: found '^([b-z]?)', which finds no group in 'a'",
            settings=_folder(group=None, group_pattern="^([b-z]?)"),
        ),
        Case(
            "a pattern is no regular expression",
            "datasets.mine.folder.group_pattern: found '(a'; Value error, not a regular expression",
            settings=_folder(group=None, group_pattern="(a"),
        ),
        Case(
            "a pattern has no bracket",
            "datasets.mine.folder.group_pattern: found '^a'; Value error, expected one bracket",
            settings=_folder(group=None, group_pattern="^a"),
        ),
        Case(
            "groups are named twice",
            "`group` and `group_pattern` both name groups",
            settings=_folder(group_pattern="^(.)"),
        ),
    ],
)


def write_volumes() -> None:
    """Four volumes in NIfTI; each mask has both lesions on whole rows."""
    for k in range(1, 5):
        save_volume(f"DATA/images/p{k}.nii.gz", scan(k, shape=SHAPE))
        mask = np.zeros(SHAPE, np.uint8)
        mask[1:, :3], mask[2:, 5:] = 200, 9
        save_volume(f"DATA/masks/p{k}.nii.gz", mask)
    holds("DATA/split.csv", "id,split\np1,train\np2,train\np3,val\np4,test\n")()


def _volume(path: str, voxels: np.ndarray, **place: Any) -> Action:
    return lambda: save_volume(path, voxels, **place)


def _holes() -> np.ndarray:
    voxels = scan(1, np.float32, SHAPE)
    voxels[0, 0, :2] = np.nan, np.inf
    return voxels


def _packed(change: Any) -> Action:
    """The content of the first volume is another."""

    def act() -> None:
        content = gzip.decompress(Path(SCAN).read_bytes())
        Path(SCAN).write_bytes(gzip.compress(change(content)))

    return act


def _field(position: int, kind: str, *values: float) -> Action:
    """A field of the NIfTI header has other values."""

    def change(content: bytes) -> bytes:
        new = struct.pack(kind, *values)
        return content[:position] + new + content[position + len(new) :]

    return _packed(change)


def _series(**how: Any) -> Action:
    """The first volume is a folder of DICOM files."""
    return each_of(
        gone(SCAN), lambda: save_series(Path("DATA/images/p1"), scan(1, np.uint16, SHAPE), **how)
    )


def _mirrored() -> None:
    image = sitk.Flip(sitk.ReadImage(MASK), [False, True, False])
    sitk.WriteImage(image, MASK)


VOLUMES = Group(
    "Images of one's own: volumes",
    "mine",
    write_volumes,
    {
        **folder.SETTINGS,
        "datasets": {
            "mine": {
                **folder.MINE,
                "folder": {
                    "images": "DATA/images",
                    "masks": "DATA/masks",
                    "mask_values": [200, 9],
                    "volumes": True,
                    "color": False,
                },
            }
        },
    },
    [
        Case("there are no masks", "folder.masks: found null", settings=_folder(masks=None)),
        Case(
            "a volume has no mask",
            f"{SCAN}: has no mask (1 such files); expected a file called p1",
            gone(MASK),
        ),
        Case("a mask has no volume", f"{MASK}: has no volume (1 such files)", gone(SCAN)),
        Case(
            "a file is no volume",
            "DATA/images/notes.txt: is no volume (1 such files)",
            holds("DATA/images/notes.txt", "x"),
        ),
        Case("a volume is a dead link", f"{SCAN}: cannot be read", linked(SCAN, "none.nii.gz")),
        Case("a volume is empty", f"{SCAN}: not a NIfTI-1 file", holds(SCAN, b"")),
        Case("a volume is no gzip", f"{SCAN}: cannot be read (Not a", holds(SCAN, "<html>")),
        Case("a volume ends early", f"{SCAN}: cannot be read (", cut(SCAN, -40)),
        Case(
            "a volume has fewer voxels than its header says",
            f"{SCAN}: found 600 of the 608 bytes that its header promises",
            _packed(lambda content: content[:-8]),
        ),
        Case(
            "a volume inflates to more than its header says",
            f"{SCAN}: found more than the 608 bytes that its header promises",
            _packed(lambda content: content + bytes(2**22)),
        ),
        Case(
            "a header promises far more than there is",
            f"{SCAN}: promises 35181150962015 bytes",
            _field(42, "<3h", 32767, 32767, 32767),
        ),
        Case("a side is negative", f"{SCAN}: found size (-8, 8, 4)", _field(42, "<h", -8)),
        Case("dimensions are negative", f"{SCAN}: found size ()", _field(40, "<h", -3)),
        Case(
            "a volume is a film",
            f"{SCAN}: found size (8, 8, 2, 2)",
            _field(40, "<5h", 4, 8, 8, 2, 2),
        ),
        Case(
            "voxels are colours",
            f"{SCAN}: found datatype 128 of 24 bits",
            _field(70, "<2h", 128, 24),
        ),
        Case(
            "voxels are in another file",
            f"{SCAN}: not a NIfTI-1 file with its voxels in it",
            _field(344, "<4s", b"ni1\0"),
        ),
        Case(
            "voxels are no number",
            f"{SCAN}: found 2 voxels that are no number",
            _volume(SCAN, _holes()),
            {"datasets": {"mine": {"intensity": "volume"}}},
        ),
        Case(
            "voxels are signed, and no range is named",
            f"{SCAN}: found voxels of int16 from ",
            _volume(SCAN, scan(1, np.int16, SHAPE)),
        ),
        Case(
            "a mask has another size",
            f"{MASK}: found (slices, rows, columns) (4, 6, 8)",
            _volume(MASK, drawn()),
        ),
        Case(
            "a mask lies elsewhere",
            f"{MASK}: lies elsewhere in space than {SCAN} (origin",
            _volume(MASK, np.zeros(SHAPE, np.uint8), origin=(5, 2, 3)),
        ),
        Case("a mask is mirrored", f"{MASK}: lies elsewhere in space than {SCAN} (", _mirrored),
        Case(
            "a mask holds a value that is not configured",
            f"{MASK}: found value 3 in a mask (256 voxels",
            _volume(MASK, np.full(SHAPE, 3, np.uint8)),
        ),
        Case(
            "a slice of a DICOM series is missing",
            "DATA/images/p1: found 4 mm between ",
            _series(places=[0, 2, 6, 8]),
        ),
        Case(
            "a DICOM series has two files of one place",
            "DATA/images/p1: found 0 mm between ",
            _series(places=[0, 2, 2, 4]),
        ),
        Case(
            "two DICOM series lie in one folder",
            "DATA/images/p1: found 2 series of DICOM images in 8 files",
            each_of(
                _series(),
                lambda: save_series(
                    Path("DATA/images/p1"), scan(2, np.uint16, SHAPE), uid="1.2.9", first=20
                ),
            ),
        ),
        Case(
            "a header of MetaImage names its voxels twice",
            "DATA/images/p1.mhd: found 'ElementDataFile : ../x.raw' in line",
            each_of(
                gone(SCAN),
                _volume("DATA/images/p1.mhd", scan(1, shape=SHAPE)),
                edited("DATA/images/p1.mhd", "NDims", "ElementDataFile : ../x.raw\nNDims"),
            ),
        ),
        Case(
            "a table of labels is named",
            "`labels` does not go with `volumes`",
            settings=_folder(labels="DATA/labels.csv"),
        ),
    ],
)
