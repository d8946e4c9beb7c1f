"""What runs really used, beside what was predicted of them."""

from typing import NamedTuple

from workflow.base.digests import read_recorded_json
from workflow.config import paths
from workflow.config.model import Config
from workflow.planning.bill import Bill


class Used(NamedTuple):
    """Of a method's runs that are done: how many, and seconds predicted and used in training."""

    method: str
    runs: int
    predicted: float
    used: float
    device: str


def used(config: Config, bill: Bill) -> list[Used]:
    """Predicted against used, a line per method of which some run is done."""
    lines: list[Used] = []
    for method, runs in bill.by_method().items():
        predicted, spent, count, device = 0.0, 0.0, 0, ""
        for run in runs:
            for seed in config.seeds:
                file = paths.run(config, *run, seed) / "run.json"
                record = read_recorded_json(file) if file.is_file() else {}
                if "wall_seconds" in record:  # a control, and a run that failed early, has none
                    predicted += bill.costs[run].training
                    spent += record["wall_seconds"]
                    device = record["device"]
                    count += 1
        if count:
            lines.append(Used(method, count, predicted, spent, device))
    return lines
