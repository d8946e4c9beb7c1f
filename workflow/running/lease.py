"""A GPU of its own for each job on a machine, or in an allocation, that has several.

Snakemake starts as many jobs as there are processors and tells none of them which GPU to take. So
a job first takes the lock of a free one, which it holds until it ends, however it ends: the kernel
then gives the lock back. Two Snakemakes on one machine share the locks, and so never a GPU. A job
of Slurm's that was given one GPU has it already; one that was given several, with Snakemake inside
it, hands them out like a machine of its own. Imports next to nothing.
"""

import fcntl
import json
import os
import re
import socket
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
# Where Slurm says which GPUs of a node a step, or a job, was given, if nothing else does.
GIVEN_BY_SLURM = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
# How CUDA is told of a GPU, or of a slice of one; at anything else it stops reading.
DEVICE = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")
# A line of `nvidia-smi -L`: a GPU, or below it a slice of it.
LISTED = re.compile(r"^(?P<gpu>GPU \d+:)?.*\(UUID: (?P<name>(?:GPU|MIG)-[\w/-]+)\)", re.MULTILINE)


def needs_lease(module: str, arguments: Sequence[str]) -> bool:
    """Whether a step will take a GPU that other jobs of this machine may want."""
    if module not in ON_GPU:
        return False
    try:
        config = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError):
        return False  # the step itself says what is wrong with it
    return config.get("training", {}).get("device") != "cpu"


def devices(environment: MutableMapping[str, str]) -> list[str]:
    """The GPUs that jobs may take: those the user or the allocation has chosen, or all there are.

    As CUDA does, a list is read up to the first entry that is no GPU, such as -1: it hides the
    rest. A GPU that is divided (MIG) counts as its slices, of which a process can use one.
    """
    if VISIBLE in environment:
        return _named(environment[VISIBLE])
    found = _listed()
    for variable in GIVEN_BY_SLURM:
        given = [int(one) for one in _named(environment.get(variable, "")) if one.isdecimal()]
        # Where nodes hide what was not given, all that is listed was.
        if given and len(found) > len(given) and max(given) < len(found):
            return [found[index] for index in given]
    return found


def lease(environment: MutableMapping[str, str], folder: Path | None = None) -> int | None:
    """Wait for a free GPU and make it the only one that is visible.

    Args:
        environment: the environment of the job; its choice of GPUs is read, and replaced by the
            one.
        folder: the folder of the locks; one per user, machine and Slurm job by default.

    Returns:
        The open file whose lock is the lease: it lasts until all processes that hold the file have
        ended. None where there is no GPU, and where Slurm has given a single one.
    """
    found = devices(environment)
    job = environment.get("SLURM_JOB_ID", "")
    if not found or (job and len(found) == 1):
        return None
    folder = folder or _folder(job)
    slots = [(n, name) for n in range(_shared_by(environment)) for name in found]
    while True:
        # A GPU is shared only when all have a job.
        for slot, name in slots:
            if (held := _lock(folder / f"{name.replace('/', '_')}.{slot}")) is not None:
                environment[VISIBLE] = name
                return held
        time.sleep(SECONDS_BETWEEN_TRIES)


def _named(text: str) -> list[str]:
    """The GPUs of a list, each once, up to the first entry that is none."""
    found: list[str] = []
    for entry in map(str.strip, text.split(",")):
        if not DEVICE.fullmatch(entry):
            break
        if entry not in found:
            found.append(entry)
    return found


def _listed() -> list[str]:
    """All GPUs of this machine by their numbers, or by their UUIDs where one is divided."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    gpus: list[list[str]] = []
    for line in LISTED.finditer(done.stdout):
        if line["gpu"] or not gpus:
            gpus.append([line["name"]])
        else:
            gpus[-1].append(line["name"])
    if all(len(parts) == 1 for parts in gpus):
        return [str(index) for index in range(len(gpus))]
    return [name for whole, *slices in gpus for name in slices or [whole]]


def _folder(job: str) -> Path:
    """Where the locks of this machine lie; in an allocation its GPUs are numbered anew."""
    parts = ["resformer-gpus", str(os.getuid()), socket.gethostname(), *([job] if job else [])]
    folder = Path(tempfile.gettempdir()) / "-".join(re.sub(r"[^\w.]", "_", part) for part in parts)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            sys.exit(f"{folder}: belongs to another user; set TMPDIR to a folder of your own")
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}; it holds the locks of GPUs. Set TMPDIR to a folder "
                 "that can be written to")  # fmt: skip
    return folder


def _shared_by(environment: MutableMapping[str, str]) -> int:
    given = environment.get(SHARED_BY, "1")
    if not re.fullmatch(r"[1-9]\d{0,3}", given, re.ASCII):
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
