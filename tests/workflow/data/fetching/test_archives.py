"""Which files of a folder are archives to unpack."""

import pytest

from tests.workflow.data.fetching.packing import FILES, pack
from workflow.base.errors import DataError
from workflow.data.fetching.unpack import archives


def test_archives_are_found_in_a_fixed_order_and_not_too_deep(tmp_path):
    root = tmp_path / "root"
    found = ["b.zip", "Cirrus/deep/d.tgz", "Cirrus/c.tar.gz", "a.tar", "e.rar", "Z.ZIP"]
    others = ["1/2/3/deep.zip", ".hidden.zip", ".f/x.zip", "a.zip.wrong", ".y.zip.part", "n.csv"]
    for name in found + others:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "folder.zip").mkdir()
    assert archives(root) == sorted(root / name for name in found)
    assert archives(tmp_path / "missing") == []


def test_archives_of_the_same_name_are_refused(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        pack(tmp_path / folder / "data.zip", FILES)
    with pytest.raises(DataError, match=r"two/data\.zip: .*same folder as .*one/data\.zip"):
        archives(tmp_path)


def test_an_archive_that_is_found_twice_through_a_link_is_one(tmp_path):
    pack(tmp_path / "data.zip", FILES)
    (tmp_path / "again").symlink_to(tmp_path)
    assert [path.name for path in archives(tmp_path)] == ["data.zip"]


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("inside", ["", "a"])
def test_an_archive_that_lies_unpacked_beside_itself_is_left_out(tmp_path, suffix, inside):
    archive = pack(
        tmp_path / f"a.{suffix}", {"./one/1.txt": b"1", "two.txt": b"2", "__MACOSX/._two.txt": b"s"}
    )
    assert archives(tmp_path) == [archive]
    (tmp_path / inside / "one").mkdir(parents=True)
    assert archives(tmp_path) == [archive]
    (tmp_path / inside / "two.txt").touch()
    assert archives(tmp_path) == []


def test_an_unsafe_or_damaged_archive_does_not_count_as_unpacked(tmp_path):
    unsafe = pack(tmp_path / "unsafe.zip", {"../b.txt": b"1"})
    (tmp_path / "b.txt").touch()
    empty = pack(tmp_path / "empty.zip", {})
    (tmp_path / "damaged.tar").write_bytes(b"x" * 2000)
    assert archives(tmp_path) == [tmp_path / "damaged.tar", empty, unsafe]
