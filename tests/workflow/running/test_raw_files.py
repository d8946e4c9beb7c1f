"""Raw files: what they are called, and that their state changes with their content alone."""

import os
import shutil
from pathlib import Path

import pytest

from workflow.base.files import read_json, sha256
from workflow.config import paths
from workflow.config.load import load_config
from workflow.running import raw_files


def configured(repo: Path, root: Path | None = None, **data):
    given = {"isic2017_dir": str(root)} if root else {}
    return load_config(repo / "config.yaml", {"preset": "paper", "data": given | data})


@pytest.fixture(autouse=True)
def _elsewhere(repo, tmp_path, monkeypatch):
    """A working folder of its own, with the files that the configuration names."""
    monkeypatch.delenv("ISIC2017_DIR", raising=False)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "workflow").symlink_to(repo / "workflow")
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def given(tmp_path):
    root = tmp_path / "mine"
    (root / "inner").mkdir(parents=True)
    (root / "b.bin").write_bytes(b"bbbb")
    (root / "inner" / "a.bin").write_bytes(b"aa")
    (root / ".hidden").write_bytes(b"x")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "shadow").write_bytes(b"x")
    return root


def hashed(config):
    """What the step that hashes raw files remembers."""
    raw_files.remember(
        config,
        "isic2017",
        {
            raw_files.name_of(label, root, file): [*stat, sha256(file)]
            for label, root in raw_files.watched(config, "isic2017").items()
            for file, stat in raw_files.find_files(root)
        },
    )


def test_files_are_found_in_a_fixed_order_without_what_systems_add(given):
    found = [(file.relative_to(given).as_posix(), stat.bytes)
             for file, stat in raw_files.find_files(given)]  # fmt: skip
    assert found == [("b.bin", 4), ("inner/a.bin", 2)]


def test_a_root_may_be_a_file_or_missing(given):
    ((file, stat),) = raw_files.find_files(given / "b.bin")
    assert (raw_files.name_of("labels", given / "b.bin", file), stat.bytes) == ("labels", 4)
    assert list(raw_files.find_files(given / "nothing")) == []


def test_links_are_followed_once(given, tmp_path):
    (given / "inner" / "back").symlink_to(given)
    (given / "link").symlink_to(given / "inner" / "a.bin")
    found = [file.relative_to(given).as_posix() for file, _ in raw_files.find_files(given)]
    assert found == ["b.bin", "inner/a.bin", "link"]


def test_names_do_not_depend_on_where_the_data_lies(given):
    files = [file for file, _ in raw_files.find_files(given)]
    assert [raw_files.name_of("given", given, file) for file in files] == [
        "given/b.bin",
        "given/inner/a.bin",
    ]


def test_only_files_of_the_user_are_watched(repo, given, monkeypatch):
    assert raw_files.watched(configured(repo, given), "isic2017") == {"given": given}
    assert raw_files.watched(configured(repo), "isic2017") == {}
    monkeypatch.setenv("ISIC2017_DIR", str(given))
    assert raw_files.watched(configured(repo), "isic2017") == {"given": given}
    demo = load_config(repo / "config.yaml", {"preset": "everything"})
    assert raw_files.watched(demo, "isic2017") == {}


def test_a_touch_changes_nothing_and_is_hashed_once(repo, given, monkeypatch):
    config = configured(repo, given)
    assert raw_files.state(config, "isic2017") == "new"
    hashed(config)
    assert raw_files.state(config, "isic2017") == "new"
    os.utime(given / "b.bin", ns=(1, 1))
    looked_at = []
    monkeypatch.setattr(raw_files, "sha256", lambda file: looked_at.append(file) or sha256(file))
    assert raw_files.state(config, "isic2017") == "new"
    assert raw_files.state(config, "isic2017") == "new"
    assert looked_at == [given / "b.bin"]


def test_moving_the_data_changes_nothing(repo, given, tmp_path):
    hashed(configured(repo, given))
    moved = given.rename(tmp_path / "elsewhere")
    assert raw_files.state(configured(repo, moved), "isic2017") == "new"
    copied = tmp_path / "copied"
    for file, _ in raw_files.find_files(moved):  # a copy with new times
        target = copied / file.relative_to(moved)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    assert raw_files.state(configured(repo, copied), "isic2017") == "new"


def edit(root):
    (root / "b.bin").write_bytes(b"bbbB")  # as long as before


def add(root):
    (root / "c.bin").write_bytes(b"c")


def remove(root):
    (root / "b.bin").unlink()


def rename(root):
    (root / "b.bin").rename(root / "d.bin")


@pytest.mark.parametrize("change", [edit, add, remove, rename])
def test_a_change_of_content_changes_the_state_once(repo, given, change):
    config = configured(repo, given)
    hashed(config)
    before = (given / "b.bin").stat().st_mtime_ns
    change(given)
    if (given / "b.bin").exists() and change is edit:
        os.utime(given / "b.bin", ns=(before + 1, before + 1))
    changed = raw_files.state(config, "isic2017")
    assert changed != "new"
    assert raw_files.state(config, "isic2017") == changed
    hashed(config)  # the step that runs because of it does not change it again
    assert raw_files.state(config, "isic2017") == changed


def test_data_that_is_gone_is_not_called_changed(repo, given):
    config = configured(repo, given)
    hashed(config)
    shutil.rmtree(given)
    assert raw_files.state(config, "isic2017") == "new"
    assert read_json(paths.seen(config, "isic2017"))["files"]
