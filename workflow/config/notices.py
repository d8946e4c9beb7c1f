"""What a reader must know before reading a number: one wording, shown on the face of everything.

Tables in each format, figures and pages of the report all ask here, so that no result can leave
the project without it.
"""

from collections.abc import Iterable

from workflow.config.cells import Run
from workflow.config.model import Config

DEMO = "demo: phantom data, not comparable with the paper"
SPLIT_BY_SLICE = "split by slice: neighbours of test slices were trained on, scores leak"
WITHOUT_DUPLICATES = "scored without test images that are also in training or validation"
SELECTED_ON_TEST = "checkpoint selected on the test split: scores are optimistic"


def notices(config: Config, runs: Iterable[Run]) -> tuple[str, ...]:
    """The warnings that hold for results of these runs; empty if there is nothing to warn of."""
    runs = list(runs)
    found = [DEMO] if config.demo else []
    found += [config.notice] if config.notice else []
    found += [WITHOUT_DUPLICATES] if config.evaluation.drop_duplicates else []
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    by_slice = [name for name in datasets if config.datasets[name].split == "slices"]
    found += _of_some(SPLIT_BY_SLICE, by_slice, datasets)
    on_test = [run for run in runs if config.training_for(*run).validation == "test"]
    found += _of_some(
        SELECTED_ON_TEST,
        [f"{run.method} on {run.dataset}" for run in on_test],
        [f"{run.method} on {run.dataset}" for run in runs],
    )
    return tuple(found)


def _of_some(notice: str, concerned: list[str], all_: list[str]) -> list[str]:
    """A notice, with the names it concerns unless it concerns all; nothing if none."""
    if not concerned:
        return []
    return [notice if concerned == all_ else f"{notice} (only {', '.join(concerned)})"]


def seeds_text(seeds: Iterable[int]) -> str:
    """`seed 0`, or `seeds 0, 1, 2`."""
    listed = [str(seed) for seed in seeds]
    return f"seed{'s' if len(listed) != 1 else ''} {', '.join(listed)}"
