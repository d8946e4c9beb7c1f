"""Archives unpacked: safe ones come back byte by byte, whatever happens on the way."""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.data.fetching.packing import (
    FILES,
    SUFFIXES,
    add,
    contents,
    entries,
    pack,
    refused,
    silent,
    store,
)
from workflow.base import workers
from workflow.base.errors import DataError
from workflow.data.fetching import unpack as module
from workflow.data.fetching.unpack import unpack

__all__ = ["refused", "store"]  # fixtures


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_comes_back(tmp_path, store, suffix):
    archive = pack(tmp_path / f"RETOUCH-Cirrus.v1.{suffix}", FILES, folders=["set", "set/empty"])
    target = unpack(archive, store, say=silent)
    assert target == store / "RETOUCH-Cirrus.v1"
    assert contents(target) == FILES
    assert (target / "set" / "empty").is_dir()
    assert entries(store) == ["RETOUCH-Cirrus.v1"]


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_permissions_are_plain(tmp_path, store, suffix):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            info = zipfile.ZipInfo("folder/run.sh")
            info.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
            file.writestr(info, b"#!/bin/sh\n")
    else:
        with tarfile.open(archive, "w") as file:
            add(file, "folder", type=tarfile.DIRTYPE, mode=0o1777)
            add(file, "folder/run.sh", b"#!/bin/sh\n", mode=0o6777)
    before = os.umask(0)
    try:
        target = unpack(archive, store, say=silent)
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(store)): stat.S_IMODE(path.stat().st_mode)
        for path in (target, target / "folder", target / "folder" / "run.sh")
    }
    assert modes == {"a": 0o755, "a/folder": 0o755, "a/folder/run.sh": 0o644}


def test_shadows_of_macos_are_left_out(tmp_path, store):
    shadows = {"__MACOSX/set/._a.jpg": b"1", "set/._a.jpg": b"2", "._set": b"3"}
    archive = pack(tmp_path / "a.zip", {"set/a.jpg": b"image", ".hidden": b"h", **shadows})
    assert contents(unpack(archive, store, say=silent)) == {"set/a.jpg": b"image", ".hidden": b"h"}


def test_an_unchanged_archive_is_unpacked_once(tmp_path, store):
    archive = pack(tmp_path / "a.zip", FILES)
    lines = []
    first = unpack(archive, store, say=lines.append).stat()
    assert lines[0] == "unpack a.zip: checking its members"
    assert lines[-1].startswith("unpack a.zip: 2 MB in ")
    again = unpack(archive, store, say=lines.append).stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert len(lines) == 2
    # Also where it was moved to another place.
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(archive, tmp_path / "elsewhere" / "a.zip")
    assert unpack(moved, store, say=lines.append).stat().st_ino == first.st_ino


def test_a_changed_archive_takes_the_place_of_the_old_one(tmp_path, store):
    archive = pack(tmp_path / "a.zip", {"old.txt": b"old", "both.txt": b"1"})
    unpack(archive, store, say=silent)
    pack(archive, {"new.txt": b"new", "both.txt": b"2"})
    os.utime(archive, ns=(0, 10**18))
    assert contents(unpack(archive, store, say=silent)) == {"new.txt": b"new", "both.txt": b"2"}
    os.utime(archive, ns=(0, 2 * 10**18))  # the same bytes at another time
    inode = (store / "a").stat().st_ino
    assert unpack(archive, store, say=silent).stat().st_ino != inode
    other = pack(tmp_path / "a.tar", {"third.txt": b"3"})
    assert contents(unpack(other, store, say=silent)) == {"third.txt": b"3"}
    assert entries(store) == ["a"]


def test_a_changed_archive_that_is_damaged_leaves_the_old_one(tmp_path, store):
    archive = pack(tmp_path / "a.zip", FILES)
    unpack(archive, store, say=silent)
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged"):
        unpack(archive, store, say=silent)
    assert contents(store / "a") == FILES
    assert entries(store) == ["a"]


def test_a_folder_of_the_users_is_not_replaced(tmp_path, store):
    archive = pack(tmp_path / "a.zip", FILES)
    (store / "a").mkdir(parents=True)
    (store / "a" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"was not unpacked from an archive.*move one of them"):
        unpack(archive, store, say=silent)
    assert contents(store / "a") == {"mine.txt": b"mine"}


def test_too_little_space_is_told_first(monkeypatch, tmp_path, refused):
    free = sum(map(len, FILES.values()))
    archive = pack(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free - 1))
    refused(archive, r"unpacks to 0\.0 GB, but .* free some, or set data\.store")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    unpack(archive, tmp_path, say=silent)


