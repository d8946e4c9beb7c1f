"""What `sinfo` says of a cluster's partitions: their time limits, GPUs and nodes."""

import re
import subprocess
from typing import NamedTuple

# A number of a time limit.
N = r"\d{1,9}"


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
        gpus = gpu_types(gres)
        name, default = name.rstrip("*"), name.endswith("*")
        megabytes = int(memory.rstrip("+"))  # a plus where nodes differ
        if name in found:
            gpus, megabytes = gpus | found[name].gpus, max(megabytes, found[name].memory)
        up = available == "up"
        found[name] = Partition(name, default, minutes(limit), gpus, up, megabytes)
    return list(found.values())


def gpu_types(gres: str) -> frozenset[str]:
    """Types of GPUs in what Slurm says of a node, such as `gpu:2080ti:4(S:0-1),shard:8`.

    A type may consist of digits alone (`gpu:3090:2`): only what stands last is a number of GPUs.
    `gpu` where they have no type.
    """
    entries = [entry.split(":") for entry in re.sub(r"\([^)]*\)", "", gres).split(",")]
    return frozenset(
        "gpu" if len(parts) < 3 and all(map(_is_count, parts[1:])) else parts[1]
        for parts in entries
        if parts[0] == "gpu"
    )


def chosen(among: list[Partition], names: str | None) -> list[Partition]:
    """The partitions of these names, or the default one if no name is given.

    Args:
        among: what there is.
        names: one, or several with commas between them, as `sbatch --partition` takes them.
    """
    if not names:
        return [p for p in among if p.default][:1]
    return [p for p in among if p.name in names.split(",")]


def minutes(limit: str) -> int | None:
    """A time in one of Slurm's six forms, as whole minutes; None if it has no end or is none.

    `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M` or `D-H:M:S`.
    """
    if match := re.fullmatch(rf"({N})-({N})(?::({N})(?::({N}))?)?", limit):
        days, hours, rest = (int(part or 0) for part in match.groups()[:3])
    elif match := re.fullmatch(rf"(?:({N}):)??({N})(?::({N}))?", limit):
        days, hours, rest = 0, int(match[1] or 0), int(match[2])
    else:
        return None
    return (days * 24 + hours) * 60 + rest


def _is_count(text: str) -> bool:
    return re.fullmatch(r"\d+[KMGT]?", text) is not None
