"""What the preflight finds, what it looks at, and how it asks commands."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from workflow.cluster.partitions import Partition
from workflow.cluster.site import Site
from workflow.config.model import Config


class PreflightFinding(NamedTuple):
    """One thing that was found.

    Attributes:
        name: what `ignore` calls it.
        stops: whether a run would fail or wait for ever because of it.
    """

    name: str
    stops: bool
    what: str
    why: str
    cure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}; {self.why}. {self.cure}."


class Cluster(NamedTuple):
    """What the checks look at."""

    config: Config
    site: Site
    partitions: list[Partition]
    folder: Path

    @property
    def results(self) -> Path:
        """Where results go, or the nearest folder above that is there."""
        wanted = (self.folder / self.config.results).resolve()
        return next(path for path in (wanted, *wanted.parents) if path.exists())


def output(*command: str, failed: bool = False) -> str | None:
    """What a command prints; None if it is missing, fails or takes more than 20 seconds.

    Args:
        command: and its arguments.
        failed: take what it printed also if its exit code is not 0.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=not failed)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def answers(*command: str) -> bool:
    """Whether a command is there and succeeds within 20 seconds."""
    return output(*command) is not None
