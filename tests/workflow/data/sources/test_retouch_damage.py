"""Every way in which a RETOUCH volume can be broken, and the message that names it."""

import shutil
import zlib

import numpy as np
import pytest

from tests.workflow.data.sources.retouch_files import (
    REFERENCE,
    SHAPE,
    SPACING,
    edit_header,
    opened,
    voxels,
    write,
)
from workflow.base.errors import DataError
from workflow.data.phantom.metaimage import write_metaimage


def assert_named(root, message):
    """The volume is refused when listed and when read; another beside it is not."""
    write(root, "TRAIN002")
    source = opened(root)
    assert source.rows("TRAIN002")
    for use in (source.rows, lambda group: list(source.read(group, 8))):
        with pytest.raises(DataError, match=message):
            use("TRAIN001")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("oct.mhd", "oct.mhd: missing; a volume has oct.mhd and reference.mhd, each with its .raw"),
        ("reference.mhd", "reference.mhd: missing; a volume has oct.mhd and reference.mhd, each"),
        ("oct.raw", "oct.raw: missing, but oct.mhd names it as its voxels; unpack the volume"),
        ("reference.raw", "reference.raw: missing, but reference.mhd names it as its voxels"),
    ],
)
def test_a_missing_file_is_named(tmp_path, file, message):
    (write(tmp_path) / file).unlink()
    assert_named(tmp_path, f"TRAIN001/{message}")


def test_an_empty_folder_is_named(tmp_path):
    folder = write(tmp_path)
    shutil.rmtree(folder)
    folder.mkdir()
    assert_named(tmp_path, "TRAIN001/oct.mhd: missing; a volume has oct.mhd and reference.mhd")


@pytest.mark.parametrize("kind", ["oct", "reference"])
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ElementType": "MET_SHORT"}, "found voxels of type 16-bit signed integer; expected 8-b"),
        ({"ElementType": "MET_FLOAT"}, "found voxels of type 32-bit float; expected 8-bit or 16"),
        ({"ElementType": "MET_X"}, "not the header of a MetaImage volume; unpack the volume again"),
        ({"DimSize": None}, "not the header of a MetaImage volume"),
        ({"DimSize": "12 10 0"}, r"found size \(12, 10, 0\); expected columns, rows and slices"),
        ({"DimSize": "12 10 -4"}, r"found size \(12, 10, -4\); expected columns, rows"),
        (
            {"NDims": "2", "DimSize": "12 40", "ElementSpacing": "1 1"},
            r"found size \(12, 40\); expected columns, rows and slices",
        ),
        ({"ElementSpacing": "0 1 1"}, r"found ElementSpacing \(0.0, 1.0, 1.0\); expected three"),
        ({"ElementSpacing": "1 -2 1"}, r"found ElementSpacing \(1.0, -2.0, 1.0\); expected three"),
        ({"ElementSpacing": "nan 1 1"}, r"found ElementSpacing \("),
        ({"ElementDataFile": "LIST"}, "found ElementDataFile 'LIST'; expected the name of one"),
        ({"ElementDataFile": "s%03d.raw 1 4 1"}, "found ElementDataFile 's%03d.raw 1 4 1'; expec"),
        ({"ElementDataFile": "../x/oct.raw"}, "found ElementDataFile '../x/oct.raw'; expected"),
    ],
)
def test_a_header_that_cannot_be_used_is_named(tmp_path, kind, keys, message):
    header = write(tmp_path) / f"{kind}.mhd"
    edit_header(header, **keys)
    assert_named(tmp_path, f"TRAIN001/{kind}.mhd: {message}")


@pytest.mark.parametrize("text", ["", "<html>please log in</html>"])
def test_a_file_that_is_no_header_is_named(tmp_path, text):
    (write(tmp_path) / "oct.mhd").write_text(text)
    assert_named(tmp_path, "TRAIN001/oct.mhd: not the header of a MetaImage volume")


