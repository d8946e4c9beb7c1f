"""Which logs there are of the jobs of a step: the workflow's own, and those that Slurm keeps."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SLURM_LOGS = Path(".snakemake/slurm_logs")
# The names of rules and logs have the seeds that a job trains.
_SEEDS = re.compile(r"(?:rule_(?P<step>[a-z]+)_)?seed(?P<seeds>\d+(?:_\d+)*)(?:\.log)?")
# That of a group of rules is followed by theirs.
_GROUP = re.compile(
    r"group_run_(?P<run>.+?)_seed(?P<seeds>\d+(?:_\d+)*)(?P<steps>(?:_[a-z]+_seed(?P=seeds))+)"
)


class Found(NamedTuple):
    """A log of a job: its file, when it changed, and the seeds that the job is for."""

    path: Path
    changed: float
    seeds: tuple[int, ...]


def seeds_of(rule: str) -> tuple[str, tuple[int, ...]] | None:
    """The step of a rule and the seeds that its jobs are for; None if it is not for seeds."""
    match = _SEEDS.fullmatch(f"rule_{rule}")
    return (match["step"], _numbers(match["seeds"])) if match else None


def kept_of(
    rule: str, wildcards: Sequence[str], group: str | None, folder: Path = SLURM_LOGS
) -> Found | None:
    """The newest log that Slurm keeps of a rule's jobs or of a group's; its stem is a job's id."""
    of_rule = Path(f"rule_{rule}", "_".join(wildcards).replace("/", "_"))
    of_job = folder / (f"group_{group}" if group else of_rule)
    return max(_logs(of_job, ()), key=lambda log: log.changed, default=None)


def logs_in(folder: Path) -> list[Found]:
    """The logs of the jobs of one step, data set and method."""
    named = ((entry, _SEEDS.fullmatch(entry.name)) for entry in _entries(folder))
    return [
        log for entry, match in named if match for log in _found(entry, _numbers(match["seeds"]))
    ]


def newest_for(logs: list[Found], seed: int) -> Found | None:
    """The log of the last job that was for a seed."""
    return max(
        (log for log in logs if seed in log.seeds), key=lambda log: log.changed, default=None
    )


class SlurmLogs:
    """The logs that Slurm keeps of jobs of this folder: of those that run or have failed."""

    def __init__(self, folder: Path = SLURM_LOGS) -> None:
        self._found: dict[tuple[str, str], list[Found]] = {}
        for one in _entries(folder):
            if group := _GROUP.fullmatch(one.name):
                logs = _logs(Path(one.path), _numbers(group["seeds"]))
                for step in re.findall(r"[a-z]+(?=_seed)", group["steps"]):
                    self._found.setdefault((step, group["run"]), []).extend(logs)
            elif (rule := _SEEDS.fullmatch(one.name)) and rule["step"]:
                for wildcards in _entries(Path(one.path)):
                    logs = _logs(Path(wildcards.path), _numbers(rule["seeds"]))
                    self._found.setdefault((rule["step"], wildcards.name), []).extend(logs)

    def of(self, step: str, dataset: str, method: str) -> list[Found]:
        """The logs of the jobs of one step, data set and method; a job's id is its file's stem."""
        return self._found.get((step, f"{dataset}_{method}"), [])


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return


def _logs(folder: Path, seeds: tuple[int, ...]) -> list[Found]:
    entries = (entry for entry in _entries(folder) if entry.name.endswith(".log"))
    return [log for entry in entries for log in _found(entry, seeds)]


def _numbers(seeds: str) -> tuple[int, ...]:
    return tuple(map(int, seeds.split("_")))


def _found(entry: os.DirEntry[str], seeds: tuple[int, ...]) -> list[Found]:
    """A log as it is now; nothing where it has just gone, as Slurm's do when their job is done."""
    try:
        changed = entry.stat().st_mtime
    except FileNotFoundError:
        return []
    return [Found(Path(entry.path), changed, seeds)]
