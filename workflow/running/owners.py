"""Which runs were started in this folder, by whom, and whether they still go on.

A run is a process of Snakemake that makes something. It writes down here who it is, what it makes
and what its Slurm jobs are called, one file for each run, and takes the file away when it ends. So
several runs may go on in one folder at a time, and what a killed one left is known from what a
living one has. A file that cannot be read says nothing, and stops nobody.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psutil

from workflow.base.errors import ConfigError
from workflow.base.files import read_json, write_json

FOLDER = Path(".snakemake/resformer")
MUTEX = FOLDER / "one-at-a-time"
# Of file systems without locks: there nobody waits.
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
# The start of a process is known as well as the clock of its machine.
SECONDS = 1.0

Standing = Literal["alive", "dead", "elsewhere"]


@dataclass(frozen=True)
class Owner:
    """A process that runs Snakemake.

    Attributes:
        run: the name of its run, which no other has.
        started: when the process was, in seconds since 1970; its number alone may be given anew.
    """

    run: str
    host: str
    user: int
    pid: int
    started: float

    def standing(self) -> Standing:
        """Whether the process goes on; `elsewhere` if that cannot be seen from here."""
        if self.host != socket.gethostname():
            return "elsewhere"
        try:
            same = abs(psutil.Process(self.pid).create_time() - self.started) < SECONDS
        except psutil.NoSuchProcess:
            # Some systems hide the processes of others.
            return "dead" if self.user == os.getuid() else "elsewhere"
        return "alive" if same else "dead"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class OwnedRun:
    """What is written down of a run.

    Attributes:
        results: the folder that it writes to.
        configuration: a digest of what it was asked for.
        jobs: what its Slurm jobs are called; None where it has none.
        ended: whether it has ended, or a person has said so. Its Slurm jobs may be left.
    """

    owner: Owner
    results: str
    configuration: str
    jobs: str | None = None
    ended: bool = False

    def standing(self) -> Standing:
        """Whether the run goes on."""
        return "dead" if self.ended else self.owner.standing()


@cache
def this_owner() -> Owner:
    """This process."""
    process = psutil.Process()
    name = f"{int(process.create_time()):x}-{process.pid:x}-{secrets.token_hex(3)}"
    return Owner(name, socket.gethostname(), os.getuid(), process.pid, process.create_time())


def as_owner(value: Any) -> Owner | None:
    """The owner that was written down as JSON; None if it is none."""
    try:
        found = Owner(**value)
        whole = isinstance(found.pid, int) and isinstance(found.started, int | float)
        return found if whole and isinstance(found.run, str) else None
    except TypeError:
        return None


def records() -> list[OwnedRun]:
    """All runs that are written down here, in the order of their start."""
    found: list[OwnedRun] = []
    for file in FOLDER.glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            value = read_json(file)
            owner = as_owner(value.pop("owner"))
            if owner is not None and owner.run == file.stem:
                found.append(OwnedRun(owner, **value))
    return sorted(found, key=lambda record: record.owner.started)


def begin(results: Path, configuration: Any, jobs: str | None) -> None:
    """Write down that this process runs the workflow.

    Args:
        results: the folder that it writes to.
        configuration: what it was asked for, as plain values.
        jobs: what its Slurm jobs are called; None if it submits none.

    Raises:
        ConfigError: a run goes on that writes to the same folder, and was asked for something else.
    """
    text = json.dumps(configuration, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    mine = OwnedRun(this_owner(), str(results), digest, jobs)
    with one_at_a_time():
        for other in records():
            if other.standing() == "dead" and other.jobs is None:
                forget(other)
            if other.standing() == "dead" or other.results != mine.results:
                continue
            if other.configuration != digest and other.owner != mine.owner:
                since = time.strftime("%d %B %H:%M", time.localtime(other.owner.started))
                raise ConfigError(
                    f"{results}: {other.owner} has written there since {since}, with another "
                    "configuration, which its jobs read there. Wait for it or stop it (Ctrl-C), "
                    "give this one a preset of its own, or, where that process is gone, give the "
                    "command once with --unlock"
                )
        _write(mine)


def end() -> None:
    """Write down that this process has ended its run; its Slurm jobs may take some time more."""
    for record in records():
        if record.owner == this_owner():
            forget(record) if record.jobs is None else _write(replace(record, ended=True))


def forget(record: OwnedRun) -> None:
    """Take the file of a run away, of which nothing is left."""
    (FOLDER / f"{record.owner.run}.json").unlink(missing_ok=True)


def end_unseen() -> None:
    """Take a person's word that all runs have ended that cannot be seen to go on."""
    for record in records():
        if record.standing() == "elsewhere":
            _write(replace(record, ended=True))


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process at a time look at what is written here and write it; others wait."""
    MUTEX.parent.mkdir(parents=True, exist_ok=True)
    with MUTEX.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


def _write(record: OwnedRun) -> None:
    write_json(FOLDER / f"{record.owner.run}.json", asdict(record))
