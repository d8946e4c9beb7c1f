"""The members of zip and tar archives, listed alike, with bounded memory whatever they hold."""

import bz2
import copy
import gzip
import lzma
import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

ZIP = (".zip",)
TAR: dict[str, Callable[[Any], Any]] = {
    ".tar": lambda stream: stream,
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
}
# Archives that only other programs can unpack.
FOREIGN = (".7z", ".rar")
# What reading a damaged archive raises; OSError is for the caller to tell from a failing disk.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
    RecursionError,
)
# Unicode's categories of control and format characters, broken ones, and ends of lines.
UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")
CHUNK = 1 << 20
# No header is as long as this, and no more is ever read at a time.
LARGEST_READ = 16 << 20
# After the last member: two empty blocks, and padding to the length of a tape's record.
LARGEST_PADDING = 64 << 20


class Refused(Exception):
    """A member that is not unpacked; the message says why."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"member {member!r}: {reason}")


class Member(NamedTuple):
    """What an archive says of one of its members.

    Attributes:
        name: the member's name as it is in the archive.
        folder: whether it is a folder; else it is a plain file.
        size: bytes of the file.
        packed: bytes that it takes in the archive; None where it is not packed by itself.
        open: gives its bytes, and at most one more than `size` if there are more.
    """

    name: str
    folder: bool
    size: int
    packed: int | None
    open: Callable[[], IO[bytes]]


def suffix_of(archive: Path) -> str:
    """The suffix that makes a file an archive, in lower case; empty where it has none."""
    known = (*ZIP, *TAR, *FOREIGN)
    return next((s for s in known if archive.name.lower().endswith(s)), "")


def stem_of(archive: Path) -> str:
    """An archive's name without its suffix."""
    return archive.name[: -len(suffix_of(archive))]


def path_of(name: str) -> PurePosixPath:
    """Where a member belongs below the folder it is unpacked into.

    Raises:
        Refused: it would be elsewhere, or not on every system in the same place.
    """
    if any(unicodedata.category(letter) in UNSHOWN for letter in name):
        raise Refused(name, "has control characters in its name, or is not in UTF-8")
    if "\\" in name:
        raise Refused(name, "has a backslash in its name")
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        raise Refused(name, "has an absolute path")
    if ".." in name.split("/"):
        raise Refused(name, "has a path that leads out of the folder")
    if max(len(part.encode()) for part in name.split("/")) > 255 or len(name.encode()) > 1024:
        raise Refused(name, "has too long a name")
    return PurePosixPath(name)


def is_shadow(path: PurePosixPath) -> bool:
    """Whether it is one of the files that macOS adds to what it packs."""
    return any(part == "__MACOSX" or part.startswith("._") for part in path.parts)


@contextmanager
def opened(archive: Path) -> Iterator[Iterator[Member]]:
    """Give the members of an archive, in its order; they may be opened until the end.

    Raises:
        Refused: on the way, at a member that is encrypted, or neither a plain file nor a folder.
        Any of DAMAGED, OSError: at once or on the way, where the archive cannot be read.
    """
    with archive.open("rb") as stream:
        if suffix_of(archive) in ZIP:
            with zipfile.ZipFile(stream) as file:
                yield _zip_members(file, archive.stat().st_size)
        else:
            bounded = _Bounded(TAR[suffix_of(archive)](stream))
            with tarfile.TarFile(fileobj=cast(IO[bytes], bounded)) as file:
                yield _tar_members(file, bounded)


def _zip_members(file: zipfile.ZipFile, length: int) -> Iterator[Member]:
    if sum(info.compress_size for info in file.infolist()) > length:
        raise zipfile.BadZipFile("its members overlap")
    for info in file.infolist():
        # `filename` ends at the first NUL.
        name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
        if info.flag_bits & 0x2041:
            raise Refused(name, "is encrypted")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(name, f"is {_KINDS.get(kind, 'no plain file')}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Python's readers of other methods unpack any amount at once.
            raise Refused(name, f"is packed by method {info.compress_type}, not stored or deflated")
        folder = name.endswith("/") or kind == stat.S_IFDIR
        # One byte more is asked for, so that one that is there shows.
        probe = copy.copy(info)
        probe.file_size += 1
        yield Member(
            name, folder, info.file_size, info.compress_size, lambda probe=probe: file.open(probe)
        )


_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class _Bounded:
    """A stream for tarfile, which would read headers of any length at once.

    Attributes:
        last: what was read last.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.last = stream, b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int) -> int:
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


def _tar_members(file: tarfile.TarFile, stream: _Bounded) -> Iterator[Member]:
    for info in file:
        if info.size < 0:
            raise tarfile.ReadError(f"a member of {info.size:,} bytes")
        if info.issparse() or not (info.isreg() or info.isdir()):
            raise Refused(info.name, f"is {_TAR_KINDS.get(info.type, 'no plain file')}")
        yield Member(
            info.name,
            info.isdir(),
            0 if info.isdir() else info.size,
            None,
            lambda info=info: cast(IO[bytes], file.extractfile(info)),
        )
    # tarfile takes any header that it cannot read for the end; the end is an empty block.
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off, or a header is damaged")
    padding = 0
    # To the very end, where gzip has the checksum of everything.
    while block := stream.read(CHUNK):
        padding += len(block)
        if padding > LARGEST_PADDING:
            raise tarfile.ReadError("it goes on after its end")


_TAR_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a file with holes",
}
