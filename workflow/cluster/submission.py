"""What a dry run says at its end: the jobs that Slurm would be given, kind by kind.

Snakemake lists steps, by the thousand; several of them are one job of Slurm's.
"""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from workflow.results.job_logs import seeds_of

# What a job does not ask for.
DEFAULT = "Slurm's default"
HEADER = ("jobs", "steps", "GPUs", "CPUs", "memory", "time limit")


class Step(NamedTuple):
    """A step that is to be done.

    Attributes:
        group: those of a group are one job, one after the other; None for a job of its own.
        local: it is done on this host.
        memory: memory in MB; 0 if it does not say.
        minutes: its share of the job's time limit; 0 if it does not say.
    """

    rule: str
    group: str | None
    local: bool
    gpus: int
    cpus: int
    memory: int
    minutes: int


class Submitted(NamedTuple):
    """A job of Slurm's."""

    steps: tuple[str, ...]
    gpus: int
    cpus: int
    memory: int
    minutes: int


def tell_submission(workflow: Any) -> None:
    """At the end of a dry run of Snakemake's `workflow`, say which jobs Slurm would be given."""
    if workflow.dryrun and workflow.dag is not None:
        most = workflow.resource_settings.nodes
        sys.stdout.write(f"{submission(steps_of(workflow), most)}\n")


def steps_of(workflow: Any) -> list[Step]:
    """The steps that are to be done of Snakemake's `workflow`, each after those it rests on."""
    needed = set(workflow.dag.needrun_jobs(exclude_finished=False))
    return [
        Step(
            job.rule.name,
            job.group,
            # `job.is_local` is true of all in a dry run.
            job.rule.norun or job.rule.name in workflow._localrules,
            gpus=_gpus(job.resources),
            cpus=job.resources.get("cpus_per_task", job.threads),
            memory=_number(job.resources.get("mem_mb")),
            minutes=_number(job.resources.get("runtime")),
        )
        for layer in workflow.dag.toposorted(needed)
        for job in layer
    ]


def _gpus(resources: Any) -> int:
    """The GPUs that a job asks for, by the one option or the other."""
    kind, _, rest = str(resources.get("gres", "")).partition(":")
    count = rest.rpartition(":")[2] or "1"
    of_gres = int(count) if kind == "gpu" and count.isdecimal() else 0
    return _number(resources.get("gpu")) or of_gres


def _number(amount: Any) -> int:
    """An amount, or none where nobody says: Slurm's own default holds."""
    return amount if isinstance(amount, int) else 0


def submission(steps: Sequence[Step], most: int) -> str:
    """Jobs that Slurm would be given for these steps, in the order of their first one.

    Args:
        steps: the steps that are to be done.
        most: jobs that are in the queue at a time.
    """
    jobs = _jobs([step for step in steps if not step.local])
    here = list(dict.fromkeys(_name(step.rule) for step in steps if step.local))
    kinds: dict[tuple[str, ...], list[Submitted]] = {}
    for job in jobs:
        kinds.setdefault(job.steps, []).append(job)
    rows = [HEADER, *(_row(kind, of_kind) for kind, of_kind in kinds.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        f"{len(jobs)} job{'s' * (len(jobs) != 1)} for Slurm, {most} at most in its queue at a time"
        + (f"; done on this host: {', '.join(here)}" if here else "")
    ]
    for row in rows if jobs else []:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _jobs(steps: Sequence[Step]) -> list[Submitted]:
    groups: dict[str | int, list[Step]] = {}
    for number, step in enumerate(steps):
        groups.setdefault(step.group or number, []).append(step)
    return [
        Submitted(
            tuple(dict.fromkeys(_name(step.rule) for step in group)),
            max(step.gpus for step in group),
            max(step.cpus for step in group),
            max(step.memory for step in group),
            sum(step.minutes for step in group),
        )
        for group in groups.values()
    ]


def _name(rule: str) -> str:
    """`train` of train_seed0, and `table` of table_II."""
    step = (seeds_of(rule) or (rule, ()))[0]
    return step.partition("_")[0]


def _row(steps: tuple[str, ...], jobs: Sequence[Submitted]) -> tuple[str, ...]:
    ranges = (
        _range([str(job.gpus) for job in sorted(jobs, key=lambda job: job.gpus)]),
        _range([str(job.cpus) for job in sorted(jobs, key=lambda job: job.cpus)]),
        _range([_memory(job.memory) for job in sorted(jobs, key=lambda job: job.memory)]),
        _range([_time(job.minutes) for job in sorted(jobs, key=lambda job: job.minutes)]),
    )
    return (str(len(jobs)), ", ".join(steps), *ranges)


def _memory(megabytes: int) -> str:
    return f"{megabytes / 1000:g} GB" if megabytes else DEFAULT


def _time(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02d} h" if minutes else DEFAULT


def _range(ordered: Sequence[str]) -> str:
    """The first and the last, or the only one."""
    return ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"
