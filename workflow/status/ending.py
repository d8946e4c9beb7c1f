"""What there is to say when Snakemake ends: how many runs are done, and which failed, and why.

Snakemake knows which jobs it gave up; why they failed, and which runs diverged though their jobs
went well, is in the files that `workflow.status` reads.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from workflow.config import paths
from workflow.config.model import Config
from workflow.results.job_logs import kept_of, seeds_of
from workflow.results.logs import Log, reason_in, slurm_reason
from workflow.status.runs import Standing, standings
from workflow.status.show import paragraph

# In the log that Slurm keeps of a group.
_AT_FAULT = re.compile(r"Error in rule (\w+):")
# A message has to end somewhere; `resformer status --json` has all of them.
MOST_NAMED = 100
NOTHING = "it wrote nothing: it did not start, or was killed; what Snakemake printed may say why"
NOT_SAID = "its log does not say why"
STOPPED = "its last attempt was stopped before the end; its state is saved"


class Job(NamedTuple):
    """A job that Snakemake was asked for.

    Attributes:
        state: `done` includes what had been done before, `failed` is after the last attempt.
        group: that it was part of and that failed, one step after the other in one job of Slurm's.
    """

    rule: str
    wildcards: tuple[str, ...]
    log: Path | None
    state: Literal["done", "failed", "open"]
    group: str | None = None


class Failure(NamedTuple):
    """What failed.

    Attributes:
        name: data set, method and seed, or what a step is made for.
        slurm_job: the id of its last job, if that was in Slurm.
    """

    name: str
    step: str
    reason: str
    log: str | None
    slurm_job: str | None

    def __str__(self) -> str:
        job = f"Slurm job {self.slurm_job}" if self.slurm_job else ""
        rest = ", ".join(part for part in (self.step, job, self.log) if part)
        return f"{self.name}: {rest}" if self.name else rest


@dataclass(frozen=True)
class Ending:
    """How the runs that were asked for stand at the end.

    Attributes:
        steps: what failed beside runs.
        report: whether it was made; None if it was not asked for.
    """

    config: Config
    done: int
    begun: int
    waiting: int
    runs: tuple[Failure, ...]
    steps: tuple[Failure, ...]
    report: bool | None

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All that failed."""
        return self.steps + self.runs

    @property
    def headlines(self) -> list[str]:
        """Three numbers that say what came of it, once the report is there."""
        from workflow.status.headlines import headlines  # large, and for the end alone

        return headlines(self.config) if self.report else []

    @property
    def title(self) -> str:
        """The numbers, in one line."""
        number = {
            "done": self.done,
            "failed": len(self.runs),
            "begun and not done": self.begun,
            "not begun": self.waiting,
        }
        parts = [f"{n} {word}" for word, n in number.items() if n]
        total = sum(number.values())
        said = [f"{total} run{'s' * (total > 1)}: {', '.join(parts)}"] if total else []
        if self.steps:
            other = "other " if total else ""
            said.append(f"{len(self.steps)} {other}step{'s' * (len(self.steps) > 1)} failed")
        return f"{self.config.results}: {'; '.join(said)}"

    @property
    def text(self) -> str:
        """All of it for people: one line if all went well."""
        index = paths.report(self.config) / "index.html"
        report = {None: "", True: f"; the report is {index}", False: "; no report, it needs all"}
        lines = [f"{self.title}{report[self.report]}"]
        reasons: dict[str, list[Failure]] = {}
        for failure in self.failures[:MOST_NAMED]:
            reasons.setdefault(failure.reason, []).append(failure)
        for reason, failures in reasons.items():
            lines += paragraph(reason, indent=2)
            lines += [f"    {failure}" for failure in failures]
        if len(self.failures) > MOST_NAMED:
            lines.append(
                f"  and {len(self.failures) - MOST_NAMED} more: "
                f"uv run resformer status {self.config.preset} --json"
            )
        return "\n".join(lines)


def ending(config: Config, jobs: Sequence[Job], began: float, now: float) -> Ending | None:
    """How it all ended; None if nothing failed and no runs were asked for.

    Args:
        config: whose runs.
        jobs: all that were asked for; those of a group in their order.
        began: when Snakemake began, in seconds since 1970; older logs are of other jobs.
        now: in seconds since 1970.
    """
    runs = _Runs(standings(config, now), jobs)
    failed, steps = dict[str, Failure](), list[Failure]()
    for job, found in _at_fault(jobs, began):
        blamed = runs.blamed(job, by_log=found.log is not None)
        failed |= {run.name: _of_job(run, found) for run in blamed}
        steps += [] if blamed else [found]
    for run in runs.recorded():
        own = Failure(run.name, run.step, run.reason, run.log, run.slurm_job)
        failed.setdefault(run.name, own)
    if not runs.asked and not steps:
        return None
    rest = [run for run in runs.asked if run.name not in failed]
    done = [run for run in rest if runs.ended(run)]
    waiting = [run for run in rest if run.stand == "waiting" and not runs.ended(run)]
    report = {job.state == "done" for job in jobs if job.rule == "report"}
    return Ending(
        config,
        done=len(done),
        begun=len(rest) - len(done) - len(waiting),
        waiting=len(waiting),
        runs=tuple(failed.values()),
        steps=tuple(steps),
        report=all(report) if report else None,
    )


