"""The plain implementation in a process of its own, as it would run, without the engine's settings.

The engine tells its whole process to keep freed memory, for one; plain steps would be faster too.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import plain
from benchmarks.cases import BenchmarkCase, lesions, plain_step
from workflow.networks.device import available_cpus


class StepSeconds(NamedTuple):
    """Seconds of one step: on the clock, of the processor, and of that in the system's service."""

    wall: float
    processor: float
    system: float


class Stopwatch:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._start = self._now()

    def read(self) -> StepSeconds:
        """What was spent since then."""
        return StepSeconds(
            *(now - then for now, then in zip(self._now(), self._start, strict=True))
        )

    @staticmethod
    def _now() -> StepSeconds:
        return StepSeconds(time.perf_counter(), time.process_time(), os.times().system)


class PlainProcess:
    """A process that takes a plain step, loading included, whenever it is asked to."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def step(self) -> StepSeconds:
        """Take a step; the first one waits for the process to be ready.

        Raises:
            EOFError: the process has failed.
        """
        self._connection.send(True)
        return self._connection.recv()


@contextmanager
def plain_process(case: BenchmarkCase, device: torch.device) -> Iterator[PlainProcess]:
    """Start such a process, and end it after the block."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, case, str(device)))
    process.start()
    there.close()
    try:
        yield PlainProcess(here)
    finally:
        here.close()
        process.join()


def _serve(connection: Any, case: BenchmarkCase, name: str) -> None:
    device, training = torch.device(name), case.config().training
    torch.set_num_threads(min(training.threads, available_cpus()))
    torch.backends.cudnn.benchmark = True
    images, step = lesions(case, device), plain_step(case, device)
    with tempfile.TemporaryDirectory() as folder:
        files = plain.PngImages(
            Path(folder), images.images, images.masks, images.labels, training.augmentation
        )
        loader = plain.batches(files, case.batch, device)
        while _asked(connection):
            watch = Stopwatch()
            step(*next(loader))
            connection.send(watch.read())


def _asked(connection: Any) -> bool:
    try:
        return connection.recv()
    except EOFError:  # the other side has what it wanted
        return False
