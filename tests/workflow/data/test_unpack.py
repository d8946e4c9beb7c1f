"""Archives unpacked: safe ones come back byte by byte, and all others leave nothing behind."""

import contextlib
import errno
import fcntl
import io
import lzma
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import warnings
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.data import unpack as module
from workflow.data import workers
from workflow.data.errors import DataError
from workflow.data.unpack import Limits, archives, unpack

FILES = {
    "set/TRAIN001/oct.raw": random.Random(1).randbytes(1_200_000),
    "set/TRAIN001/oct.mhd": b"NDims = 3\n",
    "set/TRAIN002/reference.raw": bytes(1_300_000),
    "read me.txt": b"",
    "Übersicht.csv": b"id\r\n1\r\n",
}
SUFFIXES = ("zip", "tar", "tar.gz", "tgz", "tar.xz", "txz", "tar.bz2", "tbz2", "ZIP")
MODES = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "txz": "w:xz", "bz2": "w:bz2", "tbz2": "w:bz2"}
silent = lambda _: None  # noqa: E731


def pack(path, files, folders=(), method=zipfile.ZIP_DEFLATED):
    """Write an archive of the kind that its suffix says."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w", method) as archive:
            for name in folders:
                archive.writestr(name + "/", b"")
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, MODES.get(path.suffix[1:], "w")) as archive:
        for name in folders:
            add(archive, name, type=tarfile.DIRTYPE)
        for name, data in files.items():
            add(archive, name, data)
    return path


def add(archive, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


def contents(folder):
    """Name -> bytes of all files in a folder, the note of unpacking aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != module.STAMP
    }


def entries(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "outer" / "store"


@pytest.fixture
def refused(store, tmp_path):
    """Check that an archive is refused, and that nothing is written or left anywhere."""

    def check(archive, match, limits=module.USUAL):
        before = {path for path in tmp_path.rglob("*") if store not in path.parents}
        with pytest.raises(DataError, match=match) as error:
            unpack(archive, store, limits=limits, say=silent)
        assert str(archive) in str(error.value)
        assert entries(store) == []
        after = {path for path in tmp_path.rglob("*") if store not in path.parents}
        assert after - before <= {store, store.parent}
        return str(error.value)

    return check


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


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "absolute path"),
        ("//host/share", "absolute path"),
        ("C:/a.txt", "absolute path"),
        ("c:a.txt", "absolute path"),
        ("../a.txt", "leads out"),
        ("set/../../a.txt", "leads out"),
        ("set/..", "leads out"),
        ("..", "leads out"),
        ("__MACOSX/../../a.txt", "leads out"),
        ("set\\a.txt", "backslash"),
        ("..\\a.txt", "backslash"),
        ("a\x1b[2J.txt", "control characters"),
        ("a\nb.txt", "control characters"),
        ("a\u202egpj.exe", "control characters"),
        ("n" * 256, "too long"),
        ("a/" * 600 + "b", "too long"),
        (".", "has no name"),
        (module.STAMP, "name of the note"),
    ],
)
@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_unsafe_names_are_refused(tmp_path, refused, name, reason, suffix):
    archive = pack(tmp_path / f"a.{suffix}", {"good.txt": b"good", name: b"evil"})
    message = refused(archive, reason)
    assert repr(name) in message
    assert "\x1b" not in message


def test_a_name_with_nul_is_refused(tmp_path, refused):
    archive = pack(tmp_path / "a.zip", {"good.txt": b"good", "evil.txtX.jpg": b"evil"})
    archive.write_bytes(archive.read_bytes().replace(b"evil.txtX", b"evil.txt\0"))
    refused(archive, "control characters")


def test_a_name_in_another_encoding_is_refused(tmp_path, refused):
    with tarfile.open(
        tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin1"
    ) as file:
        add(file, "Größe.txt", b"1")
    refused(tmp_path / "a.tar", "not in UTF-8")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a.txt", "a.txt"], "is there twice"),
        (["s/a.txt", "./s//a.txt"], "is there twice"),
        (["a.txt", "A.TXT"], "some file systems ignore"),
        (["s/a.txt", "S/b.txt"], "some file systems ignore"),
        (["\u00e9.txt", "e\u0301.txt"], "some file systems ignore"),
        (["a", "a/b.txt"], "both as a file and as a folder"),
        (["a/b.txt", "a"], "both as a file and as a folder"),
    ],
)
@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_members_that_would_overwrite_another_are_refused(tmp_path, refused, names, reason, suffix):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with warnings.catch_warnings(), zipfile.ZipFile(archive, "w") as file:
            warnings.simplefilter("ignore")
            for name in names:
                file.writestr(name, b"data")
    else:
        with tarfile.open(archive, "w") as file:
            for name in names:
                add(file, name, b"data")
    refused(archive, reason)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.GNUTYPE_SPARSE, "file with holes"),
        (b"V", "no plain file"),
    ],
)
def test_other_than_files_in_tars_are_refused(tmp_path, refused, kind, reason):
    for suffix in ("tar", "tar.gz"):
        with tarfile.open(tmp_path / f"a.{suffix}", MODES.get(suffix[4:], "w")) as file:
            add(file, "good.txt", b"good")
            add(file, "evil", type=kind, linkname="../../etc")
            add(file, "evil/a.txt", b"evil")
        refused(tmp_path / f"a.{suffix}", f"'evil': is .*{reason}")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK, "symbolic link"),
        (stat.S_IFBLK, "device"),
        (stat.S_IFIFO, "pipe"),
        (stat.S_IFSOCK, "socket"),
        (0o150000, "no plain file"),
        (stat.S_IFDIR, "is a folder, but has 6 bytes"),
    ],
)
def test_other_than_files_in_zips_are_refused(tmp_path, refused, mode, reason):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("good.txt", b"good")
        info = zipfile.ZipInfo("evil")
        info.external_attr = (mode | 0o777) << 16
        file.writestr(info, b"../../")
    refused(tmp_path / "a.zip", reason)


