"""The end of the log of a job that left a seed without a result, for the page of its run."""

from pathlib import Path
from typing import NamedTuple

from workflow.config.model import Config
from workflow.results.job_logs import logs_in, newest_for
from workflow.results.logs import Log
from workflow.results.records import RunRecord

# What the jobs of a run are, in the order that they follow one another.
STEPS = ("pretrain", "train", "evaluate", "control")
LINES = 50


class LogTail(NamedTuple):
    """The last lines of a log, as they were written.

    Attributes:
        seeds: the seeds that the job was for and that have no result.
        file: the path from the folder of results, with `/`.
    """

    seeds: tuple[int, ...]
    file: str
    lines: tuple[str, ...]


def log_tails(config: Config, record: RunRecord) -> tuple[LogTail, ...]:
    """The ends of the newest logs for the seeds of a run that have no result, each file once."""
    found: dict[Path, list[int]] = {}
    for seed in (seed.seed for seed in record.seeds if seed.trouble):
        if (file := _newest(config, record, seed)) is not None:
            found.setdefault(file, []).append(seed)
    return tuple(
        LogTail(tuple(seeds), file.relative_to(config.results).as_posix(), lines)
        for file, seeds in found.items()
        if (lines := _end(file))
    )


def _newest(config: Config, record: RunRecord, seed: int) -> Path | None:
    """The log that was last written for a seed, of any step."""
    folders = (config.results / "logs" / step / Path(*record.run) for step in STEPS)
    log = newest_for([log for folder in folders for log in logs_in(folder)], seed)
    return log.path if log else None


def _end(file: Path) -> tuple[str, ...]:
    log = Log.read(file)
    return tuple(log.lines[-LINES:]) if log else ()
