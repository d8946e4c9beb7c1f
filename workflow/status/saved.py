"""What a run's saved state says of its progress, read without torch and without its tensors."""

import json
import math
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

from workflow.base.files import read_json
from workflow.config.training import Training

STATE, LAST = "state.safetensors", "run.json"
# A header of a file that is no state must not fill the memory.
LARGEST_HEADER = 100_000_000


class State(NamedTuple):
    """How far a run has come.

    Attributes:
        changed: the time when the state was saved, in seconds since 1970.
        done: whole epochs.
        steps: the steps of all epochs.
        step: steps done.
        spent: seconds of training.
        per_epoch: steps of an epoch; None before the first has ended.
        jaccard: the Jaccard index of the last validation; None where there is none.
    """

    changed: float
    done: int
    step: int
    spent: float
    per_epoch: int | None
    jaccard: float | None


class SavedProgress(NamedTuple):
    """What a run has left behind that Snakemake does not know of.

    Attributes:
        changed: the time when anything of it was written last, in seconds since 1970; 0 if nothing
            is there.
        state: the state of training that was saved last.
        record: what run.json will say, of a run whose job trains other seeds still.
    """

    changed: float = 0.0
    state: State | None = None
    record: dict[str, Any] | None = None


def saved_progress(folder: Path) -> SavedProgress:
    """Look into a run's folder of states; the newest counts, whatever made the others."""
    left = SavedProgress()
    for file in folder.glob("*/*"):
        try:
            changed = file.stat().st_mtime
            if changed <= left.changed:
                continue
            if file.name == LAST:
                left = SavedProgress(changed, record=read_json(file))
            elif file.name == STATE:
                left = SavedProgress(changed, state=read_state(file))
            else:
                left = left._replace(changed=changed)
        except (OSError, ValueError, KeyError):
            continue  # it has just gone, or a machine that stopped left half of it
    return left


def read_state(file: Path) -> State:
    """Read the progress in the header of a state.

    Raises:
        ValueError, KeyError: the file is no state.
    """
    changed, facts = _facts(file)
    history = facts["history"]
    jaccard = history[-1]["val_ji"] if history else math.nan
    return State(
        changed=changed,
        done=len(history),
        step=facts["step"],
        spent=facts["spent"],
        per_epoch=history[0]["steps"] if history else None,
        jaccard=None if jaccard is None or math.isnan(jaccard) else jaccard,
    )


def saved_history(folder: Path) -> list[dict[str, Any]]:
    """The epochs of the newest state in a run's folder of states; none where there is no state."""
    newest: tuple[float, list[dict[str, Any]]] = (0.0, [])
    for file in folder.glob(f"*/{STATE}"):
        try:
            changed, facts = _facts(file)
            newest = max(newest, (changed, facts["history"]), key=lambda one: one[0])
        except (OSError, ValueError, KeyError):
            continue  # it has just gone, or a machine that stopped left half of it
    return newest[1]


def _facts(file: Path) -> tuple[float, dict[str, Any]]:
    """When a state was saved, and what its header says of its run.

    Raises:
        ValueError, KeyError: the file is no state.
    """
    with file.open("rb") as stream:
        changed = os.fstat(stream.fileno()).st_mtime
        length = struct.unpack("<Q", stream.read(8).ljust(8, b"\0"))[0]
        if length > LARGEST_HEADER:
            raise ValueError(f"{file}: its header is too long for a state")
        header = stream.read(length).decode()
    key = '"__metadata__":'
    # Only this entry is parsed: the others describe thousands of tensors.
    metadata, _ = json.JSONDecoder().raw_decode(header, header.index(key) + len(key))
    return changed, json.loads(metadata["facts"])


def seconds_left(state: State, training: Training) -> float | None:
    """Seconds of training left when a state was saved; None before the first epoch has ended."""
    if state.per_epoch is None or not state.step:
        return None
    steps = epochs_of(training, state.per_epoch) * state.per_epoch
    steps = min(steps, training.max_steps or steps)
    return max(0.0, (steps - state.step) * state.spent / state.step)


def epochs_of(training: Training, per_epoch: int) -> int:
    """How many epochs a run has: fewer than its protocol says where `max_steps` ends it before."""
    if training.max_steps is None:
        return training.epochs
    return min(training.epochs, math.ceil(training.max_steps / per_epoch))
