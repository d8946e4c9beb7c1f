"""Where RETOUCH's volumes may lie, and what is said where they do not."""

import os
import shutil
from pathlib import Path

import pytest

from tests.workflow.data.sources.retouch_files import opened, write
from workflow.base.errors import DataError
from workflow.data.sources import retouch
from workflow.data.sources.retouch import HOW_TO_GET


def test_volumes_are_in_order_and_other_vendors_and_test_sets_left_out(tmp_path):
    for name in ("TRAIN010", "TRAIN002"):
        write(tmp_path, name)
    write(tmp_path, "TRAIN025", vendor="Spectralis")
    test = tmp_path / "RETOUCH-TestSet-Cirrus" / "TEST001"
    shutil.copytree(tmp_path / "RETOUCH-TrainingSet-Cirrus" / "TRAIN002", test)
    assert opened(tmp_path).groups == ["TRAIN002", "TRAIN010"]
    assert opened(tmp_path).tables == ()


@pytest.mark.parametrize(
    "outer",
    [
        "TrainingCirrus",
        "TrainingSetCirrus",
        "RETOUCH-TrainingSet-Cirrus",
        "RETOUCH-TrainingSet-Cirrus.zip",
        "data/of/mine",
    ],
)
def test_an_outer_folder_as_some_downloads_have_it(tmp_path, outer):
    write(tmp_path / outer)
    write(tmp_path / "TrainingSpectralis", "TRAIN025", vendor="Spectralis")
    assert opened(tmp_path).groups == ["TRAIN001"]


def test_another_vendors_folder_inside_is_not_this_vendors(tmp_path):
    write(tmp_path / "RETOUCH-TrainingSet-Cirrus", "TRAIN049", vendor="Topcon")
    write(tmp_path, "TRAIN003")
    assert opened(tmp_path).groups == ["TRAIN003"]


def test_the_root_may_be_the_vendors_folder_itself_or_a_link(tmp_path):
    folder = write(tmp_path / "there").parent
    assert opened(folder).groups == ["TRAIN001"]
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert opened(tmp_path / "link").groups == ["TRAIN001"]
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / folder.name).symlink_to(folder)
    source = opened(tmp_path / "here")
    assert source.groups == ["TRAIN001"]
    assert len(list(source.read("TRAIN001", 8))) == 4


def test_names_of_folders_may_differ_in_case(tmp_path):
    folder = write(tmp_path / "x")
    lower = tmp_path / "y" / "retouch-trainingset-CIRRUS" / "train001"
    lower.parent.mkdir(parents=True)
    folder.rename(lower)
    source = opened(tmp_path)
    assert source.groups == ["TRAIN001"]
    assert source.rows("TRAIN001")[1]["id"] == "TRAIN001-001"


def test_hidden_folders_and_those_of_a_mac_are_left_alone(tmp_path):
    write(tmp_path)
    for name in (".Trash", "__MACOSX"):
        write(tmp_path / name)
        write(tmp_path / "RETOUCH-TrainingSet-Cirrus" / name)
    assert opened(tmp_path).groups == ["TRAIN001"]


def test_volumes_of_all_roots_count_and_a_root_may_be_missing(tmp_path):
    write(tmp_path / "given", "TRAIN002")
    write(tmp_path / "unpacked", "TRAIN001")
    roots = [tmp_path / name for name in ("given", "nowhere", "unpacked")]
    assert opened(*roots).groups == ["TRAIN001", "TRAIN002"]


def test_a_root_inside_another_and_links_in_circles_count_once(tmp_path):
    folder = write(tmp_path / "a")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    (folder.parent / "circle").symlink_to(tmp_path / "a")
    assert opened(tmp_path, tmp_path / "a").groups == ["TRAIN001"]


def test_a_link_of_another_name_does_not_hide_the_folder(tmp_path):
    folder = write(tmp_path).parent
    (tmp_path / "A-link").symlink_to(folder)
    assert opened(tmp_path).groups == ["TRAIN001"]


def test_each_folder_is_listed_once_and_no_file_is_opened(tmp_path, monkeypatch):
    write(tmp_path)
    for k in range(3):
        (tmp_path / "photos" / f"{k}").mkdir(parents=True)
        (tmp_path / "photos" / f"{k}" / "x.jpg").touch()
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(str(path)), scandir(path))[1])
    monkeypatch.setattr(retouch, "_open_volume", None)
    opened(tmp_path)
    assert len(listed) == len(set(listed)) == 7


def test_a_folder_that_may_not_be_listed_matters_only_inside(tmp_path, monkeypatch):
    locked = tmp_path / "others"
    locked.mkdir()
    folder = write(tmp_path)
    scandir = os.scandir

    def guarded(path):
        if Path(path) in (locked, inner):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    inner = None
    monkeypatch.setattr(os, "scandir", guarded)
    assert opened(tmp_path).groups == ["TRAIN001"]
    inner = folder
    with pytest.raises(DataError, match=r"TRAIN001: may not be listed; make the folder readable"):
        opened(tmp_path)


@pytest.mark.parametrize("other", ["old", "new/TrainingCirrus"])
def test_a_volume_that_is_there_twice_is_refused(tmp_path, other):
    first, second = write(tmp_path / "new"), write(tmp_path / other / "again")
    message = "volume TRAIN001 is also in .*; keep one of them"
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path / "new", tmp_path)
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)


@pytest.mark.parametrize("place", ["", "nowhere", "file.zip"])
def test_a_folder_without_volumes_says_how_to_get_them(tmp_path, place):
    write(tmp_path, vendor="Topcon")
    (tmp_path / "RETOUCH-TrainingSet-Cirrus").mkdir()
    (tmp_path / "file.zip").touch()
    unpacked = tmp_path / "unpacked"
    with pytest.raises(DataError) as caught:
        opened(tmp_path / place, unpacked)
    assert str(caught.value) == (
        f"{tmp_path / place} or {unpacked}: found no RETOUCH-TrainingSet-Cirrus/TRAINnnn/oct.mhd "
        f"below it. {HOW_TO_GET}"
    )


def test_how_to_get_the_volumes_says_every_step():
    for step in (
        "retouch.grand-challenge.org",
        "account",
        "join",
        "signed confidentiality agreement",
        "RETOUCH-TrainingSet-{Cirrus,Spectralis,Topcon}",
        "data.retouch_dir",
        "$RETOUCH_DIR",
        "as archives or unpacked",
        "preset=demo",
    ):
        assert step in HOW_TO_GET
