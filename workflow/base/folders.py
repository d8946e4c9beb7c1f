"""A folder of files that appears whole or not at all, as a file does by `workflow.base.files`."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_folder(final: Path, lone: str | None = None) -> Iterator[Path]:
    """Give a folder beside `final` to write to, and put it in the place of `final` at the end.

    If the body raises, `final` stays as it was.

    Args:
        final: the folder to make or to replace.
        lone: how the temporary folder is named by a caller that keeps other processes away, so
            that `remove_leftovers` finds it after a kill. Otherwise each process has its own.
    """
    temporary, old = _beside(final, lone)
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


def remove_leftovers(final: Path, lone: str) -> None:
    """Remove what a killed `replacing_folder` of the same arguments has left beside `final`."""
    for leftover in _beside(final, lone):
        shutil.rmtree(leftover, ignore_errors=True)


def _beside(final: Path, lone: str | None) -> tuple[Path, Path]:
    """Where the new folder is written, and where the old one is while they change places."""
    new, old = (lone, "old") if lone else (f"{os.getpid()}.new", f"{os.getpid()}.old")
    return final.with_name(f".{final.name}.{new}"), final.with_name(f".{final.name}.{old}")
