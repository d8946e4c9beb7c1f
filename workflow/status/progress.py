"""How far a run of Snakemake is, and how long the rest takes: from jobs that begin and end.

Each job has a weight, the seconds that the plan expects of it; those of training are off by the
speed of the machine, which the jobs that have ended tell. Jobs under way count by their time so
far, and the rest is taken to go as fast as what is done did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from workflow.base.errors import ConfigError
from workflow.config.model import Config
from workflow.planning.cost import predicted_runtime
from workflow.planning.devices import ASSUMED_SHARE, Device
from workflow.results.job_logs import seeds_of

# A job that trains nothing; most of it is the start of Python.
SMALL_JOB = 4.0
# A processor's core, by which the weights of training are reckoned: 200 GFLOP/s in training.
CORE = Device("a core", peak=2e11 / ASSUMED_SHARE, memory=0.0, gpu=False)
# However long a job has taken, until it has ended some of it is left.
MOST_OF_A_JOB = 0.95


class Task(NamedTuple):
    """A job of Snakemake's, as far as progress minds it.

    Attributes:
        weight: seconds that it is expected to take.
        learns: whether that depends on how fast the machine trains.
    """

    rule: str
    wildcards: tuple[str, ...]
    weight: float = SMALL_JOB
    learns: bool = False

    @property
    def runs(self) -> tuple[int, ...]:
        """The seeds of a job at whose end runs are done; nothing for any other job."""
        step, seeds = seeds_of(self.rule) or ("", ())
        return seeds if step in ("evaluate", "control") else ()


def task_of(config: Config, rule: str, wildcards: tuple[str, ...]) -> Task:
    """A job with its weight.

    Args:
        config: the resolved configuration.
        rule: the name of the job's rule.
        wildcards: data set and method, of a job for seeds of a run.
    """
    step, seeds = seeds_of(rule) or ("", ())
    if step not in ("train", "pretrain"):
        return Task(rule, wildcards)
    try:
        dataset, method = wildcards[:2]
        minutes = predicted_runtime(config, dataset, method, len(seeds), CORE)
    except ConfigError:  # the data set's size is not known yet
        minutes = 1.0
    return Task(rule, wildcards, max(SMALL_JOB, 60 * minutes), learns=True)


@dataclass
class SnakemakeProgress:
    """The jobs of one run of Snakemake: those to do, under way and done; times in seconds.

    Attributes:
        tasks: job id -> job, of all that are to be done.
        began: the time when the first of them could begin.
    """

    tasks: Mapping[int, Task]
    began: float
    _started: dict[int, float] = field(default_factory=dict)
    _at_once: int = 1
    _taken: dict[int, float] = field(default_factory=dict)

    def start(self, jobs: Iterable[int], now: float) -> None:
        """Jobs begin; one that is tried again begins anew."""
        self._started |= dict.fromkeys((job for job in jobs if job in self.tasks), now)
        self._at_once = max(self._at_once, len(self._started))

    def finish(self, job: int, now: float) -> None:
        """A job has ended well."""
        if job in self.tasks:
            self._taken[job] = now - self._started.pop(job, now)

    @property
    def under_way(self) -> list[Task]:
        """The jobs that have begun and not ended, the longest first."""
        return [self.tasks[job] for job in sorted(self._started, key=self._started.__getitem__)]

    @property
    def runs_done(self) -> int:
        """Runs whose last job has ended."""
        return sum(len(self.tasks[job].runs) for job in self._taken)

    @property
    def runs(self) -> int:
        """Runs that this run of Snakemake is to end."""
        return sum(len(task.runs) for task in self.tasks.values())

    def share(self, now: float) -> float:
        """The share of all work that is done, from 0 to 1."""
        whole = self._whole()
        return 1 - self._left(now) / whole if whole else 1.0

    def seconds_left(self, now: float) -> float | None:
        """Seconds until all is done; None as long as nothing tells.

        Until the first training has ended, that is what the plan expects of as many jobs at a time
        as there have been: small jobs say nothing of how fast the machine trains.
        """
        elapsed, left = now - self.began, self._left(now)
        training = any(task.learns for task in self.tasks.values())
        if training and not any(self.tasks[job].learns for job in self._taken):
            return left / self._at_once if self._started else None
        done = self._whole() - left
        return left * elapsed / done if self._taken and done > 0 and elapsed > 0 else None

    def _whole(self) -> float:
        """Seconds of work of all jobs."""
        return sum(self._seconds(task) for task in self.tasks.values())

    def _left(self, now: float) -> float:
        """Seconds of work that are left, over all jobs."""
        left = 0.0
        for job, task in self.tasks.items():
            if job in self._taken:
                continue
            whole = self._seconds(task)
            spent = now - self._started[job] if job in self._started else 0.0
            left += whole - min(spent, MOST_OF_A_JOB * whole)
        return left

    def _seconds(self, task: Task) -> float:
        """What a job takes, by what the jobs that have ended took where it trains."""
        return task.weight * self._speed() if task.learns else task.weight

    def _speed(self) -> float:
        """Seconds that training takes over those expected."""
        ended = [job for job in self._taken if self.tasks[job].learns]
        expected = sum(self.tasks[job].weight for job in ended)
        return sum(self._taken[job] for job in ended) / expected if expected else 1.0
