"""Where the time of a step goes: `training.profile`.

A run that is profiled leaves `phases.csv` (seconds and share of each phase of a step),
`operators.txt` (torch's operators, the dearest first) and `trace.json.gz` (of a few steps; for
chrome://tracing or ui.perfetto.dev). The trace comes first and is not timed, because tracing makes
a step slower. However long the run, only a fixed number of steps is looked at.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from workflow.base.files import replacing, write_text
from workflow.training.phases import Line, as_text, write_phases

# Steps left out while caches warm up, then traced, then timed.
WARM, TRACED, TIMED = 3, 3, 50
# The phase that a step begins with, and those outside steps.
FIRST = "data"
OUTSIDE = ("validate", "save")
REST = "the rest"
OPERATORS = 40


@dataclass
class _Clock:
    """Time of one phase: when it began and ended, on the host and on the GPU."""

    seconds: list[float] = field(default_factory=list)
    events: list[tuple[Any, Any]] = field(default_factory=list)


class Profile:
    """Times the phases of some steps of a run and traces a few others.

    Args:
        folder: the folder to write to.
        device: the device that the run computes on; phases are timed there if it is a GPU, which
            does not have to stop for it.
    """

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        self.folder = folder
        cuda = torch.cuda.is_available() and (device is None or device.type == "cuda")
        self._cuda = cuda
        self._steps = 0
        self._clocks: dict[str, _Clock] = {}
        self._whole = _Clock()
        self._begun: tuple[float, Any] | None = None
        self._tracer: Any = None

    def phase(self, name: str) -> AbstractContextManager[None]:
        """What runs inside belongs to this phase."""
        return self._phase(name)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        if name == FIRST and self._times:
            self._begun = self._now()
        if not (self._times or name in OUTSIDE):
            with torch.profiler.record_function(name) if self._tracer else nullcontext():
                yield
            return
        begun = self._now()
        yield
        self._add(self._clocks.setdefault(name, _Clock()), begun)

    def step(self) -> None:
        """A step has ended."""
        if self._begun is not None:
            self._add(self._whole, self._begun)
            self._begun = None
        self._steps += 1
        if self._steps == WARM:
            self._tracer = torch.profiler.profile()
            self._tracer.start()
        elif self._tracer:
            self._tracer.step()
            if self._steps == WARM + TRACED:
                self._write_trace()

    def finish(self) -> None:
        """Write the table; also print it."""
        if self._tracer:
            self._write_trace()
        table = self.table()
        if not self._whole.seconds:
            sys.stderr.write(
                f"training.profile: the run is too short for a table: {self._steps} steps, and "
                f"the first {WARM + TRACED} are not timed\n"
            )
        write_phases(self.folder, table)
        sys.stderr.write(as_text(table, self.folder))

    def table(self) -> list[Line]:
        """Phase, times it was timed, seconds of one, share of a step (None outside steps)."""
        whole = self._mean(self._whole)
        lines, inside = [], 0.0
        for name, clock in self._clocks.items():
            seconds = self._mean(clock)
            share = None if name in OUTSIDE else seconds / whole if whole else 0.0
            inside += 0.0 if name in OUTSIDE else seconds
            lines.append((name, len(clock.seconds), seconds, share))
        if whole:
            steps = len(self._whole.seconds)
            lines.append((REST, steps, whole - inside, 1 - inside / whole))
            lines.append(("step", steps, whole, 1.0))
        return lines

    @property
    def _times(self) -> bool:
        return WARM + TRACED <= self._steps < WARM + TRACED + TIMED

    def _now(self) -> tuple[float, Any]:
        event = None
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        return time.perf_counter(), event

    def _add(self, clock: _Clock, begun: tuple[float, Any]) -> None:
        seconds, event = self._now()
        clock.seconds.append(seconds - begun[0])
        if self._cuda:
            clock.events.append((begun[1], event))

    def _mean(self, clock: _Clock) -> float:
        if not clock.seconds:
            return 0.0
        if self._cuda:
            torch.cuda.synchronize()
            clock.seconds = [a.elapsed_time(b) / 1000 for a, b in clock.events]
        return sum(clock.seconds) / len(clock.seconds)

    def _write_trace(self) -> None:
        tracer, self._tracer = self._tracer, None
        tracer.stop()
        with replacing(self.folder / "trace.json.gz") as temporary:
            tracer.export_chrome_trace(str(temporary))
        order = "self_cuda_time_total" if self._cuda else "self_cpu_time_total"
        operators = tracer.key_averages().table(sort_by=order, row_limit=OPERATORS)
        write_text(self.folder / "operators.txt", operators)


class _NoProfile(Profile):
    """Does nothing, for nothing."""

    def __init__(self) -> None:
        self._nothing = nullcontext()

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Nothing."""
        return self._nothing

    def step(self) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


def no_profile() -> Profile:
    """What takes the place of a profile in a run that is not profiled."""
    return _NoProfile()
