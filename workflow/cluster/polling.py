"""Asking Slurm how jobs stand, so that Snakemake never waits for one that will not end by itself.

The Slurm plugin (2.8.0) waits for ever for jobs that were preempted for good, that sacct calls
`CANCELLED by 0`, that Slurm holds, or that Slurm has forgotten; and it forgets all jobs when Slurm
does not answer for a while. Where the controller is slow to say for how long it remembers jobs, the
plugin goes over to sacct, which never answers where nothing is accounted. `install` puts the
questions that are asked here in the plugin's place.
"""

import asyncio
import inspect
import logging
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

# Slurm shows a job as PREEMPTED for a moment before it queues it again; one that stays so is over.
PREEMPTED_SECONDS = 60.0
# How long a job that Slurm knew may be missing from its answers.
MISSING_SECONDS = 120.0
# Jobs that wait for one of these wait for ever.
HELD = re.compile(
    r"launch failed|JobHeldAdmin|PartitionTimeLimit|DependencyNeverSatisfied|AccountNotAllowed"
    r"|(Assoc|QOS)Max\w*PerJob"
)
ACTIVE = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "PREEMPTED")
# Of these Snakemake says why only where a job is no group of steps.
FAILED = {
    "BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT",
}  # fmt: skip
FAILED_QUERY_SECONDS = 10.0
# What sacct says where nothing is accounted, and will say for ever.
NO_ACCOUNTING = re.compile(r"accounting (storage|_storage/none)|AccountingStorage", re.IGNORECASE)
# Slurm's default of MinJobAge, in seconds.
DEFAULT_JOB_AGE = 300
WARN_EVERY = 300.0

Answer = tuple[dict[str, str], float]


class PolledJob(NamedTuple):
    """How a job of this run stood when it was last seen."""

    state: str
    since: float


class Patience:
    """Turns what Slurm says of this run's jobs into states that the plugin understands."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.jobs: dict[str, PolledJob] = {}
        self.missing: dict[str, float] = {}
        self.cancelled: set[str] = set()

    def read(self, text: str) -> tuple[dict[str, str], dict[str, str]]:
        """Read lines of `job|state` or `job|state|reason`.

        Returns:
            The state of each job, and job -> reason of those that have just been found to wait for
            ever and are to be cancelled.
        """
        now, states, held = self.clock(), {}, {}
        for line in text.splitlines():
            job, state, reason = [*(part.strip() for part in line.split("|")), "", ""][:3]
            if not job:
                continue
            state = state.partition(" ")[0]  # sacct: CANCELLED by 0
            if state != self.jobs.get(job, PolledJob("", now)).state:
                self.jobs[job] = PolledJob(state, now)
            if state == "PREEMPTED" and now - self.jobs[job].since >= PREEMPTED_SECONDS:
                state = "CANCELLED"
            if state == "PENDING" and HELD.search(reason) and job not in self.cancelled:
                held[job] = reason
            states[job] = state
        return {**states, **self._lost(states, now)}, held

    def _lost(self, states: dict[str, str], now: float) -> dict[str, str]:
        """Jobs that were there and are no longer: they count as failed, and are tried again."""
        gone = [j for j, job in self.jobs.items() if j not in states and job.state in ACTIVE]
        self.missing = {job: self.missing.get(job, now) for job in gone}
        return {j: "FAILED" for j, at in self.missing.items() if now - at >= MISSING_SECONDS}


class Query:
    """Stands in for the plugin's `query_job_status`; asks until Slurm answers."""

    def __init__(self) -> None:
        self.patience = Patience()
        self._told: set[str] = set()

    async def __call__(self, command: str, logger: logging.Logger) -> Answer:
        """States of this run's jobs, and the seconds that asking took; waits for an answer."""
        words = shlex.split(command)
        if words[0] == "squeue":
            words = [word.replace("%i|%T", "%i|%T|%r") for word in words]
        began = warned = time.monotonic()
        while (answer := await _ask(words)).out is None:
            if words[0] == "sacct" and NO_ACCOUNTING.search(answer.error):
                logger.warning("sacct keeps no accounts here; squeue is asked from now on.")
                words = _as_squeue(words)
                continue
            if time.monotonic() - warned > WARN_EVERY:
                warned = time.monotonic()
                minutes = (warned - began) / 60
                logger.warning(
                    f"{words[0]} has not answered for {minutes:.0f} minutes. Jobs run on; this "
                    "run waits. Ctrl-C ends it: the same command goes on from there."
                )
            await asyncio.sleep(FAILED_QUERY_SECONDS)
        states, held = self.patience.read(answer.out)
        for job, state in states.items():
            if state in FAILED and job not in self._told:
                self._told.add(job)
                logger.warning(f"Slurm job {job} ended as {state}.")
        for job, reason in held.items():
            logger.warning(
                f"Slurm job {job} would wait for ever ({reason}); it is cancelled and tried again. "
                "See docs/cluster.md for the reason."
            )
            if subprocess.run(["scancel", job], check=False, capture_output=True).returncode == 0:
                self.patience.cancelled.add(job)
        return states, time.monotonic() - began


class JobAge:
    """Stands in for the plugin's `get_min_job_age`: what Slurm said last, where it is slow.

    The plugin takes no answer for a reason to ask sacct, and looks anew before each query.
    """

    def __init__(self, theirs: Callable[[], int | None]) -> None:
        self._theirs, self._said = theirs, DEFAULT_JOB_AGE

    def __call__(self) -> int:
        """Seconds for which Slurm remembers a job that has ended."""
        found = self._theirs()
        self._said = self._said if found is None else found
        return self._said


def install(plugin: ModuleType) -> bool:
    """Ask through `Query` from now on; False, and nothing done, if the plugin is another one."""
    theirs = getattr(plugin, "query_job_status", None)
    age = getattr(plugin, "get_min_job_age", None)
    if theirs is None or list(inspect.signature(theirs).parameters) != ["command", "logger"]:
        return False
    if age is None or inspect.signature(age).parameters:
        return False
    replaced: Any = plugin
    replaced.query_job_status = Query()
    replaced.get_min_job_age = JobAge(age)
    return True


class SlurmAnswer(NamedTuple):
    """What a command printed; None if it failed or did not answer. And what it said of that."""

    out: str | None
    error: str


def _as_squeue(words: list[str]) -> list[str]:
    """The same question to squeue: of the jobs of that name."""
    name = words[words.index("--name") + 1]
    return ["squeue", "--format=%i|%T|%r", "--states=all", "--noheader", "--name", name]


async def _ask(words: list[str]) -> SlurmAnswer:
    """Ask a command for a minute at most."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        return SlurmAnswer(None, str(error))
    try:
        out, errors = await asyncio.wait_for(process.communicate(), timeout=60)
    except TimeoutError:
        process.kill()
        await process.wait()
        return SlurmAnswer(None, "no answer in a minute")
    said = errors.decode(errors="replace")
    return SlurmAnswer(out.decode(errors="replace") if process.returncode == 0 else None, said)
