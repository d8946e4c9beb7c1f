"""Archives of raw files unpacked: whole or not at all, and only into the folder they are given.

An archive is listed and checked to its end before a byte is written, and what the header of a
member promises bounds what is written of it. Nothing but plain files and folders is made, none of
them executable. What macOS adds (`__MACOSX`, `._*`) is left out.
"""

import errno
import math
import os
import shutil
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workflow.base.errors import DataError
from workflow.base.files import read_json, write_json
from workflow.base.folders import remove_leftovers, replacing_folder
from workflow.base.workers import Progress
from workflow.data.exclusive import locked
from workflow.data.fetching.archive_members import (
    CHUNK,
    DAMAGED,
    FOREIGN,
    Member,
    Refused,
    is_shadow,
    opened,
    path_of,
    stem_of,
    suffix_of,
)

# In an unpacked folder: the archive that it was unpacked from.
STAMP = ".unpacked.json"
# How the name of a folder ends into which an archive is being unpacked.
UNFINISHED = "unpacking"
MEGABYTE = 10**6
# Folders between a root and an archive, at most.
DEPTH = 2
# Of what a library says of a damaged archive.
LONGEST_CAUSE = 200
ADVICE = "Nothing was unpacked. Fetch the archive again"
UNUSUAL = f"{ADVICE}; if it is meant to be so, unpack it by hand, and keep only the folder"


@dataclass(frozen=True)
class Limits:
    """What an archive may be; more than that is refused as a mistake or an attack.

    Attributes:
        members: files and folders.
        total: bytes of all files.
        ratio: bytes of a member to its bytes in the archive (of all members, where they are packed
            as one). Deflated zeros have 1030.
        unsuspicious: bytes that a member may have whatever its ratio; masks may be all zeros.
    """

    members: int = 100_000
    total: int = 200 * 10**9
    ratio: float = 1000
    unsuspicious: int = 256 * 10**6


USUAL = Limits()


def archives(root: Path) -> list[Path]:
    """The archives in a folder and up to two folders below it, sorted; hidden ones do not count.

    Left out are those that lie unpacked beside themselves: all their top-level members do, or are
    in a folder of the archive's name. Of a .7z or .rar, that folder is enough.

    Raises:
        DataError: two would be unpacked into the same folder.
    """
    found: dict[str, Path] = {}
    for archive in sorted(_find(root, DEPTH)):
        if _lies_unpacked(archive):
            continue
        other = found.setdefault(stem_of(archive).casefold(), archive)
        if not other.samefile(archive):
            raise DataError(
                f"{archive}: would be unpacked into the same folder as {other}; remove one of "
                "them, or give it another name"
            )
    return list(found.values())


