"""A folder of files that appears whole or not at all, as a file does by `workflow.base.files`."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_folder(final: Path) -> Iterator[Path]:
    """Give a folder beside `final` to write to, and put it in the place of `final` at the end.

    If the body raises, `final` stays as it was.
    """
    temporary, old = (final.with_name(f".{final.name}.{os.getpid()}.{x}") for x in ("new", "old"))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if final.exists():
            final.rename(old)
        temporary.rename(final)
    finally:
        if old.exists() and not final.exists():
            old.rename(final)
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)