@pytest.mark.parametrize("kind", ["oct", "reference"])
@pytest.mark.parametrize("found", [0, 479, 481])
def test_too_few_and_too_many_voxels_are_counted(tmp_path, kind, found):
    (write(tmp_path) / f"{kind}.raw").write_bytes(bytes(found))
    promise = r"promises 480 \(12 × 10 × 4 of uint8\)\. The file is damaged or belongs to another"
    assert_named(tmp_path, f"{kind}.raw: found {found} bytes of voxels; {kind}.mhd {promise}")


@pytest.mark.parametrize(
    ("keys", "promised"),
    [
        ({"ElementType": "MET_USHORT"}, r"960 \(12 × 10 × 4 of uint16\)"),
        # Noticed before memory is asked for.
        ({"DimSize": "60000 60000 60000"}, r"216000000000000 \(60000 × 60000 × 60000 of uint8\)"),
    ],
)
def test_a_header_that_promises_more_is_named(tmp_path, keys, promised):
    edit_header(write(tmp_path) / "oct.mhd", **keys)
    assert_named(tmp_path, f"oct.raw: found 480 bytes of voxels; oct.mhd promises {promised}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            zlib.compress(voxels().tobytes())[:-100],
            r"found \d+ bytes of voxels; oct.mhd promises 4",
        ),
        (zlib.compress(voxels()[1:].tobytes()), "found 360 bytes of voxels; oct.mhd promises 480"),
        (b"noise" * 100, "its compressed voxels are damaged; unpack the volume again"),
    ],
    ids=["cut", "fewer", "noise"],
)
def test_damaged_compressed_voxels_are_named(tmp_path, data, message):
    folder = write(tmp_path)
    edit_header(folder / "oct.mhd", CompressedData="True", ElementDataFile="oct.zraw")
    (folder / "oct.zraw").write_bytes(data)
    assert_named(tmp_path, f"TRAIN001/oct.zraw: {message}")


def test_too_few_voxels_behind_a_header_are_counted(tmp_path):
    folder = write(tmp_path)
    edit_header(folder / "oct.mhd", ElementDataFile="LOCAL")
    with (folder / "oct.mhd").open("ab") as stream:
        stream.write(bytes(479))
    assert_named(tmp_path, "oct.mhd: found 479 bytes of voxels; oct.mhd promises 480")


def test_labels_beyond_the_fluids_are_named(tmp_path):
    reference = REFERENCE.copy()
    reference[2, 3, 4:6], reference[3, 3, 4] = 7, 200
    write(tmp_path, reference=reference)
    found = "reference.raw: found label 7, 200 in 3 voxels, first in B-scan 002; allowed: 0 backgr"
    assert_named(tmp_path, f"TRAIN001/{found}")


def test_of_many_wrong_labels_the_first_few_are_named(tmp_path):
    write(tmp_path, reference=np.arange(480, dtype=np.uint16).reshape(SHAPE))
    assert_named(tmp_path, r"found label 4, 5, 6, 7, 8, \.\.\. in 476 voxels, first in B-scan 000;")


@pytest.mark.parametrize("shape", [(4, 10, 11), (3, 10, 12), (4, 12, 10)])
def test_a_reference_of_another_shape_is_named(tmp_path, shape):
    folder = write(tmp_path)
    write_metaimage(folder / "reference.mhd", np.zeros(shape, np.uint8), SPACING)
    shapes = rf"\(4, 10, 12\), reference \({', '.join(map(str, shape))}\)"
    assert_named(
        tmp_path, rf"TRAIN001: oct has \(slices, height, width\) {shapes}; they must agree"
    )


def test_voxels_that_cannot_be_read_after_all_are_named(tmp_path, monkeypatch):
    write(tmp_path)

    def fail(*_, **__):
        raise OSError("disk")

    monkeypatch.setattr(np, "fromfile", fail)
    with pytest.raises(
        DataError, match=r"reference.mhd: its voxels cannot be read; unpack the vol"
    ):
        opened(tmp_path).rows("TRAIN001")