@pytest.mark.parametrize(
    ("number", "match"),
    [(errno.ENOSPC, "no space is left"), (errno.EIO, "Input/output error; .* was not unpacked")],
)
def test_errors_of_the_disk_are_told(monkeypatch, tmp_path, refused, number, match):
    archive, opening = pack(tmp_path / "a.zip", FILES), os.open

    def failing(path, flags, *mode, **options):
        if Path(path).name == "reference.raw":
            raise OSError(number, os.strerror(number), str(path))
        return opening(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", failing)
    refused(archive, match)


def test_progress_of_large_archives(monkeypatch, tmp_path, store):
    monkeypatch.setattr(workers, "SECONDS_BETWEEN_LINES", 0)
    lines = []
    unpack(pack(tmp_path / "a.zip", {"a": bytes(5_000_000)}), store, say=lines.append)
    assert any(line.startswith("unpack a.zip: 2 of 5 MB, ") for line in lines)
    assert lines[-1].startswith("unpack a.zip: 5 MB in ")


def run(program, *arguments, root):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_memory_is_bounded(tmp_path, store, repo):
    """A file of 100 MB is unpacked by a process that may take 40 MB."""
    (tmp_path / "zeros").touch()
    os.truncate(tmp_path / "zeros", 100_000_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.write(tmp_path / "zeros", "zeros")
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz", compresslevel=1) as file:
        file.add(tmp_path / "zeros", "zeros")
    program = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from workflow.data.fetching.unpack import unpack\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "most = pages * resource.getpagesize() + 40_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "for archive in sys.argv[2:]:\n    unpack(Path(archive), Path(sys.argv[1]))\n"
    )
    with run(program, store, tmp_path / "a.zip", tmp_path / "b.tar.gz", root=repo) as process:
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert [(store / name / "zeros").stat().st_size for name in "ab"] == [100_000_000] * 2


UNPACK = (
    "import sys\nfrom pathlib import Path\nfrom workflow.data.fetching.unpack import unpack\n"
    "unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
)


def test_a_killed_unpacking_leaves_a_temporary_folder_that_the_next_removes(tmp_path, store, repo):
    archive = pack(tmp_path / "a.zip", FILES)
    program = (
        "import os, signal\nimport workflow.data.fetching.unpack as module\n"
        "module.WorkProgress.add = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with run(program + UNPACK, archive, store, root=repo) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert entries(store) == [".a.unpacking"]
    assert contents(store / ".a.unpacking")
    assert contents(unpack(archive, store, say=silent)) == FILES
    assert entries(store) == ["a"]


def test_a_replacing_that_was_killed_is_done_anew(tmp_path, store):
    archive = pack(tmp_path / "a.zip", FILES)
    unpack(archive, store, say=silent).rename(store / ".a.old")
    (store / ".a.unpacking").mkdir()
    assert contents(unpack(archive, store, say=silent)) == FILES
    assert entries(store) == ["a"]


def test_an_interrupt_leaves_nothing(monkeypatch, tmp_path, store):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.WorkProgress, "add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpack(pack(tmp_path / "a.zip", FILES), store, say=silent)
    assert entries(store) == []


def test_two_processes_do_not_unpack_the_same(tmp_path, store, repo):
    archive = pack(tmp_path / "a.zip", FILES)
    inode = unpack(archive, store, say=silent).stat().st_ino
    with (store / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with run(UNPACK, archive, store, root=repo) as process:
            assert process.stdout is not None
            assert "another process writes here" in process.stdout.readline()
            fcntl.flock(held, fcntl.LOCK_UN)
            assert process.wait(timeout=60) == 0
    assert (store / "a").stat().st_ino == inode


LETTERS = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), exclude_characters="/\\:"),
    min_size=1,
    max_size=8,
)
PARTS = LETTERS.filter(lambda part: part not in (".", "..") and not part.startswith("._"))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def distinct(files):
    """Whether any file system can hold all of them."""
    paths = {Path(name): None for name in files}
    above = {parent for path in paths for parent in path.parents}
    keys = [unicodedata.normalize("NFC", str(path)).casefold() for path in {*paths, *above}]
    return len(keys) == len(set(keys)) and not above & set(paths)


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(PATHS, st.binary(max_size=3000), min_size=1, max_size=6).filter(distinct),
    suffix=st.sampled_from(["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]),
    stored=st.booleans(),
)
def test_safe_archives_come_back(files, suffix, stored):
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with tempfile.TemporaryDirectory() as folder:
        archive = pack(Path(folder) / f"a.{suffix}", files, method=method)
        assert contents(unpack(archive, Path(folder) / "store", say=silent)) == files


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from(["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]),
    damage=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), max_size=4),
    keep=st.floats(0.2, 1),
)
def test_damaged_archives_are_told_or_unpacked_but_never_crash(suffix, damage, keep):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive = pack(root / f"a.{suffix}", {"set/a.bin": b"abc" * 500, "b.txt": b"b"})
        data = bytearray(archive.read_bytes())
        for place, change in damage:
            at = int(place * len(data))
            data[at : at + len(change)] = change
        archive.write_bytes(data[: int(keep * len(data))])
        whole = False
        with contextlib.suppress(DataError):
            unpack(archive, root / "store", say=silent)
            whole = True
        assert entries(root / "store") == ["a"] * whole
        assert sorted(path.name for path in root.iterdir()) == [archive.name, "store"]
