"""What the log of a job says of a run: how far it has come, and why the job ended."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

# The end of a log is enough, about a hundred lines; a job in Slurm names itself at the beginning.
TAIL_BYTES = 16384
HEAD_BYTES = 2048
_JOB = re.compile(rb"^Slurm job (\d+) on ", re.MULTILINE)
TRACEBACK = "Traceback (most recent call last):"
_EPOCH = re.compile(r"epoch (\d+)/(\d+), .* (\d+) s left$")
# Lines of a job that trains several seeds at a time begin with the seed they are of.
_OF_SEED = re.compile(r"seed (\d+): ")
# What a job says of its end in one line.
_SAID = re.compile(
    r"killed by SIG|failed with exit code|its warm process went away|^no results, failed: "
)
STOPPED = "the state is saved, and the same command goes on"
# Slurm's own words in the log that it keeps of a job.
_SLURM = re.compile(r"(?:slurmstepd|srun): error: (.*)")


class Log(NamedTuple):
    """The end of a log file.

    Attributes:
        changed: when it was written to last, in seconds since 1970.
        slurm_job: the id of the job that wrote it, if that was in Slurm and says so.
    """

    path: Path
    changed: float
    lines: list[str]
    slurm_job: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a log's end; None where there is none, or it has just gone."""
        try:
            with path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                head = stream.read(HEAD_BYTES)
                stream.seek(max(0, status.st_size - TAIL_BYTES))
                tail = stream.read()
        except OSError:
            return None
        jobs = _JOB.findall(tail) or _JOB.findall(head)
        lines = tail.decode(errors="replace").splitlines()
        return cls(path, status.st_mtime, lines, jobs[-1].decode() if jobs else None)


class Line(NamedTuple):
    """A line of progress: whole epochs, of how many, and the seconds left when it was written."""

    done: int
    epochs: int
    left: float


class LogSummary(NamedTuple):
    """What a log says of one seed.

    Attributes:
        line: its last line of progress.
        last: whether that is the last thing said, so that the log's age is the line's.
        begun: whether the seed is named at all.
        stopped: whether the job was asked to stop, and saved its state.
        reason: why the job ended before its time; empty if it did not say.
    """

    line: Line | None = None
    last: bool = False
    begun: bool = False
    stopped: bool = False
    reason: str = ""


def said_of(lines: Sequence[str], run: str, seed: int) -> LogSummary:
    """Read a log for one seed.

    Args:
        lines: of the log.
        run: data set and method, as lines of progress begin.
        seed: whose lines count, beside those that are of no seed.
    """
    own = f"{run} seed {seed}: "
    of_run = re.compile(rf"{re.escape(run)} seed (\d+): ")
    found, begun, after = None, False, list[str]()
    for text in lines:
        other = of_run.match(text) or _OF_SEED.match(text)
        if other and int(other[1]) != seed:
            continue
        begun = begun or bool(other)
        progress = _EPOCH.search(text) if text.startswith(own) else None
        if progress:
            found, after = Line(*map(int, progress.groups())), []
        else:
            after.append(text[other.end() :] if other else text)
    stopped = any(STOPPED in text for text in after[-3:])
    return LogSummary(
        line=found,
        last=bool(found) and bool(lines) and lines[-1].startswith(own) and not after,
        begun=begun,
        stopped=stopped,
        reason="" if stopped else reason_in(after),
    )


def reason_in(lines: Sequence[str]) -> str:
    """Why a job ended, as the end of its log has it; empty if it does not say."""
    for number in range(len(lines) - 1, -1, -1):
        text = lines[number]
        if text.startswith("error: "):  # our own message, which may go on over several lines
            return " ".join(part.strip() for part in lines[number : number + 4])[len("error: ") :]
        if text == TRACEBACK:
            ends = [part for part in lines[number + 1 :] if part and not part[0].isspace()]
            return ends[0] if ends else "ended with an error"
        if _SAID.search(text):
            return text.removeprefix("no results, failed: ")
    return ""


def slurm_reason(lines: Sequence[str]) -> str:
    """Slurm's own reason for a job's end, as the log that it keeps of the job has it."""
    found = [match[1] for text in lines if (match := _SLURM.match(text))]
    # Steps and the job are told of one after the other; the job's line says most.
    found.sort(key=lambda text: ("DUE TO" in text or "oom" in text.lower(), "JOB" in text))
    return found[-1].strip("* ") if found else ""
