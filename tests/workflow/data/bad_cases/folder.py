"""Images of one's own: folders, masks and tables that do not fit each other."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.workflow.data.bad_cases.case import (
    Case,
    Group,
    copied,
    cut,
    drawn,
    each_of,
    edited,
    emptied,
    gone,
    holds,
    linked,
    moved,
    selected,
)

IMAGE, MASK = "DATA/images/a.png", "DATA/masks/a.png"
TABLE, SPLIT = "DATA/labels.csv", "DATA/split.csv"
ROWS = "id,wet,patient\na,1,P\nb,0,P\nc,1,Q\nd,0,Q\ne,1,R\nf,0,S\n"
NAMES = "abcdef"


def write_folder() -> None:
    """Six images with masks: `a`, `c` and `e` hold both lesions (200 wet, 9 dry), others none."""
    random = np.random.default_rng(4)
    both = np.array([200] * 16 + [9] * 8 + [0] * 24, np.uint8).reshape(6, 8)
    for folder in ("DATA/images", "DATA/masks"):
        Path(folder).mkdir(parents=True)
    for name in NAMES:
        drawn(f"DATA/images/{name}.png", random.integers(0, 256, (6, 8, 3), np.uint8))()
        drawn(f"DATA/masks/{name}.png", both if name in "ace" else both * 0)()
    holds(TABLE, ROWS)()
    holds(SPLIT, "id,split\nP,train\nQ,train\nR,val\nS,test\n")()


def _folder(**layout: Any) -> dict[str, Any]:
    return {"datasets": {"mine": {"folder": layout}}}


def _turned() -> None:
    with Image.open(IMAGE) as image:
        exif = image.getexif()
        exif[274] = 6
        upright = image.copy()
    upright.save(IMAGE, exif=exif)


def _giant() -> None:
    """The header of a PNG says that the image is very large, with the right checksum."""
    content = Path(IMAGE).read_bytes()
    header = b"IHDR" + struct.pack(">II", 60000, 60000) + content[24:29]
    Path(IMAGE).write_bytes(
        content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    )


def _masks(suffix: str) -> None:
    for name in NAMES:
        Path(f"DATA/masks/{name}.png").rename(f"DATA/masks/{name}.{suffix}")


def _grey(value: float, dtype: type[np.generic], shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    return np.full(shape, value, dtype)


FRAMES = [Image.new("L", (8, 6), value) for value in (0, 200, 9)]
BY_MASK = {"labels": None, "group": None}
MINE = {
    "title": "Mine",
    "source": "folder",
    "image_size": 32,
    "lesions": ["wet", "dry"],
    "labels": ["wet"],
    "split": SPLIT,
    "folder": {
        "images": "DATA/images",
        "masks": "DATA/masks",
        "mask_values": [200, 9],
        "labels": TABLE,
        "group": "patient",
        "color": True,
    },
}
SETTINGS = {"preset": "paper", "select": selected(), "datasets": {"mine": MINE}}

FILES = Group(
    "Images of one's own: files",
    "mine",
    write_folder,
    SETTINGS,
    [
        Case(
            "the folder of images is not there",
            "datasets.mine.folder.images: found DATA/images, which does not exist",
            gone("DATA/images"),
        ),
        Case(
            "the folder of masks is a file",
            "datasets.mine.folder.masks: found DATA/masks, which is not a folder",
            each_of(gone("DATA/masks"), holds("DATA/masks", "")),
        ),
        Case("the folder is empty", "DATA/images: found no images", emptied("DATA/images")),
        Case(
            "the images lie in a folder below it",
            "DATA/images: found no images (folder.images)",
            each_of(moved("DATA/images", "DATA/x"), moved("DATA/x", "DATA/images/x")),
        ),
        Case(
            "two images have one stem",
            f"{IMAGE}: a.JPG has the same stem",
            copied(IMAGE, "DATA/images/a.JPG"),
        ),
        Case(
            "a name cannot be an id",
            "DATA/images: file name ' a.png' cannot be an id",
            copied(IMAGE, "DATA/images/ a.png"),
        ),
        Case("an image is empty", f"{IMAGE}: cannot be decoded (", holds(IMAGE, b"")),
        Case("an image is a web page", f"{IMAGE}: cannot be decoded", holds(IMAGE, "<html>")),
        Case("an image ends early", f"{IMAGE}: cannot be decoded (", cut(IMAGE, 60)),
        Case("an image claims 60000 × 60000 pixels", f"{IMAGE}: Image size (3600000000", _giant),
        Case("an image is a dead link", f"{IMAGE}: found a link to", linked(IMAGE, "none.png")),
        Case("a mask is a dead link", f"{MASK}: found a link to", linked(MASK, "none.png")),
        Case(
            "an image is an animation",
            f"{IMAGE}: found 3 pages or frames",
            drawn(IMAGE, FRAMES[0], save_all=True, append_images=FRAMES[1:]),
        ),
        Case("an image is shown turned", f"{IMAGE}: found EXIF orientation 6", _turned),
        Case(
            "an image has pixels of 32 bits",
            "DATA/images/a.tif: found pixels of 32 bits",
            each_of(gone(IMAGE), drawn("DATA/images/a.tif", _grey(7, np.float32))),
        ),
        Case(
            "an image has another size than its mask",
            f"{MASK}: found 8 × 6 pixels, but {IMAGE} has 9 × 6",
            drawn(IMAGE, _grey(0, np.uint8, (6, 9, 3))),
        ),
        Case("masks are JPEG", "DATA/masks: found no mask of any image", lambda: _masks("jpg")),
        Case(
            "masks have another suffix",
            "DATA/masks: found no mask of any image (folder.masks); the first would be "
            "DATA/masks/a_seg.png",
            settings=_folder(mask_suffix="_seg"),
        ),
        Case(
            "images and masks lie in one folder",
            "DATA/images: is both folder.images and folder.masks",
            settings=_folder(masks="DATA/images"),
        ),
        Case(
            "a mask has no image",
            "DATA/masks/a1.png: no image has this mask (1 such masks)",
            copied(MASK, "DATA/masks/a1.png"),
        ),
        Case(
            "an image has two masks",
            "DATA/masks/a.tif: a.png is a mask of the same image",
            drawn("DATA/masks/a.tif", _grey(0, np.uint8)),
        ),
        Case(
            "an image has no mask, and there is no table",
            f"{IMAGE}: has no mask, and without folder.labels (a CSV) its labels are unknown",
            gone(MASK),
            _folder(**BY_MASK),
        ),
        Case("a mask ends early", f"{MASK}: cannot be decoded (", cut(MASK, 50)),
        Case(
            "a mask holds a value that is not configured",
            f"{MASK}: found value 255 in a mask (48 pixels have an unknown value)",
            drawn(MASK, _grey(255, np.uint8)),
        ),
        Case(
            "a mask holds a fraction",
            "DATA/masks/a.tif: found value 200.5 in a mask",
            each_of(gone(MASK), drawn("DATA/masks/a.tif", _grey(200.5, np.float32))),
        ),
        Case(
            "a mask is in colour",
            f"{MASK}: found a mask in colour",
            drawn(MASK, np.array([[[200, 0, 0]] * 8] * 6, np.uint8)),
        ),
    ],
)

TABLES = Group(
    "Images of one's own: the table",
    "mine",
    write_folder,
    SETTINGS,
    [
        Case(
            "the table is not there",
            f"datasets.mine.folder.labels: found {TABLE}, which does not exist",
            gone(TABLE),
        ),
        Case(
            "the table is a folder",
            f"datasets.mine.folder.labels: found {TABLE}, which is not a file",
            emptied(TABLE),
        ),
        Case("the table is empty", f"{TABLE}: column 'id' is missing", holds(TABLE, "")),
        Case(
            "the table has semicolons",
            f"{TABLE}: column 'id' is missing; found id;wet;patient",
            holds(TABLE, ROWS.replace(",", ";")),
        ),
        Case(
            "a column of labels is missing",
            f"{TABLE}: column 'wet' is missing; found id, damp, patient",
            edited(TABLE, "wet", "damp"),
        ),
        Case(
            "a column is there twice",
            f"{TABLE}: column 'wet' occurs twice",
            edited(TABLE, "wet,patient", "wet,wet"),
        ),
        Case(
            "the column of groups is missing",
            f"{TABLE}: column 'person' is missing",
            settings=_folder(group="person"),
        ),
        Case(
            "a row is short", f"{TABLE}: line 2 does not have 3 values", edited(TABLE, ",1,P", ",1")
        ),
        Case("an id is there twice", f"{TABLE}: id 'a' occurs twice", edited(TABLE, "b,0", "a,0")),
        Case(
            "the table is in another encoding",
            f"{TABLE}: cannot be read (folder.labels): 'utf-8' codec",
            edited(TABLE, "b,0,P", b"b,0,\xe4"),
        ),
        Case(
            "a quotation does not end",
            f"{TABLE}: cannot be read (folder.labels): unexpected end of data",
            edited(TABLE, "f,0,S", 'f,0,"S'),
        ),
        Case(
            "an image has no row",
            f"{TABLE}: no row for DATA/images/f.png (1 such images)",
            edited(TABLE, "f,0,S\n", ""),
        ),
        Case(
            "ids are names of files",
            f"{TABLE}: no row for {IMAGE} (1 such images)",
            edited(TABLE, "a,1", "a.png,1"),
        ),
        Case(
            "a row has no image",
            f"{TABLE}: id 'f' has no image in folder.images (1 such rows)",
            each_of(gone("DATA/images/f.png"), gone("DATA/masks/f.png")),
        ),
        Case(
            "a label is a word",
            f"{TABLE}: b: found 'no' in column 'wet'; allowed: 0 and 1",
            edited(TABLE, "b,0", "b,no"),
        ),
        Case(
            "a group has no name",
            f"{TABLE}: c: found '' in column 'patient' (folder.group)",
            edited(TABLE, "c,1,Q", "c,1,"),
        ),
        Case(
            "a label contradicts its mask",
            "mine: masks and labels agree: the mask holds wet, but its label is 0: c",
            edited(TABLE, "c,1", "c,0"),
        ),
        Case(
            "nothing is there to learn",
            "folder: neither `masks` nor `labels` is set",
            settings=_folder(masks=None, **BY_MASK),
        ),
        Case(
            "groups are configured, but no table",
            "folder.group: found 'patient', a column of folder.labels, which is not set",
            settings=_folder(labels=None),
        ),
    ],
)
