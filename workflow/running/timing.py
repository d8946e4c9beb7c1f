"""Where the time of a finished run went, as `resformer timing` prints it.

Adds up what Snakemake measured of each job, by rule, and sets it against the seconds that training
itself took: the rest of a training job is overhead (starting, loading data, writing).
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workflow.base.files import read_json
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config

STEPS = (
    "phantom", "download", "raw", "inventory", "split", "prepare", "gates", "superpixels",
    "pretrain", "train", "evaluate", "control", "table", "figure", "plot", "verdicts", "report",
)  # fmt: skip


class Cost(NamedTuple):
    """Jobs of one step and the seconds they took, waiting for a core not counted."""

    step: str
    jobs: int
    seconds: float


def costs(config: Config) -> list[Cost]:
    """The cost of each step that has run."""
    found = []
    for step in STEPS:
        files = sorted((config.results / "benchmarks" / step).rglob("*.tsv"))
        seconds = [float(row["s"]) for file in files for row in _rows(file)]
        if seconds:
            found.append(Cost(step, len(seconds), sum(seconds)))
    return found


def training_seconds(config: Config) -> dict[str, float]:
    """method -> seconds in the training loop, over data sets and seeds."""
    seconds: dict[str, float] = {}
    for dataset, method in runs(config):
        for seed in config.seeds:
            record = paths.run(config, dataset, method, seed) / "run.json"
            if record.is_file():
                spent = read_json(record).get("wall_seconds", 0.0)  # none for a control
                seconds[method] = seconds.get(method, 0.0) + spent
    return seconds


def overhead(steps: Sequence[Cost], loop: float) -> float:
    """Seconds of training jobs that are not in the training loop, and of evaluation."""
    return sum(cost.seconds for cost in steps if cost.step in ("train", "evaluate")) - loop


def as_text(config: Config) -> str:
    """The costs as a table."""
    steps, methods = costs(config), training_seconds(config)
    total = sum(cost.seconds for cost in steps)
    lines: list[str] = []
    write = lines.append
    write(f"{'step':<28}{'jobs':>6}{'seconds':>10}{'share':>8}\n")
    for cost in steps:
        write(f"{cost.step:<28}{cost.jobs:>6}{cost.seconds:>10.1f}{cost.seconds / total:>8.1%}\n")
        if cost.step == "train":
            loop = sum(methods.values())
            write(f"{'  in the training loop':<34}{loop:>10.1f}{loop / total:>8.1%}\n")
            rest = cost.seconds - loop
            write(f"{'  overhead':<34}{rest:>10.1f}{rest / total:>8.1%}\n")
    write(f"{'sum over jobs':<28}{sum(c.jobs for c in steps):>6}{total:>10.1f}\n")
    beside = overhead(steps, sum(methods.values()))
    write(f"{'training jobs beside the loop, and evaluation':<44}{beside / total:>8.1%}\n\n")
    write(f"{'training loop, by method':<34}{'seconds':>10}\n")
    for method, seconds in sorted(methods.items(), key=lambda item: -item[1]):
        write(f"{method:<34}{seconds:>10.1f}\n")
    return "".join(lines)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))
