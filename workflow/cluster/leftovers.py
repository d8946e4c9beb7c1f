"""Slurm jobs of a Snakemake that was killed: they are ended before its run goes on.

Nothing tells a new Snakemake of them; it would start their steps again beside them. Training saves
its state when Slurm ends it, so the new job goes on from there; other steps are short. Jobs belong
to the run whose name they have, and only those are ended whose run is gone and wrote where this one
writes: another preset, or another Snakemake that goes on, keeps its own.
"""

import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from workflow.base.errors import ConfigError
from workflow.running import owners

# The Slurm plugin's comments on its jobs.
OURS = ("rule_", "group_")
# A step has Slurm's KillWait to save its state; that is half a minute by default.
SECONDS_TO_END = 180.0
SECONDS_BETWEEN_LOOKS = 2.0


class QueuedJob(NamedTuple):
    """A job that waits or runs: its number, and what the jobs of its run are called."""

    number: str
    name: str


class Leftovers(NamedTuple):
    """Numbers of jobs that no run here will look after.

    Attributes:
        ended: those of killed runs of this folder of results; they are cancelled.
        unknown: those of runs that nothing is known of; they are left alone.
    """

    ended: list[str]
    unknown: list[str]


def end_leftovers(folder: Path, results: Path, seconds: float = SECONDS_TO_END) -> Leftovers:
    """Cancel the jobs of killed runs that write where this one does, and wait until they ended.

    Args:
        folder: the folder in which Snakemake runs.
        results: the folder of results of this run.
        seconds: how long to wait.

    Raises:
        ConfigError: Slurm does not answer, or some do not end.
    """
    known = owners.records()
    dead = [record for record in known if record.jobs and record.standing() == "dead"]
    queued = _queued(folder)
    ended = {str(record.jobs) for record in dead if record.results == str(results)}
    jobs = [job.number for job in queued if job.name in ended]
    if jobs:
        subprocess.run(["scancel", *jobs], check=False, capture_output=True)
        _wait(folder, ended, seconds)
    left = {job.name for job in queued} - ended
    for record in dead:
        if record.jobs not in left:
            owners.forget(record)
    names = {record.jobs for record in known}
    return Leftovers(jobs, [job.number for job in queued if job.name not in names])


def _wait(folder: Path, names: Collection[str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while left := [job.number for job in _queued(folder) if job.name in names]:
        if time.monotonic() >= until:
            raise ConfigError(
                f"Slurm jobs {', '.join(left)}: cancelled, and still there after {seconds:.0f} s; "
                "they belong to a run of this preset that was killed, and would write the same "
                "files as this one. See `squeue --me`, and give the command again when they are "
                "gone"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _queued(folder: Path) -> list[QueuedJob]:
    """This user's jobs that wait or run and that a Snakemake in `folder` has submitted.

    Raises:
        ConfigError: Slurm does not say.
    """
    command = ["squeue", "--me", "--noheader", "--format=%i|%j|%k|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"squeue: {error}; it is asked whether jobs of a run that was killed are still in the "
            "queue, as they would run twice. Try `squeue --me` by hand, and give the command again"
        ) from None
    here = folder.resolve()
    found: list[QueuedJob] = []
    for line in filter(None, map(str.strip, done.stdout.splitlines())):
        # Jobs of others may have any name and comment, also with this mark in it.
        number, name, *comment, place = line.split("|")
        if "|".join(comment).startswith(OURS) and Path(place).resolve() == here:
            found.append(QueuedJob(number, name))
    return found
