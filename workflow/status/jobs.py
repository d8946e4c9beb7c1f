"""Which logs there are of the jobs of a step: the workflow's own, and those that Slurm keeps."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SLURM_LOGS = Path(".snakemake/slurm_logs")
# The names of rules and logs have the seeds that a job trains.
_SEEDS = re.compile(r"(?:rule_(?P<step>[a-z]+)_)?seed(?P<seeds>\d+(?:_\d+)*)(?:\.log)?")


class Found(NamedTuple):
    """A log of a job: its file, when it changed, and the seeds that the job is for."""

    path: Path
    changed: float
    seeds: tuple[int, ...]


def logs_in(folder: Path) -> list[Found]:
    """The logs of the jobs of one step, data set and method."""
    named = ((entry, _SEEDS.fullmatch(entry.name)) for entry in _entries(folder))
    return [log for entry, match in named if match for log in _found(entry, match["seeds"])]


def newest_for(logs: list[Found], seed: int) -> Found | None:
    """The log of the last job that was for a seed."""
    return max(
        (log for log in logs if seed in log.seeds), key=lambda log: log.changed, default=None
    )


class SlurmLogs:
    """The logs that Slurm keeps of jobs of this folder: of those that run or have failed."""

    def __init__(self, folder: Path = SLURM_LOGS) -> None:
        self._found: dict[tuple[str, str], list[Found]] = {}
        for rule in _entries(folder):
            match = _SEEDS.fullmatch(rule.name)
            if not match or not match["step"]:
                continue
            for wildcards in _entries(Path(rule.path)):
                logs = self._found.setdefault((match["step"], wildcards.name), [])
                for log in _entries(Path(wildcards.path)):
                    logs += _found(log, match["seeds"]) if log.name.endswith(".log") else []

    def of(self, step: str, dataset: str, method: str) -> list[Found]:
        """The logs of the jobs of one step, data set and method; a job's id is its file's stem."""
        return self._found.get((step, f"{dataset}_{method}"), [])


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return


def _found(entry: os.DirEntry[str], seeds: str) -> list[Found]:
    """A log as it is now; nothing where it has just gone, as Slurm's do when their job is done."""
    try:
        changed = entry.stat().st_mtime
    except FileNotFoundError:
        return []
    return [Found(Path(entry.path), changed, tuple(map(int, seeds.split("_"))))]
