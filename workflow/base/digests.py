"""What is read is what was written: beside each output lies its SHA-256, and readers compare.

A disk, a copy or a cable may change a bit and keep the time of change, so that nobody notices.
`recorded` writes a file and, beside it, `.NAME.sha256`, in the format of `sha256sum --check`;
`reading` gives the file to read once its content is what was written. A folder that appears whole
has one list of all its files. What has no digest beside it (a file of an earlier version, or one
that was put there by hand) is read as it is.

A process may be killed between two files. So the old digest goes first and the new one comes last:
in between there is none, which is no damage.
"""

import errno
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from workflow.base.errors import DataError
from workflow.base.files import (
    link_or_copy,
    read_csv,
    read_json,
    replacing,
    sha256,
    write_json,
    write_text,
)

Condition = Literal["good", "damaged", "missing", "unknown"]
SUFFIX = ".sha256"
# What readers raise of content that is not what they expect, and no fault of the machine.
UNREADABLE = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error)
# Of the machine, not of the file.
SHORTAGES = (errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
# Path -> what was seen of a file when it was found to be good, so that it is read through once.
_seen: dict[Path, tuple[int, int, int]] = {}


def digest_file(path: Path) -> Path:
    """Where the digest of a file lies, or the list of a folder's."""
    return path.with_name(f".{path.name}{SUFFIX}")


@contextmanager
def recorded(path: Path) -> Iterator[Path]:
    """As `replacing`, and the digest of what was written is put beside it."""
    with replacing(path) as temporary:
        yield temporary
        digest = sha256(temporary)
        digest_file(path).unlink(missing_ok=True)
    _record(path, digest)


def link_recorded(file: Path, target: Path) -> None:
    """Put an output into another place as well, with what was recorded of it.

    Raises:
        DataError: the file is damaged, or not there.
    """
    digest = recorded_digests(intact(file)).get(file)
    with replacing(target) as temporary:
        link_or_copy(file, temporary)
        digest_file(target).unlink(missing_ok=True)
    _record(target, sha256(target) if digest is None else digest)


def _record(path: Path, digest: str) -> None:
    """Put the digest of a file beside it; this process need not read what it has just written."""
    _seen[path] = _look(path)
    write_text(digest_file(path), f"{digest}  {path.name}\n")


def record_text(path: Path, text: str) -> None:
    """Write UTF-8 text, and its digest."""
    with recorded(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def record_json(path: Path, value: Any) -> None:
    """Write JSON, and its digest."""
    with recorded(path) as temporary:
        write_json(temporary, value)


def record_folder(folder: Path) -> None:
    """Put a list of the digests of all files of a folder beside it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [f"{sha256(file)}  {file.relative_to(folder.parent).as_posix()}\n" for file in files]
    write_text(digest_file(folder), "".join(lines))


def recorded_digests(path: Path) -> dict[Path, str]:
    """File -> the digest that was recorded of it, of a file or of all files of a folder.

    Empty where nothing was recorded. A line that is none, because the record itself is damaged,
    has a digest that no file has.
    """
    try:
        text = digest_file(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = [line.partition("  ") for line in text.splitlines()]
    of_folder = path.is_dir() or any(name.startswith(f"{path.name}/") for _, _, name in lines)
    if not of_folder:
        return {path: lines[0][0] if len(lines) == 1 and lines[0][2] == path.name else ""}
    return {path.parent / name: digest for digest, _, name in lines}


def recorded_digest(path: Path) -> str:
    """The digest of a file that `recorded` has just written."""
    return recorded_digests(path)[path]


def condition(path: Path, digest: str | None = None) -> Condition:
    """Whether a file is what was written.

    Args:
        path: the file.
        digest: what was recorded of it; None looks beside it.

    Returns:
        `unknown` where nothing was recorded of it.
    """
    if not path.is_file():
        return "missing"
    known = digest if digest is not None else recorded_digests(path).get(path)
    if known is None:
        return "unknown"
    return "good" if sha256(path) == known else "damaged"


def intact(path: Path) -> Path:
    """The path of an output, once it is found to be what was written.

    Raises:
        DataError: it is damaged, or not there.
    """
    try:
        seen = _look(path)
    except FileNotFoundError:
        raise DataError(f"{path}: not there: {make_again(path)}") from None
    if _seen.get(path) != seen:
        # Once more where it seems to be damaged: it may just be in the middle of being replaced.
        if condition(path) == "damaged" and condition(path) == "damaged":
            raise damaged(path, f"its content is not what was written, by {digest_file(path)}")
        _seen[path] = seen
    return path


def _look(path: Path) -> tuple[int, int, int]:
    """What can be seen of a file without reading it."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Give the path of an output to read, once it is found to be what was written.

    Raises:
        DataError: it is damaged or not there, or the body cannot make sense of it.
    """
    intact(path)
    try:
        yield path
    except (DataError, MemoryError):
        raise
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno in SHORTAGES:
            raise
        raise damaged(path, f"cannot be read: {error or type(error).__name__}") from error


def damaged(path: Path, what: str) -> DataError:
    """The one message of a damaged output: which file, what is wrong, what to do."""
    return DataError(f"{path}: damaged ({' '.join(what.split())}). Delete it: {make_again(path)}")


def make_again(path: Path) -> str:
    """How an output is made again."""
    return f"your snakemake command with `-- {path}` at its end makes it again"


def read_recorded_json(path: Path) -> Any:
    """The JSON of an output; see `reading`."""
    with reading(path):
        return read_json(path)


def read_recorded_csv(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file that is an output, as column -> text; see `reading`."""
    with reading(path):
        return read_csv(path)
