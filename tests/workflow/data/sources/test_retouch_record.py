"""RETOUCH's volumes held against what is on record of them."""

import numpy as np
import pytest

from tests.workflow.data.sources.retouch_files import column, opened, write
from workflow.base.errors import DataError
from workflow.data.sources import retouch
from workflow.data.sources.metaimage import MetaImage

RECORD = "workflow/data/records/retouch_volumes.csv"
HEAD = "id,vendor,slices,background,irf,srf,ped\n"


@pytest.fixture
def narrow(tmp_path, monkeypatch):
    """A record of the small volume above, and a width to go with it."""
    monkeypatch.setattr(retouch, "WIDTH", 12)
    path = tmp_path / "record.csv"
    path.write_text(f"{HEAD}TRAIN001,Cirrus,4,458,6,5,11\nTRAIN002,Cirrus,4,480,0,0,0\n")
    return path


def test_a_volume_as_on_record_passes(tmp_path, narrow):
    write(tmp_path)
    rows = opened(tmp_path, record=str(narrow), slice_step=3).rows("TRAIN001")
    assert column(rows, "pixels_irf") == [0, 1]  # the record counts the slices left out as well


@pytest.mark.parametrize(
    ("name", "vendor", "height", "slices", "counts"),
    [
        ("TRAIN062", "Topcon", 885, 64, (33797, 0, 0)),
        ("TRAIN069", "Topcon", 650, 128, (0, 288, 58539)),
        ("TRAIN040", "Spectralis", 496, 49, (87357, 4831, 0)),
    ],
)
def test_true_geometries_pass_the_real_record(
    tmp_path, repo, monkeypatch, name, vendor, height, slices, counts
):
    """Volumes of true shape and counts, whose voxels are never written to disk."""
    reference = np.zeros((slices, height, 512), np.uint8)
    np.put(reference, np.arange(sum(counts)), np.repeat([1, 2, 3], counts))
    write(tmp_path, name, vendor=vendor)
    uint8, shape = np.dtype(np.uint8), reference.shape
    volume = MetaImage(tmp_path, tmp_path, 0, False, uint8, shape, None, "unpack it again")
    monkeypatch.setattr(retouch, "_open_volume", lambda header: volume)
    monkeypatch.setattr(MetaImage, "load", lambda self: reference)
    source = opened(tmp_path, vendor=vendor, record=str(repo / RECORD))
    rows = source.rows(name)
    assert len(rows) == slices
    assert [sum(column(rows, f"pixels_{x}")) for x in ("irf", "srf", "ped")] == [*counts]
    np.put(reference, reference.size - 1, 1)
    found = f"found voxels of irf {counts[0] + 1} \\(on record {counts[0]}\\) for {name} in"
    with pytest.raises(DataError, match=found):
        source.rows(name)


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("TRAIN001,Topcon,4,458,6,5,11", r"vendor Cirrus \(on record Topcon\)"),
        ("TRAIN001,Cirrus,8,938,6,5,11", r"slices 4 \(on record 8\)"),
        ("TRAIN001,Cirrus,4,506,6,5,11", r"rows 10 \(on record 11\)"),
        ("TRAIN001,Cirrus,4,459,6,5,11", r"rows 10 \(on record 10.0208\)"),
        ("TRAIN001,Cirrus,4,459,5,5,11", r"voxels of irf 6 \(on record 5\)"),
        ("TRAIN001,Cirrus,4,463,6,0,11", r"voxels of srf 5 \(on record 0\)"),
        (
            "TRAIN001,Cirrus,4,458,6,11,5",
            r"voxels of srf 5 \(on record 11\), voxels of ped 11 \(on record 5\)",
        ),
    ],
)
def test_a_volume_that_differs_from_the_record_is_refused(tmp_path, narrow, line, difference):
    folder = write(tmp_path)
    narrow.write_text(f"{HEAD}{line}\n")
    with pytest.raises(DataError, match=f"found {difference} for TRAIN001 in ") as caught:
        opened(tmp_path, record=str(narrow)).rows("TRAIN001")
    message = str(caught.value)
    assert message.startswith(f"{folder}: ")
    assert f"{narrow} (data.retouch_record)" in message
    assert message.endswith(
        "the copy is damaged or altered: unpack it again, or fetch it again; if it is meant to be "
        "a different data set, set data.retouch_record to null"
    )


def test_the_width_on_record_is_512(tmp_path, narrow, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(retouch, "WIDTH", 512)
    message = r"found rows 10 \(on record 0.234375\), width 12 \(on record 512\) for TRAIN001"
    with pytest.raises(DataError, match=message):
        opened(tmp_path, record=str(narrow)).rows("TRAIN001")


def test_a_volume_that_is_not_on_record_is_refused(tmp_path, narrow):
    write(tmp_path, "TRAIN099")
    message = "volume TRAIN099 is not on record in .*; the copy is damaged or altered: .* to null$"
    with pytest.raises(DataError, match=message):
        opened(tmp_path, record=str(narrow)).rows("TRAIN099")
    assert opened(tmp_path).rows("TRAIN099")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not a CSV table"),
        ("", "not a CSV table"),
        ("id,vendor,slices,background,irf,srf\n", "column 'ped' is missing"),
        (
            f"{HEAD}TRAIN001,Cirrus,4,458,6,5\n",
            "TRAIN001: occurs twice, or a count in its row is no",
        ),
        (f"{HEAD}TRAIN001,Cirrus,4,458,6,5,-1\n", "TRAIN001: occurs twice, or a count"),
        (f"{HEAD}TRAIN001,Cirrus,0,458,6,5,1\n", "TRAIN001: occurs twice, or a count"),
        (f"{HEAD}" + 2 * "TRAIN001,Cirrus,4,458,6,5,11\n", "TRAIN001: occurs twice, or a count"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(tmp_path, text, message):
    write(tmp_path)
    path = tmp_path / "record.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=rf"record.csv \(data.retouch_record\): {message}.* null"):
        opened(tmp_path, record=str(path))


def test_the_committed_record_can_be_read(tmp_path, repo):
    write(tmp_path)
    source = opened(tmp_path, record=str(repo / RECORD))
    with pytest.raises(
        DataError, match=r"found slices 4 \(on record 128\), rows 10 \(on record 102"
    ):
        source.rows("TRAIN001")