def patched(archive, name, offset, value):
    """Change a field in the entry of a zip's member, both in its header and in the list."""
    data = bytearray(archive.read_bytes())
    for signature, shift, length in ((b"PK\3\4", 0, 30), (b"PK\1\2", 2, 46)):
        at = data.index(name.encode(), data.index(signature)) - length
        while data[at : at + 4] != signature:
            at = data.index(name.encode(), at + length + 1) - length
        data[at + offset + shift : at + offset + shift + len(value)] = value
    archive.write_bytes(data)


FLAGS, METHOD, CRC, SIZE = 6, 8, 14, 22


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_members_are_refused(tmp_path, refused, flag):
    archive = pack(tmp_path / "a.zip", {"good.txt": b"good", "secret.txt": b"secret"})
    patched(archive, "secret.txt", FLAGS, struct.pack("<H", flag))
    refused(archive, "'secret.txt': is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_any_amount_at_once_are_refused(tmp_path, refused, method):
    archive = pack(tmp_path / "a.zip", FILES, method=method)
    refused(archive, f"packed by method {method}.*unpack it by hand")


def test_deflate64_is_refused(tmp_path, refused):
    archive = pack(tmp_path / "a.zip", {"a.txt": b"a"})
    patched(archive, "a.txt", METHOD, struct.pack("<H", 9))
    refused(archive, "packed by method 9")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_limits(tmp_path, refused, store, suffix):
    files = {f"{k}.bin": bytes(2000) for k in range(5)}
    archive = pack(tmp_path / f"a.{suffix}", files)
    refused(archive, "one more than the 4 allowed", Limits(members=4))
    refused(archive, r"'4\.bin': brings the archive to 10,000 bytes", Limits(total=9_999))
    if suffix != "tar":
        refused(archive, "allowed are 5 times as many", Limits(ratio=5, unsuspicious=1999))
    unpack(archive, store, limits=Limits(members=5, total=10_000, ratio=5), say=silent)


def test_a_bomb_is_refused_by_its_header(tmp_path, refused):
    archive = pack(tmp_path / "a.zip", {"a.bin": bytes(20_000_000)})
    limits = Limits(ratio=500, unsuspicious=10**6)
    refused(archive, r"'a\.bin': unpacks [\d,]+ bytes to 20,000,000; allowed are 500", limits)


def test_a_tar_is_refused_before_what_it_promises_is_read(tmp_path, refused):
    """A header that promises a petabyte: it is not skipped over to find the next one."""
    info = tarfile.TarInfo("a.bin")
    info.size = 10**15
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    refused(tmp_path / "a.tar", "brings the archive to 1,000,000,000,000,000 bytes")


@pytest.mark.parametrize("claimed", [-512, -1, 2**40])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_tar_whose_sizes_are_impossible_is_refused(tmp_path, refused, claimed, kind):
    info = tarfile.TarInfo("a.bin")
    info.size, info.type = claimed, kind
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(data))
    refused(tmp_path / "a.tar.xz", "damaged archive|brings the archive to")


def test_many_nested_headers_are_refused(tmp_path, refused):
    info = tarfile.TarInfo("long")
    info.type = tarfile.GNUTYPE_LONGNAME
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) * 5000 + bytes(1024))
    refused(tmp_path / "a.tar", "damaged archive")


def test_endless_padding_is_refused(monkeypatch, tmp_path, refused):
    from workflow.data import archive_members

    monkeypatch.setattr(archive_members, "LARGEST_PADDING", 10**7)
    archive = pack(tmp_path / "a.tar", {"a.txt": b"a"})
    packed = lzma.compress(archive.read_bytes() + bytes(3 * 10**7))
    archive.unlink()
    (tmp_path / "a.tar.xz").write_bytes(packed)
    refused(tmp_path / "a.tar.xz", "goes on after its end")


