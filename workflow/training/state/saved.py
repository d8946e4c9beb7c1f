"""A run's state on disk: a killed run goes on from there, and ends with the same bits.

Snakemake deletes the declared outputs of a job that failed, so the state lies in a folder that it
does not know, named by a hash of all that can change the result:
`results/<preset>/state/<dataset>/<method>/seed<k>/<hash>/`. There are first `state.safetensors`,
while the run trains, and then the run's outputs, until every seed of the job is done and the
outputs of all can be put in place. They stay until the run is evaluated: a workflow that is killed
before it hears that a job has ended would start that job again.
"""

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workflow.base.digests import condition, link_recorded
from workflow.networks.tensors import write_tensors
from workflow.training.state.interruption import Interrupted

NAME = "state.safetensors"
# How the names of all files of states begin, which are not outputs.
STATE = "state"
# Part of the folder's name: states of another layout are not looked at.
LAYOUT = 1
# The file of a finished run that is written last.
LAST = "run.json"
# Ends the name of a tensor that is saved with its channels last, as it lies in memory.
CHANNELS_LAST = "|channels_last"


class Snapshot(NamedTuple):
    """Tensors by name, and what else there is to know, as JSON has it."""

    tensors: Mapping[str, Tensor]
    facts: dict[str, Any]


class Keeper:
    """Saves the state of a run now and then, in the background, and gives it back.

    Args:
        file: the file of the state.
        seconds: the seconds between two saves; 0 saves after every step.
        asked: tells which signal has asked the run to stop.
    """

    def __init__(
        self, file: Path, seconds: float, asked: Callable[[], Signals | None] = lambda: None
    ) -> None:
        self.file = file
        self.asked = asked
        self.seconds = seconds
        self.spent = 0.0
        self._last = time.monotonic()
        self._copies: dict[str, Tensor] = {}
        self._writer: threading.Thread | None = None

    @property
    def wanted(self) -> bool:
        """Whether the state is to be saved now: it is time, or the run is asked to stop."""
        return bool(self.asked()) or time.monotonic() - self._last >= self.seconds

    def load(self) -> Snapshot | None:
        """The last state that was saved; None if there is none that can be read."""
        if not self.file.is_file():
            return None
        try:
            return read(self.file)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            # A disk may lose what a machine that stopped had only begun to write.
            print_line(f"{self.file}: cannot be read ({error}); the run starts anew")
            return None

    def save(self, state: Snapshot, fixed: frozenset[str] = frozenset()) -> None:
        """Copy the state, and write it while the run goes on.

        Args:
            state: tensors may be on any device, and may change once this returns.
            fixed: names of tensors in memory that will not change, and need no copy.
        """
        start = time.monotonic()
        self.wait()
        kept = {
            name: tensor if name in fixed else self._copy(name, tensor.detach())
            for name, tensor in state.tensors.items()
        }
        self._writer = threading.Thread(target=self._write, args=(Snapshot(kept, state.facts),))
        self._writer.start()
        self._last = time.monotonic()
        self.spent += self._last - start

    def stop_if_asked(self) -> None:
        """End the run if a signal has asked for it; the last save is on disk then.

        Raises:
            Interrupted: it has.
        """
        if signal := self.asked():
            self.wait()
            raise Interrupted(signal.name)

    def wait(self) -> None:
        """Wait until the last save is on disk."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def _copy(self, name: str, tensor: Tensor) -> Tensor:
        """A copy in memory that is used again at the next save."""
        copy = self._copies.get(name)
        if copy is None or copy.shape != tensor.shape or copy.stride() != tensor.stride():
            copy = self._copies[name] = torch.empty_like(tensor, device="cpu")
        return copy.copy_(tensor)

    def _write(self, state: Snapshot) -> None:
        try:
            write(self.file, state)
        except OSError as error:
            # A full disk must not end a run that can still finish; the state before stays.
            print_line(f"{self.file}: the state could not be saved ({error}); the run goes on")


def write(path: Path, state: Snapshot) -> None:
    """Write a state, whole or not at all; it is on disk when this returns."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.tensors.items():
        last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
        if last and not tensor.is_contiguous():
            tensors[name + CHANNELS_LAST] = tensor.permute(0, 2, 3, 1)
        else:
            tensors[name] = tensor.contiguous()
    write_tensors(path, tensors, {"facts": json.dumps(state.facts)})


def read(path: Path) -> Snapshot:
    """Read a state; tensors lie in memory as they did when they were saved."""
    tensors: dict[str, Tensor] = {}
    if condition(path) == "damaged":
        raise ValueError("its content is not what was written")
    with safe_open(path, "pt") as file:
        facts = json.loads((file.metadata() or {})["facts"])
        for name in file.keys():  # noqa: SIM118 (it is no mapping)
            tensor = file.get_tensor(name)
            if name.endswith(CHANNELS_LAST):
                tensors[name.removesuffix(CHANNELS_LAST)] = tensor.permute(0, 3, 1, 2)
            else:
                tensors[name] = tensor
    return Snapshot(tensors, facts)


def publish(folder: Path, target: Path, last: str = LAST) -> None:
    """Put the outputs of a finished run in their place, the file `last` at the end.

    They keep their names in the state folder too, without taking their space twice.
    """
    outputs = sorted(folder.iterdir(), key=lambda file: file.name == last)
    for output in outputs:
        if not output.name.startswith((".", STATE)):
            link_recorded(output, target / output.name)


def finished(folder: Path, last: str = LAST) -> bool:
    """Whether a run has left its outputs, the file `last` among them, and all of them are good."""
    if not (folder / last).is_file():
        return False
    outputs = [file for file in folder.iterdir() if not file.name.startswith((".", STATE))]
    bad = [file for file in outputs if condition(file) == "damaged"]
    for file in bad:
        print_line(f"{file}: damaged; the run starts anew")
    return not bad


def keep_only(folder: Path) -> None:
    """Remove the states of the same run by other protocols, data or code than `folder`'s."""
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove the states of a run that is finished; its outputs stay."""
    for name in (f"{STATE}*", f".{STATE}*"):
        for file in folder.glob(name):
            file.unlink()


def print_line(text: str) -> None:
    """A line in the log, if anybody still reads it: Ctrl-C may have ended the reader first."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
