"""Three numbers that say what came of a run: how many methods learnt, and how well."""

from collections.abc import Sequence

from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.config.sections import Task
from workflow.metrics.metrics import collect
from workflow.results.controls import ControlRange, control_ranges
from workflow.results.families import OURS, family
from workflow.status.terminal import method_title

SCORES: dict[Task, str] = {
    "segmentation": "DSC",
    "classification": "sensitivity + specificity − 100",
}


def headlines(config: Config) -> list[str]:
    """A line for each number; none where no learned method has controls beside it.

    Raises:
        DataError: a counts file cannot be used.
    """
    found = control_ranges(config, collect(config, runs(config)))
    if not found:
        return []
    return [_above(config, found), *(_best(config, found, task) for task in SCORES)]


def _above(config: Config, found: Sequence[ControlRange]) -> str:
    """How many scores lie above their controls, and the one that does so least."""
    above = [one for one in found if one.inside]
    least = min(found, key=lambda one: one.score - one.floor)
    name = f"{method_title(config, least.run.method)} on {config.datasets[least.run.dataset].title}"
    return (
        f"{len(above)} of {len(found)} scores of learned methods lie above their controls; nearest "
        f"to them is {name}, {least.score:.1f} against {least.floor:.1f}"
    )


def _best(config: Config, found: Sequence[ControlRange], task: Task) -> str:
    """The means over data sets of ResFormer, of the best of the others, and of the controls."""
    of_task = [one for one in found if one.task == task]
    datasets = dict.fromkeys(one.run.dataset for one in of_task)
    scores: dict[str, list[float]] = {}
    for one in of_task:
        scores.setdefault(one.run.method, []).append(one.score)
    means = {name: sum(s) / len(s) for name, s in scores.items() if len(s) == len(datasets)}
    floors = {one.run.dataset: one.floor for one in of_task}
    resformer = [name for name in means if family(config, name) == OURS]
    others = [name for name in means if family(config, name) != OURS]
    parts = [
        f"{method_title(config, best)} {means[best]:.1f}"
        for names in (resformer, others)
        if names
        for best in [max(names, key=means.__getitem__)]
    ]
    if not parts:
        return f"{SCORES[task]}: no learned method has it on every data set"
    floor = sum(floors.values()) / len(floors)
    over = f", means over {len(datasets)} data sets" if len(datasets) > 1 else ""
    return f"{SCORES[task]}{over}: {', '.join(parts)}, controls at most {floor:.1f}"
