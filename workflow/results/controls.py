"""Whether each learned method lies between its controls: below the oracle, above those that know
nothing of the images.

One score a task: DSC for segmentation, and for classification the informedness, sensitivity plus
specificity less 100, which is about 0 for every guess that does not look at the image, whatever its
share of positives. Accuracy would not do: calling every label absent is right most of the time.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow.config.cells import Run, is_control
from workflow.config.metrics import Task
from workflow.config.model import Config

if TYPE_CHECKING:
    import pandas as pd

SCORES: dict[Task, str] = {"segmentation": "DSC", "classification": "Youden index"}


class ControlRange(NamedTuple):
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


def control_ranges(config: Config, results: "pd.DataFrame") -> list[ControlRange]:
    """The range of every learned method with a score, on data sets whose controls were made.

    Args:
        config: the resolved configuration.
        results: columns dataset, method, seed, metric, value (per cent; NaN is undefined).
    """
    scores, found = _scores(results), []
    for (dataset, method, task), score in scores.items():
        around = _controls(config, scores, dataset, task)
        oracles = [s for name, s in around.items() if config.methods[name].control == "oracle"]
        floor = _floor(config, around)
        if oracles and floor and not is_control(config, method):
            by, least = floor
            found.append(ControlRange(Run(dataset, method), task, score, least, by, max(oracles)))
    return found


def below_controls(config: Config, results: "pd.DataFrame") -> dict[tuple[Run, Task], str]:
    """(run, task) -> why it says nothing, of learned methods that a control does as well as.

    Args:
        config: the resolved configuration.
        results: as for `control_ranges`; data sets without controls have no entry.
    """
    scores, found = _scores(results), {}
    for (dataset, method, task), score in scores.items():
        floor = _floor(config, _controls(config, scores, dataset, task))
        if floor and score <= floor[1] and not is_control(config, method):
            title = config.methods[floor[0]].title.lower()
            found[Run(dataset, method), task] = (
                f"below control: {SCORES[task]} {score:.1f}, where {title} has {floor[1]:.1f}"
            )
    return found


def _controls(
    config: Config, scores: Mapping[tuple[str, str, Task], float], dataset: str, task: Task
) -> dict[str, float]:
    """Control -> its score on a data set."""
    names = (name for name in config.methods if is_control(config, name))
    return {name: scores[dataset, name, task] for name in names if (dataset, name, task) in scores}


def _floor(config: Config, around: Mapping[str, float]) -> tuple[str, float] | None:
    """The best of the controls that know nothing of the images, and its score."""
    low = {n: s for n, s in around.items() if config.methods[n].control != "oracle"}
    return max(low.items(), key=lambda item: item[1]) if low else None


def seed_scores(results: "pd.DataFrame") -> dict[tuple[str, str, Task], dict[int, float]]:
    """(data set, method, task) -> seed -> score, of the seeds that gave a number."""
    found: dict[tuple[str, str, Task], dict[int, float]] = {}
    for seed, of_seed in results.groupby("seed"):
        for key, score in _scores(of_seed).items():
            found.setdefault(key, {})[int(str(seed))] = score
    return found


def as_table(config: Config, results: "pd.DataFrame") -> str:
    """Every learned method with its controls as Markdown, the score of each seed beside them."""
    seeds = seed_scores(results)
    heads = ("data set", "method", "score", *(f"seed {seed}" for seed in config.seeds))
    heads = (*heads, "best control that knows nothing", "lowest seed less it", "oracle")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for one in control_ranges(config, results):
        own = seeds[one.run.dataset, one.run.method, one.task]
        cells = (
            config.datasets[one.run.dataset].title,
            config.methods[one.run.method].title,
            SCORES[one.task],
            *(f"{own[seed]:.1f}" if seed in own else "" for seed in config.seeds),
            f"{one.floor:.1f} ({config.methods[one.by].title})",
            f"{min(own.values()) - one.floor:+.1f}",
            f"{one.ceiling:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _scores(results: "pd.DataFrame") -> dict[tuple[str, str, Task], float]:
    """(data set, method, task) -> mean over the seeds that gave a number."""
    grouped = results.groupby(["dataset", "method", "metric"], sort=False)["value"]
    means: dict[Any, float] = grouped.mean().dropna().to_dict()
    scores: dict[tuple[str, str, Task], float] = {}
    for (dataset, method, metric), mean in means.items():
        if metric == "dsc":
            scores[dataset, method, "segmentation"] = mean
        if metric == "sen" and (dataset, method, "spe") in means:
            scores[dataset, method, "classification"] = mean + means[dataset, method, "spe"] - 100
    return scores
