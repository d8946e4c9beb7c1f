"""How the paper's printed numbers came about, as far as it bears on comparing them with a run's."""

from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.metrics.against import Printing


def printing(config: Config, run: Run) -> Printing:
    """How the printed numbers of a run's place came about, beside its own.

    Only an official split has the paper's own test images. Where a notice holds for the run it
    cannot be compared with the paper, and the notice is the reason.
    """
    entry = config.datasets.get(run.dataset)
    if entry is None or run.method not in config.methods:
        return Printing(same_images=False)
    return Printing(entry.split == "official", "; ".join(notices(config, [run])))
