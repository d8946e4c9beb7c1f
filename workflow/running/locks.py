"""A killed Snakemake leaves its lock behind; starting it again should not need an expert.

Snakemake's lock does not say whose it is. So a starting run writes down its host and process, and
the next one removes the lock if, and only if, that process was on this host and is gone.
"""

import shutil
import socket
from pathlib import Path

import psutil

from workflow.base.files import read_json, write_json

LOCKS = Path(".snakemake/locks")
OWNER = Path(".snakemake/owner.json")


def record_owner() -> None:
    """Write down that this process runs the workflow."""
    process = psutil.Process()
    write_json(
        OWNER,
        {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()},
    )


def release_stale_lock() -> bool:
    """Remove the lock of a run that was killed on this host; True if there was one."""
    if not (LOCKS.is_dir() and any(LOCKS.iterdir()) and OWNER.is_file()):
        return False
    if max(lock.stat().st_mtime for lock in LOCKS.iterdir()) > OWNER.stat().st_mtime:
        return False  # locked after that run wrote itself down: another has begun since
    owner = read_json(OWNER)
    if owner["host"] != socket.gethostname() or _alive(owner["pid"], owner["started"]):
        return False
    shutil.rmtree(LOCKS)
    return True


def _alive(pid: int, started: float) -> bool:
    """Whether that very process still runs; its number alone may have been given to another."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.NoSuchProcess:
        return False
