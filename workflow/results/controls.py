"""Whether each learned method lies between its controls: below the oracle, above those that know
nothing of the images.

One score a task: DSC for segmentation, and for classification the informedness, sensitivity plus
specificity less 100, which is about 0 for every guess that does not look at the image, whatever its
share of positives. Accuracy would not do: calling every label absent is right most of the time.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.config.sections import Task
from workflow.results.families import is_control

if TYPE_CHECKING:
    import pandas as pd


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
            found.append(ControlRange(Run(dataset, method), task, score, low[by], by, max(oracles)))
    return found


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
