"""Archives that are unsafe, damaged or none: each is refused, and nothing is left behind."""

import lzma
import random
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib

import pytest

from tests.workflow.data.fetching.packing import (
    FILES,
    MODES,
    SUFFIXES,
    add,
    pack,
    refused,
    silent,
    store,
)
from workflow.base.errors import DataError
from workflow.data.fetching import unpack as module
from workflow.data.fetching.unpack import Limits, archives, unpack

__all__ = ["refused", "store"]  # fixtures


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
    from workflow.data.fetching import archive_members

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
