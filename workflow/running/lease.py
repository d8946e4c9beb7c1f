"""A GPU of its own for each job on a workstation that has several.

Snakemake starts as many jobs as there are processors and tells none of them which GPU to take. So
a job first takes the lock of a free one, which it holds until it ends, however it ends: the kernel
then gives the lock back. Two Snakemakes on one machine share the locks, and so never a GPU. Inside
a Slurm job nothing is done: Slurm has handed out the GPUs. Imports next to nothing.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path

# The steps that compute on a GPU.
ON_GPU = {
    "workflow.training.train",
    "workflow.training.pretraining.pretrain",
    "workflow.evaluation.evaluate",
}
VISIBLE = "CUDA_VISIBLE_DEVICES"
# How many jobs may share a GPU, for one that has room.
SHARED_BY = "RESFORMER_JOBS_PER_GPU"
SECONDS_BETWEEN_TRIES = 0.2


def needs_lease(module: str, arguments: Sequence[str]) -> bool:
    """Whether a step will take a GPU that other jobs of this machine may want."""
    if module not in ON_GPU or os.environ.get("SLURM_JOB_ID"):
        return False
    try:
        config = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError):
        return False  # the step itself says what is wrong with it
    return config.get("training", {}).get("device") != "cpu"


def devices(environment: MutableMapping[str, str]) -> list[str]:
    """The GPUs that jobs may take: those the user has chosen, or all there are."""
    if VISIBLE in environment:
        return [name.strip() for name in environment[VISIBLE].split(",") if name.strip()]
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split()


def lease(environment: MutableMapping[str, str], folder: Path | None = None) -> int | None:
    """Wait for a free GPU and make it the only one that is visible.

    Args:
        environment: the environment of the job; its choice of GPUs is read, and replaced by the
            one.
        folder: the folder of the locks; one per user and machine by default.

    Returns:
        The open file whose lock is the lease: it lasts until all processes that hold the file have
        ended. None where there is no GPU.
    """
    found = devices(environment)
    if not found:
        return None
    folder = folder or Path(tempfile.gettempdir()) / f"resformer-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    slots = [(n, name) for n in range(_shared_by(environment)) for name in found]
    while True:
        # A GPU is shared only when all have a job.
        for slot, name in slots:
            if (held := _lock(folder / f"{name.replace('/', '_')}.{slot}")) is not None:
                environment[VISIBLE] = name
                return held
        time.sleep(SECONDS_BETWEEN_TRIES)


def _shared_by(environment: MutableMapping[str, str]) -> int:
    given = environment.get(SHARED_BY, "1")
    if not given.isdigit() or int(given) < 1:
        sys.exit(f"{SHARED_BY}: found {given!r}, expected a number of jobs, at least 1")
    return int(given)


def _lock(file: Path) -> int | None:
    """An open file with its lock; None if another process has it."""
    held = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    os.set_inheritable(held, True)  # the step that this process becomes goes on holding it
    return held
