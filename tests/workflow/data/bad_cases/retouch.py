"""RETOUCH volumes that cannot be used, or are not those on record."""

import zlib
from pathlib import Path

import numpy as np

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
    selected,
)
from tests.workflow.data.sources.retouch_files import SPACING, edit_header, fluids, voxels, write
from workflow.data.phantom.metaimage import write_metaimage

# Slices, rows, and the columns on record.
SHAPE = (4, 10, 512)
BYTES = 4 * 10 * 512
# Whole rows, so that no fluid is lost in resizing: 1536 voxels of IRF, 1024 of SRF, 1536 of PED.
REFERENCE = fluids(slices=[{}, {1: 1024}, {2: 512, 3: 1024}, {1: 512, 2: 512, 3: 512}], shape=SHAPE)
FLUIDS = 4096
SET = "DATA/RETOUCH-TrainingSet-Cirrus"
VOLUME = f"{SET}/TRAIN001"
RECORD = "DATA/volumes.csv"
HEAD = "id,vendor,slices,background,irf,srf,ped\n"
GOOD = HEAD + "".join(f"TRAIN00{n},Cirrus,4,{BYTES - FLUIDS},1536,1024,1536\n" for n in range(1, 5))


def write_volumes() -> None:
    """Four small volumes of one vendor, each with every fluid."""
    for number in range(1, 5):
        scans = voxels(shape=SHAPE, seed=number)
        write(Path("DATA"), f"TRAIN00{number}", scans=scans, reference=REFERENCE)


def _header(file: str, **keys: str | None) -> Action:
    """Lines of a header are others."""
    return lambda: edit_header(Path(VOLUME, f"{file}.mhd"), **keys)


def _reference(value: int | None = None, shape: tuple[int, int, int] = SHAPE) -> Action:
    """The first volume has another reference: of another shape, or with a value somewhere."""
    array = REFERENCE.copy() if shape == SHAPE else np.zeros(shape, np.uint8)
    if value is not None:
        array[2, 3, 40:44] = value
    return lambda: write_metaimage(Path(VOLUME, "reference.mhd"), array, SPACING)


def _without_srf() -> None:
    """Only one of the volumes, which will be for tests, has subretinal fluid."""
    for number in range(2, 5):
        dry = np.where(REFERENCE == 2, 0, REFERENCE).astype(np.uint8)
        write_metaimage(Path(SET, f"TRAIN00{number}", "reference.mhd"), dry, SPACING)


def _recorded(text: str | bytes) -> tuple[Action, dict[str, dict[str, str]]]:
    """A record, and the setting that names it."""
    return holds(RECORD, text), {"data": {"retouch_record": RECORD}}


# Lines of a header that two readers would understand differently, or that say something odd.
FILE, SIZE = "ElementDataFile = oct.raw", "DimSize = 512 10 4"
PACKED = "CompressedData = False"
HEADERS = (
    ("the voxels are named twice", "found 'ElementDataFile : ../x.raw'", FILE,
     f"ElementDataFile : ../x.raw\n{FILE}"),
    ("more follows behind the name of the voxels", "found more behind ElementDataFile", FILE,
     f"{FILE}\nElementDataFile = reference.raw"),
    ("the size is there twice", "found DimSize twice", SIZE, f"{SIZE}\nDimSize = 512 10 2"),
    ("a key is written otherwise", "found key dimsize; expected DimSize", SIZE,
     f"dimsize = 512 10 2\n{SIZE}"),
    ("dimensions are negative", "found NDims '-3'", "NDims = 3", "NDims = -3"),
    ("the byte order is there in two words", "found both BinaryDataByteOrderMSB and", SIZE,
     f"ElementByteOrderMSB = True\n{SIZE}"),
    ("voxels are text", "found voxels as text", "BinaryData = True", "BinaryData = False"),
    ("voxels are colours", "found ElementNumberOfChannels '3'", SIZE,
     f"ElementNumberOfChannels = 3\n{SIZE}"),
    ("a header lies ahead of the voxels", "found HeaderSize '-1'", SIZE,
     f"HeaderSize = -1\n{SIZE}"),
    ("the compressed size is not true", "found CompressedDataSize '7'", PACKED,
     f"{PACKED}\nCompressedDataSize = 7"),
    ("the voxels are a list", "found ElementDataFile 'LIST'", FILE, "ElementDataFile = LIST"),
)  # fmt: skip

