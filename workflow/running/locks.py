"""Snakemake's locks, so that several runs may go on in one folder and a killed one is no obstacle.

Snakemake refuses to make files that another Snakemake makes or reads. Its locks do not say whose
they are, the first run that ends removes those of all, and two that start at once do not see each
other. `install` puts locks in their place that name their owner: a run removes its own, and those
whose process was on this host and is gone.
"""

import inspect
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snakemake.exceptions import LockException
from snakemake.logging import logger

from workflow.base.files import write_text
from workflow.running.owners import (
    Owner,
    as_owner,
    end_unseen,
    one_at_a_time,
    this_owner,
)

LOCKS = Path(".snakemake/locks")
# Begins the line of a lock that says whose it is; no file that a rule makes is called so.
OWNED = "#owner "


def install(persistence: Any) -> bool:
    """Have a class of Snakemake's lock in this way; False, and nothing done, if it is another one.

    Args:
        persistence: `FilePersistence` of Snakemake 9.
    """
    known = {
        "lock": ["self"],
        "cleanup_locks": ["self"],
        "_write_locks": ["self", "lock_type", "keys"],
        "_delete_locks": ["self"],
    }
    for name, parameters in known.items():
        theirs = getattr(persistence, name, None)
        if theirs is None or list(inspect.signature(theirs).parameters) != parameters:
            return False
    persistence.lock, persistence.cleanup_locks = _lock, _unlock_by_hand
    persistence._write_locks, persistence._delete_locks = _write_locks, _delete_locks
    return True


def release_stale_locks() -> list[Owner]:
    """Remove the locks of runs that were killed on this host; returns those runs."""
    if not any(_files()):
        return []
    with one_at_a_time():
        return _release()


def _release() -> list[Owner]:
    killed: dict[str, Owner] = {}
    for file in _files():
        owner = _owner(file)
        if owner is not None and owner.standing() == "dead":
            file.unlink(missing_ok=True)
            killed[owner.run] = owner
    return list(killed.values())


def _files() -> list[Path]:
    return sorted(LOCKS.glob("[0-9]*.lock"))


def _owner(file: Path) -> Owner | None:
    """Whose a lock is; None if it does not say."""
    try:
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        return as_owner(json.loads(first.removeprefix(OWNED))) if first.startswith(OWNED) else None
    except (OSError, ValueError):
        return None


@contextmanager
def _lock(self: Any) -> Iterator[None]:
    """Lock what is made and read while the block runs."""
    with one_at_a_time():
        _release()
        if self.locked:
            owners = {_owner(file) for file in _files()} - {None, this_owner()}
            if owners:
                logger.warning(f"Locks are held by {', '.join(sorted(map(str, owners)))}.")
            raise LockException
        self._write_locks("input", (str(file) for file in self.all_inputfiles()))
        self._write_locks("output", (str(file) for file in self.all_outputfiles()))
    try:
        yield
    finally:
        self.unlock()


def _write_locks(self: Any, lock_type: str, keys: Iterable[str]) -> None:
    """Write the lock of one kind, under the first number that is free."""
    keys = list(keys)
    if not keys:
        return
    taken = {file.name for file in _files()}
    number = next(n for n in range(len(taken) + 1) if f"{n}.{lock_type}.lock" not in taken)
    file = LOCKS / f"{number}.{lock_type}.lock"
    write_text(file, "\n".join([OWNED + json.dumps(asdict(this_owner())), *keys, ""]))
    self._lockfile[lock_type] = str(file)


def _delete_locks(self: Any) -> None:
    """Remove this run's locks."""
    for file in self._lockfile.values():
        Path(file).unlink(missing_ok=True)
    self._lockfile.clear()


def _unlock_by_hand(self: Any) -> None:
    """`snakemake --unlock`: remove all locks but those of runs that are seen to go on."""
    with one_at_a_time():
        for file in _files():
            owner = _owner(file)
            if owner is not None and owner.standing() == "alive" and owner != this_owner():
                logger.warning(f"{file}: {owner} goes on, so its lock stays.")
            else:
                file.unlink(missing_ok=True)
        end_unseen()
        self._lockfile.clear()
