"""What the runs left behind, read for the report: run.json, history.csv, and what is missing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow.base.digests import read_recorded_csv, read_recorded_json, reading
from workflow.config import paths
from workflow.config.cells import Run, runs
from workflow.config.metrics import METRIC_TASK
from workflow.config.model import Config
from workflow.metrics.failures import failure
from workflow.results.controls import below_controls
from workflow.results.result_cells import ResultCell, result_cell, values_by_cell

if TYPE_CHECKING:
    import pandas as pd

# Column of history.csv -> its values, one per validation; NaN where a cell is empty.
History = dict[str, list[float]]


@dataclass(frozen=True)
class SeedRecord:
    """One seed of a run: what it wrote, and in words what is missing of it.

    Attributes:
        facts: run.json, empty if there is none.
        history: the training curve, empty if there is none.
        trouble: empty if the seed was trained and evaluated.
    """

    seed: int
    facts: Mapping[str, Any]
    history: History
    trouble: str

    @property
    def kept(self) -> int | None:
        """The epoch whose weights were kept; None where it is not on record."""
        return self.facts.get("best_epoch")

    @property
    def diverged(self) -> bool:
        """Whether its training failed."""
        return bool(self.facts.get("failure"))


@dataclass(frozen=True)
class RunRecord:
    """All seeds of one (data set, method), with its metrics over them."""

    run: Run
    seeds: tuple[SeedRecord, ...]
    metrics: tuple[ResultCell, ...]

    @property
    def done(self) -> int:
        """How many seeds were trained and evaluated."""
        return sum(not seed.trouble for seed in self.seeds)

    def first(self, fact: str) -> Any:
        """A fact of run.json that does not depend on the seed; None if no seed recorded it."""
        return next((s.facts[fact] for s in self.seeds if s.facts.get(fact) is not None), None)

    def values(self, fact: str) -> list[Any]:
        """A fact of run.json from each seed that recorded it."""
        return [s.facts[fact] for s in self.seeds if s.facts.get(fact) is not None]


def read_records(config: Config, results: "pd.DataFrame") -> list[RunRecord]:
    """Every run the configuration asks for, in its order, done or not.

    Args:
        config: the resolved configuration.
        results: columns dataset, method, seed, metric, value (per cent).
    """
    values, below = values_by_cell(results), below_controls(config, results)
    return [
        RunRecord(
            run=run,
            seeds=tuple(read_seed(config, run, seed) for seed in config.seeds),
            metrics=tuple(
                result_cell(config, run, metric, values, below=below.get((run, task), ""))
                for metric, task in METRIC_TASK.items()
                if task in config.methods[run.method].tasks
            ),
        )
        for run in runs(config)
    ]


def read_seed(config: Config, run: Run, seed: int) -> SeedRecord:
    """What one seed of a run left behind."""
    folder = paths.run(config, *run, seed)
    counts = paths.evaluation(config, *run, seed) / "counts.parquet"
    file = folder / "run.json"
    facts = read_recorded_json(file) if file.is_file() else {}
    if why := failure(config, run, seed):
        trouble = f"failed: {why}"
    elif not facts:
        trouble = "no finished training run"
    elif not counts.is_file():
        trouble = "trained, not evaluated"
    else:
        trouble = ""
    return SeedRecord(seed, facts, read_history(folder / "history.csv"), trouble)


def read_history(path: Path) -> History:
    """A training curve; empty if the file is not there."""
    if not path.is_file():
        return {}
    rows = read_recorded_csv(path)
    names = list(rows[0]) if rows else []
    with reading(path):
        return {name: [float(row[name] or math.nan) for row in rows] for name in names}


def images_per_second(facts: Mapping[str, Any]) -> float | None:
    """Training images a second, of a run.json; None where it does not say, or trained nothing."""
    batch = facts.get("configuration", {}).get("training", {}).get("batch_size")
    return (facts.get("steps_per_second") or 0) * (batch or 0) or None


def distinct(records: Sequence[RunRecord], fact: str) -> list[str]:
    """The different values of a fact over all runs, as text, the most frequent first."""
    texts = [str(value) for record in records for value in record.values(fact)]
    return sorted(set(texts), key=lambda text: (-texts.count(text), text))


def total(records: Sequence[RunRecord], fact: str) -> float:
    """The sum of a fact over all runs and seeds that recorded it."""
    return math.fsum(value for record in records for value in record.values(fact))
