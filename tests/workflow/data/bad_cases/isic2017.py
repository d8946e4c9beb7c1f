"""ISIC 2017 in unpacked folders: tables, images and masks that cannot be used."""

import functools
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.workflow.data.bad_cases.case import (
    Action,
    Case,
    Group,
    copied,
    cut,
    drawn,
    each_of,
    edited,
    emptied,
    flipped,
    gone,
    holds,
    linked,
    moved,
    selected,
)
from workflow.data.phantom import write_isic2017

TRAINING = "DATA/ISIC-2017_Training"
DATA, TEST = f"{TRAINING}_Data", "DATA/ISIC-2017_Test_v2_Data"
TEST_MASKS = "DATA/ISIC-2017_Test_v2_Part1_GroundTruth"
MASKS = f"{TRAINING}_Part1_GroundTruth"
TABLE = f"{TRAINING}_Part3_GroundTruth.csv"
IMAGE, MASK = f"{DATA}/ISIC_9000000.jpg", f"{MASKS}/ISIC_9000000_segmentation.png"
RECORD = "DATA/record.yaml"
HTML = "<html><body>Please log in, then go on.</body></html>\n"


@functools.cache
def archives() -> dict[str, bytes]:
    """File name -> content of phantom archives: 6 images to train, 3 to validate, 3 to test."""
    with tempfile.TemporaryDirectory() as folder:
        write_isic2017(Path(folder), train=6, val=3, test=3, size=(48, 40), seed=5)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def write_archives() -> None:
    """The nine files as they are downloaded."""
    for name, content in archives().items():
        holds(f"DATA/{name}", content)()


def write_folders() -> None:
    """The nine files, the archives among them unpacked."""
    write_archives()
    for archive in [*Path("DATA").glob("*.zip")]:
        with zipfile.ZipFile(archive) as members:
            members.extractall("DATA")
        archive.unlink()


def _rows(**rows: str) -> Action:
    """The table of the training images has other rows for some, or none where it is empty."""

    def act() -> None:
        table = dict(line.split(",", 1) for line in Path(TABLE).read_text().splitlines())
        table |= {f"ISIC_{9_000_000 + int(name[1:])}": row for name, row in rows.items()}
        lines = [f"{name},{row}" for name, row in table.items() if row]
        holds(TABLE, "\n".join(lines) + "\n")()

    return act


def _giant() -> None:
    """The header of a JPEG says that the image is very large."""
    content = Path(IMAGE).read_bytes()
    start = content.index(b"\xff\xc0") + 5
    Path(IMAGE).write_bytes(content[:start] + b"\xea\x60\xea\x60" + content[start + 4 :])


def _blank_mask() -> None:
    with Image.open(MASK) as mask:
        drawn(MASK, Image.new("L", mask.size))()


def counts(**train: int) -> str:
    """A record of what `archives` holds, with some counts of the training part changed."""
    parts = {"train": {"images": 6, "masks": 6, **train}, "val": {"images": 3}, "test": {}}
    return f"files: {{}}\ncounts: {parts}\n"


SETTINGS = {
    "preset": "paper",
    "select": selected("isic2017"),
    "data": {"isic2017_dir": "DATA", "isic2017_record": None},
    "datasets": {"isic2017": {"image_size": 32, "duplicates": None}},
}
RECORDED = {"data": {"isic2017_record": RECORD}}
NO_ROW = "image_id,melanoma,seborrheic_keratosis\n"

