"""How the DAG is cut into jobs: which seeds one job is for, and which methods a rule is for.

Imports next to nothing, because the DAG is built with it.
"""

from collections.abc import Sequence
from typing import Literal

from workflow.config.model import Config

# What a wildcard is held to where no method is of the kind: no method has that name.
NO_METHOD = "none"


def packs(config: Config) -> list[list[int]]:
    """The seeds of each job: `training.seeds_per_job` at most, such as 0 and 1, or 2 and 3.

    A seed has the same companions whichever seeds are asked for, so that a finished one is not made
    anew because another stands beside it.
    """
    size = config.training.seeds_per_job
    found: dict[int, list[int]] = {}
    for seed in config.seeds:
        found.setdefault(seed // size, []).append(seed)
    return list(found.values())


def pack_name(pack: Sequence[int]) -> str:
    """`seed0_1` of the seeds 0 and 1, as rules and logs are called."""
    return f"seed{'_'.join(map(str, pack))}"


def at_once(config: Config, pack: Sequence[int]) -> int:
    """How many seeds of a job train at the same time, each in a process of its own."""
    return min(config.training.seeds_at_once, len(pack))


def methods_pattern(config: Config, kind: Literal["trained", "control", "pretrained"]) -> str:
    """A regular expression of the methods of a kind, to hold a wildcard to.

    Args:
        config: a configuration with all methods.
        kind: `trained` have a network, `control` have none, and `pretrained` train a network of
            their own before they are trained.
    """
    chosen = {
        name: {
            "trained": entry.module is not None,
            "control": entry.module is None,
            "pretrained": entry.pretraining is not None,
        }[kind]
        for name, entry in config.methods.items()
    }
    return "|".join(name for name, of_kind in chosen.items() if of_kind) or NO_METHOD
