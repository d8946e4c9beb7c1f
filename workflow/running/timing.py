"""Where the time of a finished run went, as `resformer timing` prints it.

Adds up what Snakemake measured of each job, by rule, and sets it against the seconds that training
itself took: the rest of a training job is overhead (starting, loading data, writing).
"""

from collections.abc import Sequence
from typing import NamedTuple

from workflow.base.columns import aligned
from workflow.base.digests import read_recorded_json
from workflow.base.files import read_csv
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config

STEPS = (
    "phantom", "download", "raw", "inventory", "split", "prepare", "gates", "superpixels",
    "pretrain", "train", "evaluate", "control", "table", "figure", "plot", "verdicts", "report",
)  # fmt: skip


class JobSeconds(NamedTuple):
    """Jobs of one step and the seconds they took, waiting for a core not counted."""

    step: str
    jobs: int
    seconds: float


def costs(config: Config) -> list[JobSeconds]:
    """The cost of each step that has run."""
    found = []
    for step in STEPS:
        files = sorted((config.results / "benchmarks" / step).rglob("*.tsv"))
        seconds = [float(row["s"]) for file in files for row in read_csv(file, delimiter="\t")]
        if seconds:
            found.append(JobSeconds(step, len(seconds), sum(seconds)))
    return found


def training_seconds(config: Config) -> dict[str, float]:
    """method -> seconds in the training loop, over data sets and seeds."""
    seconds: dict[str, float] = {}
    for dataset, method in runs(config):
        for seed in config.seeds:
            record = paths.run(config, dataset, method, seed) / "run.json"
            if record.is_file():
                spent = read_recorded_json(record).get("wall_seconds", 0.0)  # none for a control
                seconds[method] = seconds.get(method, 0.0) + spent
    return seconds


def overhead(steps: Sequence[JobSeconds], loop: float) -> float:
    """Seconds of training jobs that are not in the training loop, and of evaluation."""
    return sum(cost.seconds for cost in steps if cost.step in ("train", "evaluate")) - loop


def as_text(config: Config) -> str:
    """The costs as a table."""
    steps, methods = costs(config), training_seconds(config)
    total = sum(cost.seconds for cost in steps)
    rows = [["step", "jobs", "seconds", "share"]]
    for cost in steps:
        rows.append([cost.step, str(cost.jobs), *_shared(cost.seconds, total)])
        if cost.step == "train":
            loop = sum(methods.values())
            rows.append(["  in the training loop", "", *_shared(loop, total)])
            rows.append(["  overhead", "", *_shared(cost.seconds - loop, total)])
    rows.append(["sum over jobs", str(sum(cost.jobs for cost in steps)), f"{total:.1f}"])
    beside = overhead(steps, sum(methods.values()))
    rows.append(["training jobs beside the loop, and evaluation", "", *_shared(beside, total)])
    ordered = sorted(methods.items(), key=lambda item: -item[1])
    loops = [["training loop, by method", "seconds"], *([m, f"{s:.1f}"] for m, s in ordered)]
    return "\n".join([*aligned(rows), "", *aligned(loops), ""])


def _shared(seconds: float, total: float) -> list[str]:
    return [f"{seconds:.1f}", f"{seconds / total:.1%}"]
