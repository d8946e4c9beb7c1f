"""Slurm jobs of a Snakemake that was killed: they are ended before its run goes on.

Nothing tells a new Snakemake of them; it would start their steps again beside them. Training saves
its state when Slurm ends it, so the new job goes on from there; other steps are short.
"""

import subprocess
import time
from pathlib import Path

from workflow.base.errors import ConfigError

# The Slurm plugin's comments on its jobs.
OURS = ("rule_", "group_")
# A step has Slurm's KillWait to save its state; that is half a minute by default.
SECONDS_TO_END = 180.0
SECONDS_BETWEEN_LOOKS = 2.0


def leftovers(folder: Path) -> list[str]:
    """This user's jobs that wait or run and that a Snakemake in `folder` has submitted.

    Raises:
        ConfigError: Slurm does not say.
    """
    command = ["squeue", "--me", "--noheader", "--format=%i|%k|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"squeue: {error}; it is asked whether jobs of a run that was killed are still in the "
            "queue, as they would run twice. Try `squeue --me` by hand, and give the command again"
        ) from None
    jobs = [line.strip().split("|", 2) for line in done.stdout.splitlines() if line.strip()]
    here = folder.resolve()
    return [
        number
        for number, comment, place in jobs
        if comment.startswith(OURS) and Path(place).resolve() == here
    ]


def end_leftovers(folder: Path, seconds: float = SECONDS_TO_END) -> list[str]:
    """Cancel such jobs and wait until they have ended; returns them.

    Args:
        folder: the folder in which Snakemake runs; no other one may run there.
        seconds: how long to wait.

    Raises:
        ConfigError: some do not end.
    """
    jobs = left = leftovers(folder)
    if jobs:
        subprocess.run(["scancel", *jobs], check=False, capture_output=True)
    until = time.monotonic() + seconds
    while left and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        left = leftovers(folder)
    if left:
        raise ConfigError(
            f"Slurm jobs {', '.join(left)}: cancelled, and still there after {seconds:.0f} s; they "
            "belong to a run in this folder that was killed, and would write the same files as "
            "this one. See `squeue --me`, and give the command again when they are gone"
        )
    return jobs