FOLDERS = Group(
    "ISIC 2017: folders",
    "isic2017",
    write_folders,
    SETTINGS,
    [
        Case("the folder is not there", "data.isic2017_dir: found DATA, which", gone("DATA")),
        Case(
            "the folder is a file",
            "data.isic2017_dir: found DATA, which is not a folder",
            each_of(gone("DATA"), holds("DATA", "")),
        ),
        Case("the folder is empty", "DATA: found none of ISIC-2017_{Training,", emptied("DATA")),
        Case(
            "the folders have other names",
            "DATA: found none of ISIC-2017_{Training,",
            each_of(
                *(
                    moved(f"DATA/ISIC-2017_{p}_Data", f"DATA/isic_{p}")
                    for p in ("Training", "Validation", "Test_v2")
                )
            ),
        ),
        Case(
            "the validation part is missing",
            "split 'official' has nothing in val",
            gone("DATA/ISIC-2017_Validation_Data"),
        ),
        Case("a table of diagnoses is missing", f"{TABLE}: missing, but its images", gone(TABLE)),
        Case("a table is empty", f"{TABLE}: not a CSV table", holds(TABLE, "")),
        Case("a table is a web page", f"{TABLE}: ", holds(TABLE, HTML)),
        Case(
            "a table was saved in UTF-16",
            f"{TABLE}: not a CSV table",
            lambda: holds(TABLE, Path(TABLE).read_text().encode("utf-16"))(),
        ),
        Case(
            "a table has another column",
            f"{TABLE}: column melanoma is missing",
            edited(TABLE, ",melanoma,", ",MEL,"),
        ),
        Case("a table ends early", f"{TABLE}: no row for ISIC_9000005", _rows(_5="")),
        Case("a table has no rows", f"{TABLE}: no row for ISIC_9000000", holds(TABLE, NO_ROW)),
        Case("a diagnosis is missing", "ISIC_9000004: a diagnosis is neither", _rows(_4=",0.0")),
        Case("a diagnosis is a word", "ISIC_9000004: a diagnosis is neither", _rows(_4="yes,no")),
        Case(
            "an image has two rows",
            f"{TABLE}: ISIC_9000000 has two rows",
            lambda: holds(TABLE, Path(TABLE).read_bytes() + b"ISIC_9000000,0.0,0.0\n")(),
        ),
        Case("an image has both diagnoses", "ISIC_9000003 has two diagnoses", _rows(_3="1.0,1.0")),
        Case(
            "an image is in two parts",
            f"{TEST}/ISIC_9000000.jpg: ISIC_9000000 is also in part train",
            copied(IMAGE, f"{TEST}/ISIC_9000000.jpg"),
        ),
        Case("an image is empty", f"{IMAGE}: not an image", holds(IMAGE, b"")),
        Case("an image is a web page", f"{IMAGE}: not an image", holds(IMAGE, HTML)),
        Case("an image ends in its header", f"{IMAGE}: not an image", cut(IMAGE, 100)),
        Case("an image ends early", f"{IMAGE}: cannot be decoded", cut(IMAGE, -50)),
        Case(
            "an image is a link to itself",
            f"{IMAGE}: not an image",
            linked(IMAGE, "ISIC_9000000.jpg"),
        ),
        Case("an image is a dead link", f"{IMAGE}: not an image", linked(IMAGE, "nowhere.jpg")),
        Case("an image is a folder", f"{IMAGE}: not", emptied(IMAGE)),
        Case("an image claims 60000 × 60000 pixels", f"{IMAGE}: Image size (3600000000", _giant),
        Case("a mask ends early", f"{MASK}: cannot be decoded", cut(MASK, 60)),
        Case("a bit of a mask is flipped", f"{MASK}: cannot be decoded", flipped(MASK, 60)),
        Case(
            "a mask has another size than its image",
            f"{MASK}: mask is (7, 9), image is (",
            drawn(MASK, np.zeros((7, 9), np.uint8)),
        ),
        Case(
            "more than one mask in a hundred is empty",
            "isic2017: masks hold classes: 1 of 12 masks are empty, such as ISIC_9000000",
            _blank_mask,
        ),
        Case(
            "a test image is a training image under another name",
            "ISIC_9000000 (train) and ISIC_9000009 (test) are the same image",
            each_of(
                copied(IMAGE, f"{TEST}/ISIC_9000009.jpg"),
                copied(MASK, f"{TEST_MASKS}/ISIC_9000009_segmentation.png"),
            ),
        ),
        Case(
            "there are too few images for the set on record",
            "Training images: found 6, on record 2000",
            settings={"data": {"isic2017_record": "workflow/data/records/isic2017.yaml"}},
        ),
        Case(
            "an image is missing",
            f"images: found 5, on record 6; Training masks: found 5, on record 6 ({RECORD})",
            each_of(holds(RECORD, counts()), gone(IMAGE)),
            RECORDED,
        ),
        Case(
            "a mask is missing",
            f"Training masks: found 5, on record 6 ({RECORD}",
            each_of(holds(RECORD, counts()), gone(MASK)),
            RECORDED,
        ),
        Case(
            "an image is removed after the inventory",
            "isic2017: 1 groups of inventory.csv are not in the raw data, first ISIC_9000000",
            gone(IMAGE),
            before="prepare",
        ),
        Case(
            "an image is replaced by a damaged one after the inventory",
            f"{IMAGE}: not an image",
            holds(IMAGE, HTML),
            before="prepare",
        ),
        Case(
            "an image is added after the raw files were listed",
            f"{DATA}/ISIC_9000099.jpg: came after the raw files were listed",
            each_of(copied(IMAGE, f"{DATA}/ISIC_9000099.jpg"), _rows(_99="0.0,0.0")),
            before="inventory",
        ),
    ],
)
