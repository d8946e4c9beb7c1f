"""Zip archives that are the same byte for byte whenever their members are."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from workflow.base.files import replacing

# A fixed date and origin, because a zip entry otherwise carries the time and system of writing.
_DATE = (2017, 1, 1, 0, 0, 0)
_UNIX = 3
_REGULAR_FILE = 0o100644 << 16


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip archive, whole or not at all, whose bytes depend on its members alone.

    Members are stored, not compressed: JPEG and PNG would not shrink, and the bytes then do not
    depend on the zlib version.

    Args:
        path: the archive.
        members: (name inside the archive, content), consumed one at a time, so that a generator
            keeps memory small.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name, date_time=_DATE)
            entry.create_system = _UNIX
            entry.external_attr = _REGULAR_FILE
            archive.writestr(entry, content, compress_type=zipfile.ZIP_STORED)
