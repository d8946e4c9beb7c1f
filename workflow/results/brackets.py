"""Whether each learned method lies between its controls: below the oracle, above those that know
nothing of the images. `python -m workflow.results.brackets CONFIG` prints it, seed by seed.

One score a task: DSC for segmentation, and for classification the informedness, sensitivity plus
specificity less 100, which is about 0 for every guess that does not look at the image, whatever its
share of positives. Accuracy would not do: calling every label absent is right most of the time.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.config.sections import Task
from workflow.results.families import is_control

if TYPE_CHECKING:
    import pandas as pd


class Bracket(NamedTuple):
    """A learned method's score and the controls around it, per cent, means over seeds.

    Attributes:
        run: the learned method on a data set.
        task: whose score it is.
        score: the method's.
        floor: the best score among the controls that know nothing of the images.
        by: the method of that control.
        ceiling: the oracle's score.
    """

    run: Run
    task: Task
    score: float
    floor: float
    by: str
    ceiling: float

    @property
    def inside(self) -> bool:
        """Whether the score is above the floor and not above the ceiling."""
        return self.floor < self.score <= self.ceiling


def brackets(config: Config, results: "pd.DataFrame") -> list[Bracket]:
    """The bracket of every learned method with a score, on data sets whose controls were made.

    Args:
        config: the resolved configuration.
        results: columns dataset, method, seed, metric, value (per cent; NaN is undefined).
    """
    scores = _scores(results)
    found = []
    for (dataset, method, task), score in scores.items():
        if is_control(config, method):
            continue
        around = {
            name: scores[dataset, name, task]
            for name in config.methods
            if is_control(config, name) and (dataset, name, task) in scores
        }
        oracles = [s for name, s in around.items() if config.methods[name].control == "oracle"]
        low = {n: s for n, s in around.items() if config.methods[n].control != "oracle"}
        if oracles and low:
            by = max(low, key=lambda name: low[name])
            found.append(Bracket(Run(dataset, method), task, score, low[by], by, max(oracles)))
    return found


def _scores(results: "pd.DataFrame") -> dict[tuple[str, str, Task], float]:
    """(data set, method, task) -> mean over the seeds that gave a number."""
    values: dict[tuple[str, str, str], list[float]] = {}
    columns = ("dataset", "method", "metric", "value")
    for dataset, method, metric, value in zip(*(results[c] for c in columns), strict=True):
        if not np.isnan(value):
            values.setdefault((dataset, method, metric), []).append(value)
    return _of_tasks({key: float(np.mean(found)) for key, found in values.items()})


def _of_tasks(means: Mapping[tuple[str, str, str], float]) -> dict[tuple[str, str, Task], float]:
    """(data set, method, metric) -> value as (data set, method, task) -> score."""
    scores: dict[tuple[str, str, Task], float] = {}
    for dataset, method, metric in means:
        if metric == "dsc":
            scores[dataset, method, "segmentation"] = means[dataset, method, "dsc"]
        if metric == "sen" and (dataset, method, "spe") in means:
            both = means[dataset, method, "sen"] + means[dataset, method, "spe"]
            scores[dataset, method, "classification"] = both - 100
    return scores


def seed_scores(results: "pd.DataFrame") -> dict[tuple[str, str, Task], dict[int, float]]:
    """(data set, method, task) -> seed -> score, of the seeds that gave a number."""
    found: dict[tuple[str, str, Task], dict[int, float]] = {}
    for seed, of_seed in results.groupby("seed"):
        for key, score in _scores(of_seed).items():
            found.setdefault(key, {})[int(str(seed))] = score
    return found


def table(config: Config, results: "pd.DataFrame") -> str:
    """Every learned method with its controls as Markdown, the score of each seed beside them."""
    seeds = seed_scores(results)
    heads = ("data set", "method", "score", *(f"seed {seed}" for seed in config.seeds))
    heads = (*heads, "best control without knowledge", "above it, least seed", "oracle")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for one in brackets(config, results):
        own = seeds[one.run.dataset, one.run.method, one.task]
        cells = (
            config.datasets[one.run.dataset].title,
            config.methods[one.run.method].title,
            "DSC" if one.task == "segmentation" else "sen + spe − 100",
            *(f"{own[seed]:.1f}" if seed in own else "" for seed in config.seeds),
            f"{one.floor:.1f} ({config.methods[one.by].title})",
            f"{min(own.values()) - one.floor:+.1f}",
            f"{one.ceiling:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def show(config: Config) -> None:
    """Print the table of a configuration's runs."""
    from workflow.config.cells import runs
    from workflow.metrics.metrics import collect

    sys.stdout.write(f"{table(config, collect(config, runs(config)))}\n")


if __name__ == "__main__":
    from workflow.running.step import run_step

    run_step(show, Path(sys.argv[1]))
