"""The raw files of a source: where they lie, what they are called, and whether they changed.

A raw file is called by the root it lies below and its path from there (`given/ISIC_1.jpg`), so
that moving the data changes no name. Files of the user are watched: a content that changed makes
everything anew that rests on it, while a copy or a touch, which changes times only, makes nothing
anew. Imports next to nothing, because the DAG is built with it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workflow.base.digests import condition, record_json
from workflow.base.files import read_json, sha256
from workflow.config import paths
from workflow.config.model import Config
from workflow.config.sources import SOURCES

# What file systems and archives of a Mac add.
IGNORED = ("__MACOSX",)


class Stat(NamedTuple):
    """What can be known of a file without reading it."""

    bytes: int
    mtime_ns: int


def raw_roots(config: Config, source: str) -> dict[str, Path]:
    """Root name -> folder or file, of a public source or of a data set of source `folder`."""
    if source in config.datasets and (layout := config.datasets[source].folder):
        named = {"images": layout.images, "masks": layout.masks, "labels": layout.labels}
        return {name: Path(path) for name, path in named.items() if path}
    given, unpacked = paths.raw_roots(config, source)
    return {"given": given, "unpacked": unpacked}


def find_files(root: Path) -> Iterator[tuple[Path, Stat]]:
    """Every file below a root (or the root itself, if it is one), in a fixed order.

    Links are followed, none of them twice; folders that may not be listed count as empty.
    """
    if root.is_file():
        found = root.stat()
        yield root, Stat(found.st_size, found.st_mtime_ns)
    elif root.is_dir():
        yield from _below(root, set())


def _below(folder: Path, visited: set[tuple[int, int]]) -> Iterator[tuple[Path, Stat]]:
    found = folder.stat()
    if (found.st_dev, found.st_ino) in visited:
        return
    visited.add((found.st_dev, found.st_ino))
    try:
        with os.scandir(folder) as entries:
            kept = [e for e in entries if not e.name.startswith(".") and e.name not in IGNORED]
    except PermissionError:
        return
    for entry in sorted(kept, key=lambda e: e.name):
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself is neither
            continue
        if is_folder:
            yield from _below(folder / entry.name, visited)
        elif is_file:
            found = entry.stat()
            yield folder / entry.name, Stat(found.st_size, found.st_mtime_ns)


def name_of(label: str, root: Path, file: Path) -> str:
    """What a raw file is called, below a named root."""
    return label if file == root else f"{label}/{file.relative_to(root).as_posix()}"


def watched(config: Config, source: str) -> dict[str, Path]:
    """The roots whose files are the user's, and so may change behind the workflow's back."""
    roots = raw_roots(config, source)
    if "given" not in roots:
        return roots
    if config.data.origin == "local" and config.given_dir(source):
        return {"given": roots["given"]}
    return {}


def state(config: Config, source: str) -> str:
    """A word that changes when, and only when, the content of the user's raw files does.

    Sizes and times are compared with those of when the files were last hashed; a file whose time
    alone has changed is hashed again. Before the first hashing the word is `new`.
    """
    seen_file = paths.seen(config, source)
    seen = _read_seen(seen_file)
    if seen is None:
        return "new"
    known: dict[str, list[int | str]] = seen["files"]
    now = {
        name_of(label, root, file): (file, stat)
        for label, root in watched(config, source).items()
        for file, stat in find_files(root)
    }
    if not now:
        return str(seen["state"])  # gone, not changed: whatever needs them will say so
    fresh = {
        name: known[name] if known.get(name, [])[:2] == [*stat] else [*stat, sha256(file)]
        for name, (file, stat) in now.items()
    }
    if fresh == known:
        return str(seen["state"])
    if {name: entry[2] for name, entry in fresh.items()} != {n: e[2] for n, e in known.items()}:
        seen["state"] = hashlib.sha256(repr(sorted(fresh.items())).encode()).hexdigest()[:16]
    record_json(seen_file, {"state": seen["state"], "files": fresh})
    return str(seen["state"])


def remember(config: Config, source: str, hashed: dict[str, list[int | str]]) -> None:
    """Note the sizes, times and hashes of the user's raw files, as `state` compares them."""
    seen_file = paths.seen(config, source)
    seen = _read_seen(seen_file)
    word = seen["state"] if seen else "new"
    record_json(seen_file, {"state": word, "files": hashed})


def _read_seen(file: Path) -> dict[str, Any] | None:
    """What was noted of raw files; None where nothing was, or the note is damaged.

    A note that is lost makes nothing anew unless the files had changed before.
    """
    if condition(file) in ("missing", "damaged"):
        return None
    try:
        return read_json(file)
    except ValueError:
        return None


def missing(config: Config, sources: Iterable[str]) -> str:
    """What to do where raw files of some sources are needed that nobody gave; empty elsewhere."""
    lines = [
        f"{root}: not there, and {about.title} is needed.\n{about.how_to_get}"
        for source in sorted(sources)
        if (about := SOURCES.get(source)) and not config.demo and not about.downloaded
        if not (root := paths.raw_dir(config, source)).exists()
    ]
    return "\n".join(lines)
