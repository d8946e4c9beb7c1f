"""What a reader must know before reading a number: one wording, shown on the face of everything.

Tables in each format, figures and pages of the report all ask here, so that no result can leave
the project without it.
"""

from collections.abc import Iterable

from workflow.cells import Run
from workflow.config import Config

DEMO = "demo: phantom data, not comparable with the paper"
SELECTED_ON_TEST = "checkpoint selected on the test split: scores are optimistic"


def notices(config: Config, runs: Iterable[Run]) -> tuple[str, ...]:
    """The warnings that hold for results of these runs; empty if there is nothing to warn of."""
    runs = list(runs)
    found = [DEMO] if config.demo else []
    found += [config.notice] if config.notice else []
    leaking = [run for run in runs if config.training_for(*run).validation == "test"]
    if leaking and len(leaking) == len(runs):
        found.append(SELECTED_ON_TEST)
    elif leaking:
        named = ", ".join(f"{run.method} on {run.dataset}" for run in leaking)
        found.append(f"{SELECTED_ON_TEST} (only {named})")
    return tuple(found)


def seeds_text(seeds: Iterable[int]) -> str:
    """`seed 0`, or `seeds 0, 1, 2`."""
    listed = [str(seed) for seed in seeds]
    return f"seed{'s' if len(listed) != 1 else ''} {', '.join(listed)}"