class _Runs:
    """The runs that jobs are for."""

    def __init__(self, standings: Sequence[Standing], jobs: Sequence[Job]) -> None:
        # Both by data set, method and seed, as wildcards have them.
        self._jobs: dict[tuple[str, ...], dict[str, Job]] = {}
        for job in jobs:
            step, seeds = seeds_of(job.rule) or ("", ())
            for seed in seeds:
                self._jobs.setdefault((*job.wildcards, str(seed)), {})[step] = job
        self.asked = [run for run in standings if self._of(run)]
        self._named: dict[tuple[str, ...], Standing] = {
            (run.dataset, run.method, str(run.seed)): run for run in self.asked
        }

    def _of(self, run: Standing) -> dict[str, Job]:
        return self._jobs.get((run.dataset, run.method, str(run.seed)), {})

    def ended(self, run: Standing) -> bool:
        """Whether all that was asked for of a run is there."""
        return all(job.state == "done" for job in self._of(run).values())

    def recorded(self) -> Iterator[Standing]:
        """The runs that failed though their jobs went well, as these wrote down."""
        for run in self.asked:
            job = self._of(run).get(run.step)
            if run.stand == "failed" and job and job.state == "done":
                yield run

    def blamed(self, job: Job, by_log: bool) -> list[Standing]:
        """The runs because of which a job failed; all it had not done if its log blames none."""
        step, seeds = seeds_of(job.rule) or ("", ())
        runs = [run for seed in seeds if (run := self._named.get((*job.wildcards, str(seed))))]
        runs = [run for run in runs if run.stand != "done"]
        # Snakemake may have removed what a step before it in the same group had made.
        runs = [run for run in runs if run.step == step] or runs
        return [run for run in runs if by_log and run.step == step and run.reason] or runs


def _at_fault(jobs: Sequence[Job], began: float) -> Iterator[tuple[Job, Failure]]:
    """The jobs that failed; of a group, the one that its log names, or else that wrote last."""
    groups: dict[str | int, list[Job]] = {}
    for number, job in enumerate(jobs):
        if job.state == "failed":
            groups.setdefault(job.group or number, []).append(job)
    for group in groups.values():
        own = [_own_log(job, began) for job in group]
        written = [log.changed if log else 0.0 for log in own]
        last = group[written.index(max(written))]  # the first, where none has begun
        kept = _kept_log(last, began)
        named = (
            [match[1] for text in kept.lines if (match := _AT_FAULT.match(text))] if kept else []
        )
        job = next((job for job in group if job.rule in named[-1:]), last)
        yield job, _last_of(job, began)


def _of_job(run: Standing, job: Failure) -> Failure:
    """The failure of a run because of its job's; the run's own log may say more."""
    if job.log is None or run.step != job.step:
        return job._replace(name=run.name)
    reason = run.reason or (STOPPED if run.stand == "stopped" and run.saved else job.reason)
    return job._replace(name=run.name, reason=reason)


def _last_of(job: Job, began: float) -> Failure:
    """The failure of a job, by the logs of its last attempt."""
    own, kept = _own_log(job, began), _kept_log(job, began)
    reason = reason_in(own.lines) if own else ""
    reason = reason or (slurm_reason(kept.lines) if kept else "") or NOT_SAID
    log = own or kept
    step = (seeds_of(job.rule) or (job.rule, ()))[0]
    return Failure(
        " ".join(job.wildcards),
        step,
        reason if log else NOTHING,
        str(log.path) if log else None,
        kept.path.stem if kept else own.slurm_job if own else None,
    )


def _own_log(job: Job, began: float) -> Log | None:
    """A job's own log; Snakemake makes an empty one for a job that has none."""
    log = Log.read(job.log) if job.log else None
    return log if log and log.lines and log.changed >= began else None


def _kept_log(job: Job, began: float) -> Log | None:
    """The log that Slurm keeps of a job."""
    found = kept_of(job.rule, job.wildcards, job.group)
    return Log.read(found.path) if found and found.changed >= began else None