@pytest.mark.parametrize("promised", [999, 1, 0, 1001, 5000])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_lies_about_the_size_is_caught(tmp_path, refused, promised, method):
    """Also where the checksum is that of the bytes that the header promises."""
    data = random.Random(3).randbytes(1000)
    archive = pack(tmp_path / "a.zip", {"good.txt": b"good", "liar.bin": data}, method=method)
    patched(archive, "liar.bin", SIZE, struct.pack("<I", promised))
    refused(archive, "damaged archive")
    patched(archive, "liar.bin", CRC, struct.pack("<I", zlib.crc32(data[:promised])))
    refused(archive, "damaged archive")


def test_members_that_share_their_bytes_are_refused(tmp_path, refused):
    archive = pack(tmp_path / "a.zip", {f"{k}.bin": bytes(100_000) for k in range(9)})
    data = archive.read_bytes()
    start = data.index(b"PK\1\2")
    with zipfile.ZipFile(archive) as file:
        whole = file.infolist()[0].compress_size
    # All nine entries point to the first member, and say that it takes the bytes of all.
    lists = bytearray(data[start:])
    for k in range(9):
        at = lists.index(f"{k}.bin".encode()) - 46
        lists[at + 20 : at + 24] = struct.pack("<I", whole * 9)
        lists[at + 42 : at + 46] = struct.pack("<I", 0)
    archive.write_bytes(data[:start] + lists)
    refused(archive, "its members overlap")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(2000)])
def test_what_is_no_archive_is_told(tmp_path, refused, suffix, content):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    refused(
        tmp_path / f"a.{suffix}", r"damaged archive.*Fetch the archive again|found no file in it"
    )


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_told(tmp_path, refused, suffix, share):
    archive = pack(tmp_path / f"a.{suffix}", FILES)
    data = archive.read_bytes()
    # Of a tar the padding may be missing, and nothing is lost.
    archive.write_bytes(data[: int(len(data) * share) - 20_000 * (suffix == "tar")])
    refused(archive, "damaged archive")


def test_a_tar_that_ends_after_a_member_is_told(tmp_path, refused):
    archive = pack(tmp_path / "a.tar", {"a.bin": bytes(512), "b.bin": bytes(512)})
    data = archive.read_bytes()
    archive.write_bytes(data[:1024])
    refused(archive, "breaks off")
    archive.write_bytes(data[:1024] + b"x" * 512 + data[1536:])
    refused(archive, "breaks off, or a header is damaged")


@pytest.mark.parametrize("suffix", ["zip", "tar.gz", "tar.xz", "tar.bz2"])
def test_a_flipped_bit_is_told(tmp_path, refused, suffix):
    archive = pack(tmp_path / f"a.{suffix}", FILES)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    refused(archive, "damaged archive")


def test_the_checksum_of_gzip_is_checked(tmp_path, refused):
    archive = pack(tmp_path / "a.tgz", FILES)
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1
    archive.write_bytes(data)
    refused(archive, "damaged archive.*CRC")


def test_an_archive_without_files_is_told(tmp_path, refused):
    refused(pack(tmp_path / "a.zip", {}), "found no file in it")
    refused(pack(tmp_path / "b.tar", {"._x": b"1"}, folders=["set"]), "found no file in it")


def test_a_missing_archive_is_told(tmp_path, refused):
    refused(tmp_path / "a.zip", "No such file")


@pytest.mark.parametrize("name", ["a.7z", "a.rar", "A.RAR"])
def test_archives_for_other_programs_are_told(tmp_path, store, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"unpack it by hand into a folder [aA] beside it"):
        unpack(tmp_path / name, store, say=silent)
    assert archives(tmp_path) == [tmp_path / name]
    (tmp_path / name[0]).mkdir()
    assert archives(tmp_path) == []


@pytest.mark.parametrize("name", ["a.txt", "zip", ".zip", "..zip", ".a.zip"])
def test_a_name_that_is_no_archives_is_told(tmp_path, store, name):
    with pytest.raises(DataError, match="no archive's name"):
        unpack(pack(tmp_path / "x.zip", FILES).rename(tmp_path / name), store, say=silent)
    assert not store.exists()


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
        "import resource, sys\nfrom pathlib import Path\nfrom workflow.data.unpack import unpack\n"
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
    "import sys\nfrom pathlib import Path\nfrom workflow.data.unpack import unpack\n"
    "unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
)


def test_a_killed_unpacking_leaves_a_temporary_folder_that_the_next_removes(tmp_path, store, repo):
    archive = pack(tmp_path / "a.zip", FILES)
    program = (
        "import os, signal\nimport workflow.data.unpack as module\n"
        "module.Progress.add = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
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

    monkeypatch.setattr(module.Progress, "add", interrupt)
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