SETTINGS = {
    "preset": "paper",
    "select": selected("retouch_cirrus"),
    "data": {"retouch_dir": "DATA", "retouch_record": None, "val_volumes": 1, "test_volumes": 1},
    "datasets": {"retouch_cirrus": {"image_size": 32, "split": "balanced"}},
}
NOWHERE = "found no RETOUCH-TrainingSet-Cirrus/TRAINnnn/oct.mhd below it. RETOUCH may not be passed"

VOLUMES = Group(
    "RETOUCH: volumes",
    "retouch_cirrus",
    write_volumes,
    SETTINGS,
    [
        Case("no folder is named", NOWHERE, settings={"data": {"retouch_dir": None}}),
        Case("the folder is not there", "data.retouch_dir: found DATA, which does", gone("DATA")),
        Case("the folder is empty", f"{NOWHERE}", emptied("DATA")),
        Case("only another vendor is there", NOWHERE, moved(SET, f"{SET[:-6]}Topcon")),
        Case(
            "the folder of the set has another name",
            NOWHERE,
            moved(SET, "DATA/Cirrus"),
        ),
        Case(
            "the scans' header is missing", f"{VOLUME}/oct.mhd: missing", gone(f"{VOLUME}/oct.mhd")
        ),
        Case("the scans are missing", f"{VOLUME}/oct.raw: missing", gone(f"{VOLUME}/oct.raw")),
        Case(
            "the reference is missing",
            f"{VOLUME}/reference.mhd: missing",
            gone(f"{VOLUME}/reference.mhd"),
        ),
        Case(
            "the reference's voxels are missing",
            f"{VOLUME}/reference.raw: missing",
            gone(f"{VOLUME}/reference.raw"),
        ),
        Case("a volume is an empty folder", f"{VOLUME}/oct.mhd: missing", emptied(VOLUME)),
        Case(
            "the scans end early",
            f"{VOLUME}/oct.raw: found 20000 bytes of voxels; oct.mhd promises {BYTES}",
            cut(f"{VOLUME}/oct.raw", 20000),
        ),
        Case(
            "the reference is longer than its header says",
            f"{VOLUME}/reference.raw: found {BYTES + 1} bytes",
            holds(f"{VOLUME}/reference.raw", bytes(BYTES + 1)),
        ),
        Case("a header is empty", f"{VOLUME}/oct.mhd: not the", holds(f"{VOLUME}/oct.mhd", "")),
        Case(
            "a header is a web page",
            f"{VOLUME}/oct.mhd: not the header",
            holds(f"{VOLUME}/oct.mhd", "<html>"),
        ),
        Case(
            "voxels are signed",
            f"{VOLUME}/oct.mhd: found voxels of type 16-bit signed",
            _header("oct", ElementType="MET_SHORT"),
        ),
        Case(
            "there are no slices",
            f"{VOLUME}/oct.mhd: found size (512, 10, 0)",
            _header("oct", DimSize="512 10 0"),
        ),
        Case(
            "a volume is flat",
            f"{VOLUME}/oct.mhd: found size (512, 40)",
            _header("oct", NDims="2", DimSize="512 40", ElementSpacing="1 1"),
        ),
        Case(
            "a header promises far more than there is",
            f"{VOLUME}/oct.raw: found {BYTES} bytes of voxels; oct.mhd promises 216000000000000",
            _header("oct", DimSize="60000 60000 60000"),
        ),
        Case(
            "the spacing is zero",
            f"{VOLUME}/oct.mhd: found ElementSpacing (0.0, 1.0, 1.0)",
            _header("oct", ElementSpacing="0 1 1"),
        ),
        Case(
            "a header names voxels elsewhere",
            f"{VOLUME}/oct.mhd: found ElementDataFile '../TRAIN002/oct.raw'",
            _header("oct", ElementDataFile="../TRAIN002/oct.raw"),
        ),
        Case(
            "compressed voxels end early",
            f"{VOLUME}/oct.zraw: found 5120 bytes of voxels; oct.mhd promises {BYTES}",
            each_of(
                _header("oct", CompressedData="True", ElementDataFile="oct.zraw"),
                holds(f"{VOLUME}/oct.zraw", zlib.compress(bytes(5120))),
            ),
        ),
        Case(
            "compressed voxels are noise",
            f"{VOLUME}/oct.zraw: its compressed voxels are damaged",
            each_of(
                _header("oct", CompressedData="True", ElementDataFile="oct.zraw"),
                holds(f"{VOLUME}/oct.zraw", b"noise" * 100),
            ),
        ),
        *(
            Case(what, f"{VOLUME}/oct.mhd: {says}", edited(f"{VOLUME}/oct.mhd", old, new))
            for what, says, old, new in HEADERS
        ),
        Case(
            "more is packed than the header promises",
            f"{VOLUME}/oct.zraw: found {BYTES + 1} bytes of voxels; oct.mhd promises {BYTES}",
            each_of(
                _header("oct", CompressedData="True", ElementDataFile="oct.zraw"),
                holds(f"{VOLUME}/oct.zraw", zlib.compress(bytes(2**20))),
            ),
        ),
        Case(
            "more follows behind compressed voxels",
            f"{VOLUME}/oct.zraw: found more behind the end of its compressed voxels",
            each_of(
                _header("oct", CompressedData="True", ElementDataFile="oct.zraw"),
                holds(f"{VOLUME}/oct.zraw", zlib.compress(bytes(BYTES)) + b"more"),
            ),
        ),
        Case(
            "voxels are a link to another file",
            f"{VOLUME}/oct.mhd: found a link to ",
            linked(f"{VOLUME}/oct.raw", "../TRAIN002/oct.raw"),
        ),
        Case(
            "a reference holds a value beyond 3",
            f"{VOLUME}/reference.raw: found label 7 in 4 voxels, first in B-scan 002",
            _reference(7),
        ),
        Case(
            "a reference has another shape",
            f"{VOLUME}: oct has (slices, height, width) (4, 10, 512), reference (4, 10, 500)",
            _reference(shape=(4, 10, 500)),
        ),
        Case(
            "a volume is there twice",
            "volume TRAIN001 is also in ",
            each_of(emptied("DATA/copy"), copied(SET, f"DATA/copy/{Path(SET).name}")),
        ),
        Case(
            "there are too few volumes to split",
            "cannot choose 1 of 1 groups and leave any",
            each_of(*(gone(f"{SET}/TRAIN00{n}") for n in range(2, 5))),
        ),
        Case(
            "no training volume has a fluid",
            "retouch_cirrus: everything occurs in training: no training image has label 'srf'",
            _without_srf,
        ),
        Case(
            "a volume is removed after the inventory",
            "retouch_cirrus: 1 groups of inventory.csv are not in the raw data, first TRAIN001",
            gone(VOLUME),
            before="prepare",
        ),
        Case(
            "a volume is not on record",
            f"{VOLUME}: volume TRAIN001 is not on record in {RECORD}",
            *_recorded(GOOD.replace("TRAIN001", "TRAIN009")),
        ),
        Case(
            "a volume has fewer slices than on record",
            f"{VOLUME}: found slices 4 (on record 8)",
            *_recorded(
                GOOD.replace(f"1,Cirrus,4,{BYTES - FLUIDS}", f"1,Cirrus,8,{2 * BYTES - FLUIDS}")
            ),
        ),
        Case(
            "a reference was altered",
            f"{VOLUME}: found voxels of irf 1540 (on record 1536) for TRAIN001",
            each_of(_recorded(GOOD)[0], _reference(1)),
            _recorded(GOOD)[1],
        ),
        Case(
            "a volume is another vendor's",
            f"{VOLUME}: found vendor Cirrus (on record Topcon) for TRAIN001",
            *_recorded(GOOD.replace("TRAIN001,Cirrus", "TRAIN001,Topcon")),
        ),
        Case(
            "the volumes are not those on record",
            f"{VOLUME}: found slices 4 (on record 128)",
            settings={"data": {"retouch_record": "workflow/data/records/retouch_volumes.csv"}},
        ),
        Case("the record is empty", f"{RECORD} (data.retouch_record): not a CSV", *_recorded("")),
        Case(
            "the record is in another encoding",
            f"{RECORD} (data.retouch_record): not a CSV table",
            *_recorded(GOOD.encode("utf-16")),
        ),
        Case(
            "the record has no column of a fluid",
            f"{RECORD} (data.retouch_record): column 'ped' is missing",
            *_recorded(GOOD.replace(",ped", "")),
        ),
        Case(
            "the record names a volume twice",
            f"{RECORD} (data.retouch_record): TRAIN001: occurs twice",
            *_recorded(GOOD.replace("TRAIN002", "TRAIN001")),
        ),
        Case(
            "a count on record is no number",
            f"{RECORD} (data.retouch_record): TRAIN001: occurs twice, or a count",
            *_recorded(GOOD.replace(",1024,", ",?,", 1)),
        ),
    ],
)
