"""Raw files made ready: archives unpacked, every file hashed once, and all of them listed.

The listing is what everything after rests on: a name and a SHA-256 for each raw file.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import yaml

from workflow.base.digests import record_json
from workflow.base.errors import DataError
from workflow.base.files import read_yaml, sha256
from workflow.base.workers import WorkProgress, each, usable_threads
from workflow.config import paths
from workflow.config.model import Config
from workflow.data.fetching.unpack import archives, unpack
from workflow.running.raw_files import Stat, find_files, name_of, raw_roots, remember, watched


def list_raw(config: Config, source: str, say: Callable[[str], None] = print) -> None:
    """Unpack the archives of a source, and write the list of its raw files.

    Raises:
        DataError: a folder is not there, or an archive is damaged, unsafe or not the one on record.
    """
    roots = raw_roots(config, source)
    for label, root in watched(config, source).items():
        kind, right = ("file", root.is_file()) if label == "labels" else ("folder", root.is_dir())
        if not right:
            found = f"is not a {kind}" if root.exists() else "does not exist"
            raise DataError(
                f"{_key(source, label)}: found {root}, which {found}; expected the {kind} with the "
                f"{'labels' if label == 'labels' else 'raw files'}. Correct the path"
            )
    try:
        paths.store(config, source).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"data.store: found {config.data.store}, where nothing can be written "
            f"({error.strerror}); expected a folder. Correct the path, or its permissions"
        ) from error
    if "given" in roots:
        sums = recorded_sums(config, source)
        for archive in archives(roots["given"]):
            _check_sum(archive, sums, source)
            unpack(archive, roots["unpacked"], say=say)
    found = [
        (name_of(label, root, file), file, stat)
        for label, root in roots.items()
        for file, stat in find_files(root)
    ]
    progress = WorkProgress(f"hash {source}", len(found), "files", say)

    def digest(entry: tuple[str, Path, Stat]) -> str:
        progress.add(1)
        return sha256(entry[1])

    digests = list(each(digest, found, usable_threads(config.data.threads)))
    progress.end()
    known = zip(found, digests, strict=True)
    listed = {name: {"bytes": stat.bytes, "sha256": sum_} for (name, _, stat), sum_ in known}
    record_json(paths.listing(config, source), {"source": source, "files": listed})
    mine = tuple(watched(config, source))
    if mine:
        remember(
            config,
            source,
            {
                name: [*stat, listed[name]["sha256"]]
                for name, _, stat in found
                if name.split("/")[0] in mine
            },
        )


def recorded_sums(config: Config, source: str) -> dict[str, str]:
    """File name -> MD5 of the files on record; empty where nothing is."""
    record = config.archives_record(source)
    if record is None or config.data.origin == "phantom":
        return {}
    try:
        files = read_yaml(Path(record))["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{record}: cannot be read as a record with `files` (name: MD5, or {{}}). Restore the "
            f"file, or set data.{source}_record to null"
        ) from error


def _check_sum(archive: Path, sums: dict[str, str], source: str) -> None:
    expected = sums.get(archive.name)
    if expected is None:
        return
    with archive.open("rb") as stream:
        found = hashlib.file_digest(stream, "md5").hexdigest()
    if found != expected:
        raise DataError(
            f"{archive}: found MD5 {found}, on record {expected}. Fetch it again; if it is meant "
            f"to differ, set data.{source}_record to a record of its own, or to null"
        )


def _key(source: str, label: str) -> str:
    return f"data.{source}_dir" if label == "given" else f"datasets.{source}.folder.{label}"
