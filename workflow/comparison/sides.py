"""One of the two results that are compared: its configuration, its counts, and what its runs say.

Results may lie in another checkout, so everything is read from the folder that was named.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workflow.base.digests import read_recorded_json
from workflow.base.errors import DataError
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.metrics.saved import Counts, read_counts
from workflow.running.step import read_config


@dataclass(frozen=True)
class ComparedSide:
    """A folder of results.

    Attributes:
        folder: results/NAME, in any checkout.
        config: the configuration that its run wrote down.
    """

    folder: Path
    config: Config

    @classmethod
    def read(cls, folder: Path) -> "ComparedSide":
        """The results in a folder.

        Raises:
            DataError: there are none.
            ConfigError: they are of a version of the code with other keys.
        """
        if not (folder / "config.json").is_file():
            raise DataError(
                f"{folder}: no results (no config.json); name two folders such as results/paper"
            )
        return cls(folder, read_config(folder / "config.json"))

    @cached_property
    def runs(self) -> dict[Run, list[int]]:
        """Each run that was evaluated, with its seeds, in the order of the configuration."""
        found: dict[Run, list[int]] = {}
        for file in self.folder.glob("evaluation/*/*/seed*/counts.parquet"):
            seed, method, dataset = (part.name for part in list(file.parents)[:3])
            if seed.removeprefix("seed").isdigit():
                found.setdefault(Run(dataset, method), []).append(int(seed.removeprefix("seed")))
        order = {name: k for k, name in enumerate((*self.config.datasets, *self.config.methods))}
        last = len(order)
        ordered = sorted(found, key=lambda r: (order.get(r[0], last), order.get(r[1], last), r))
        return {run: sorted(found[run]) for run in ordered}

    def counts(self, run: Run, dropped: Collection[str] = ()) -> dict[int, Counts]:
        """seed -> what was counted of a run, without some images; seeds that failed are not there.

        Raises:
            DataError: a file cannot be used.
        """
        found = {}
        for seed in self.runs.get(run, []):
            file = self.folder / "evaluation" / Path(*run) / f"seed{seed}" / "counts.parquet"
            counts = read_counts(file, dropped)
            if counts != (None, None):
                found[seed] = counts
        return found

    def record(self, run: Run) -> dict[str, Any]:
        """What run.json says of the first seed that has one; empty for a control."""
        for seed in self.runs.get(run, []):
            file = self.folder / "runs" / Path(*run) / f"seed{seed}" / "run.json"
            if file.is_file():
                return read_recorded_json(file)
        return {}

    def title(self, run: Run) -> str:
        """A run as people call it."""
        datasets, methods = self.config.datasets, self.config.methods
        method = methods[run.method].title if run.method in methods else run.method
        dataset = datasets[run.dataset].title if run.dataset in datasets else run.dataset
        return f"{method} on {dataset}"