def _find(folder: Path, depth: int) -> Iterator[Path]:
    try:
        paths = [*folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # nothing there, or somebody else's, such as lost+found
    for path in paths:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if depth:
                yield from _find(path, depth - 1)
        elif suffix_of(path) and path.is_file():
            yield path


def _lies_unpacked(archive: Path) -> bool:
    own = archive.parent / stem_of(archive)
    if suffix_of(archive) in FOREIGN:
        return own.is_dir()
    places, empty = [archive.parent, own], True
    try:
        with opened(archive) as members:
            for member in members:
                path = path_of(member.name)
                if path.parts and not is_shadow(path):
                    places = [place for place in places if (place / path.parts[0]).exists()]
                    empty = False
                if not places:
                    return False
    except (Refused, OSError, *DAMAGED):
        return False  # `unpack` says what is wrong with it
    return not empty


def unpack(
    archive: Path,
    folder: Path,
    *,
    limits: Limits = USUAL,
    say: Callable[[str], None] = print,
) -> Path:
    """Unpack a zip or tar archive into `folder/<its name without suffix>`, and give that folder.

    Nothing is done if it was unpacked before and has not changed since (by name, size and time of
    the last change); the files of a changed one take the place of the old ones.

    Args:
        archive: .zip, or .tar, also compressed by gzip, xz or bzip2.
        folder: made if it is not there.
        limits: what the archive may be.
        say: takes each line of progress.

    Raises:
        DataError: the archive is damaged, or holds what is not unpacked; or there is no space.
    """
    if suffix_of(archive) in FOREIGN:
        raise DataError(
            f"{archive}: {suffix_of(archive)} archives are not unpacked here; unpack it by hand "
            f"into a folder {stem_of(archive)} beside it, or pack its files as .zip"
        )
    if not suffix_of(archive) or archive.name.startswith("."):
        raise DataError(
            f"{archive}: found no archive's name; expected .zip, .tar, .tar.gz or alike"
        )
    target = folder / stem_of(archive)
    with locked(folder, say):
        remove_leftovers(target, UNFINISHED)
        stamp = _stamp_of(archive)
        if target.exists():
            found = _read_stamp(target)
            if found == stamp:
                return target
            if found is None:
                raise DataError(
                    f"{target}: found a folder that was not unpacked from an archive, where "
                    f"{archive} would go; move one of them away"
                )
        with replacing_folder(target, UNFINISHED) as temporary:
            _extract(archive, temporary, limits, say)
            write_json(temporary / STAMP, stamp)
    return target


def _stamp_of(archive: Path) -> dict[str, Any]:
    try:
        status = archive.stat()
    except OSError as error:
        raise DataError(f"{archive}: {error.strerror}; expected an archive") from error
    return {"archive": archive.name, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _read_stamp(target: Path) -> Any:
    """What a folder was unpacked from; None if nothing says so."""
    try:
        return read_json(target / STAMP)
    except (OSError, ValueError):
        return None


def _extract(archive: Path, temporary: Path, limits: Limits, say: Callable[[str], None]) -> None:
    """Write the members of an archive into an empty folder."""
    say(f"unpack {archive.name}: checking its members")
    try:
        with opened(archive) as members:
            wanted = _checked(members, archive.stat().st_size, limits)
            total = sum(member.size for member in wanted.values())
            if (free := shutil.disk_usage(temporary.parent).free) < total:
                raise DataError(
                    f"{archive}: unpacks to {total / 1e9:.1f} GB, but {temporary.parent.resolve()} "
                    f"has {free / 1e9:.1f} GB of free space; free some, or set data.store to "
                    "another disk"
                )
            if all(member.folder for member in wanted.values()):
                raise DataError(f"{archive}: found no file in it. {ADVICE}")
            temporary.chmod(temporary.stat().st_mode & 0o755)  # only its owner writes to it
            _write_all(wanted, temporary, say, f"unpack {archive.name}")
    except DataError:
        raise
    except Refused as error:
        raise DataError(f"{archive}: {error}. {UNUSUAL}") from error
    except DAMAGED as error:
        raise DataError(
            f"{archive}: found a damaged archive, or none ({_shortened(error)}). {ADVICE}"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"{archive}: no space is left in {temporary.parent.resolve()}; free some"
            ) from error
        # The readers of gzip and bzip2 raise it, without a number, for damaged data.
        if error.errno in (None, errno.EINVAL):
            raise DataError(
                f"{archive}: found a damaged archive ({_shortened(error)}). {ADVICE}"
            ) from error
        raise DataError(
            f"{error.filename or archive}: {error.strerror}; {archive} was not unpacked"
        ) from error


def _checked(members: Iterable[Member], packed: int, limits: Limits) -> dict[PurePosixPath, Member]:
    """Where each member goes; `packed` is the bytes of the archive.

    Raises:
        Refused: a member would be unsafe, or exceeds a limit.
    """
    wanted: dict[PurePosixPath, Member] = {}
    # Name as a file system without capitals has it -> (name, whether it is a folder).
    taken: dict[str, tuple[PurePosixPath, bool]] = {}
    total = count = 0
    for member in members:
        count, total = count + 1, total + member.size
        path = path_of(member.name)
        if count > limits.members:
            raise Refused(member.name, f"is one more than the {limits.members:,} allowed")
        if total > limits.total:
            raise Refused(
                member.name,
                f"brings the archive to {total:,} bytes unpacked; allowed are {limits.total:,}",
            )
        size, of = (total, packed) if member.packed is None else (member.size, member.packed)
        if size > limits.unsuspicious and size > limits.ratio * of:
            raise Refused(
                member.name,
                f"unpacks {of:,} bytes to {size:,}; allowed are {limits.ratio:g} times as many",
            )
        if member.folder and member.size:
            raise Refused(member.name, f"is a folder, but has {member.size:,} bytes of its own")
        if not path.parts:
            if not member.folder:
                raise Refused(member.name, "has no name")
            continue
        if path in wanted:
            raise Refused(member.name, "is there twice")
        if str(path).casefold() == STAMP:
            raise Refused(member.name, "has the name of the note that unpacking leaves")
        for above in _above(path):
            _take(taken, member.name, above, folder=True)
        _take(taken, member.name, path, folder=member.folder)
        wanted[path] = member
    return {path: member for path, member in wanted.items() if not is_shadow(path)}


def _above(path: PurePosixPath) -> list[PurePosixPath]:
    """The folders that a member is in, outermost first."""
    return [*path.parents][-2::-1]


def _take(
    taken: dict[str, tuple[PurePosixPath, bool]], name: str, path: PurePosixPath, *, folder: bool
) -> None:
    """Note that a path is used, by the member of a name."""
    key = unicodedata.normalize("NFC", str(path)).casefold()
    known, known_folder = taken.setdefault(key, (path, folder))
    if known != path:
        raise Refused(name, f"differs from {str(known)!r} only in what some file systems ignore")
    if known_folder != folder:
        raise Refused(name, f"needs {str(path)!r} both as a file and as a folder")


def _write_all(
    wanted: dict[PurePosixPath, Member], root: Path, say: Callable[[str], None], title: str
) -> None:
    """Write files and folders, each file with the bytes that its header promises."""
    total = math.ceil(sum(member.size for member in wanted.values()) / MEGABYTE)
    progress, written, told = Progress(title, total, "MB", say), 0, 0
    for path, member in wanted.items():
        for folder in [*_above(path), *([path] if member.folder else [])]:
            (root / folder).mkdir(mode=0o755, exist_ok=True)
        if member.folder:
            continue
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        end = written + member.size
        with os.fdopen(os.open(root / path, flags, 0o644), "wb") as out, member.open() as source:
            while block := source.read(CHUNK):
                written += len(block)
                if written > end:
                    break
                out.write(block)
                progress.add(written // MEGABYTE - told)
                told = written // MEGABYTE
        if written != end:
            raise EOFError(f"{member.name!r} has more or fewer bytes than its header says")
    progress.end()


def _shortened(error: BaseException) -> str:
    """What a library says, without the kilobytes of a damaged archive that it may quote."""
    return textwrap.shorten(str(error), LONGEST_CAUSE, placeholder=" ...")
