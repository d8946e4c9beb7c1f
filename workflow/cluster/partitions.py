"""What `sinfo` says of a cluster's partitions: their time limits, GPUs and nodes."""

import re
import subprocess
from typing import NamedTuple


class Partition(NamedTuple):
    """One partition.

    Attributes:
        minutes: the longest a job may take; None if there is no limit.
        gpus: types of the GPUs of its nodes; `gpu` where they have no type.
        up: whether it takes jobs.
        memory: MB of its largest node.
    """

    name: str
    default: bool
    minutes: int | None
    gpus: frozenset[str]
    up: bool
    memory: int


def partitions() -> list[Partition]:
    """All partitions that `sinfo` shows; none if it does not answer within ten seconds."""
    command = ["sinfo", "--noheader", "--format=%P|%l|%G|%a|%m"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return read(done.stdout)


def read(text: str) -> list[Partition]:
    """Read lines of `name|time limit|GPUs|availability|MB`; a partition may have several."""
    found: dict[str, Partition] = {}
    for line in filter(None, text.splitlines()):
        name, limit, gres, available, memory = line.strip().split("|")
        gpus = frozenset(
            kind or "gpu" for kind in re.findall(r"\bgpu(?::([A-Za-z][\w.-]*))?(?=[:,(]|$)", gres)
        )
        name, default = name.rstrip("*"), name.endswith("*")
        megabytes = int(memory.rstrip("+"))  # a plus where nodes differ
        if name in found:
            gpus, megabytes = gpus | found[name].gpus, max(megabytes, found[name].memory)
        up = available == "up"
        found[name] = Partition(name, default, minutes(limit), gpus, up, megabytes)
    return list(found.values())


def chosen(among: list[Partition], name: str | None) -> Partition | None:
    """The partition of that name, or the default one if no name is given."""
    return next((p for p in among if (p.name == name if name else p.default)), None)


def minutes(limit: str) -> int | None:
    """Slurm's `days-hours:minutes:seconds`, of which the last two may stand alone, as minutes."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not match:
        return None
    days, hours, rest, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + rest
