"""Which inputs count for an output when Snakemake asks whether they are others than before.

A job is for several seeds, and Snakemake takes the weights of all of them for inputs of each one's
counts. Packed with others, a finished seed would be evaluated again, and trained for that where its
weights are not kept. So of the inputs that are one seed's, only those of the output's own count.
"""

import inspect
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

SEED = re.compile(r"seed\d+")


def install(persistence: Any) -> bool:
    """Have a class of Snakemake's compare so; False, and nothing done, if it is another one.

    Args:
        persistence: `FilePersistence` of Snakemake 9.
    """
    theirs = getattr(persistence, "_input_changed", None)
    if theirs is None or list(inspect.signature(theirs).parameters) != ["self", "job", "file"]:
        return False
    persistence._input_changed = _input_changed
    return True


def own_inputs(inputs: Iterable[str], output: str) -> list[str]:
    """The inputs of an output's seed, and those that are of no seed; all where it is of none."""
    own = _seed(output)
    return [file for file in inputs if own is None or _seed(file) in (None, own)]


def _seed(file: str) -> str | None:
    """The folder of a path that is called by a seed, such as `seed3`."""
    return next((part for part in PurePath(file).parts if SEED.fullmatch(part)), None)


def _input_changed(self: Any, job: Any, file: Any = None) -> bool:
    """Whether an output was made of other files than it would be now."""
    recorded = self.input(file)
    if recorded is None:
        return False
    return own_inputs(recorded, str(file)) != own_inputs(self._input(job), str(file))
