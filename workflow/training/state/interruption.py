"""Signals that ask a run to stop: it saves its state after the step under way, and ends.

Slurm sends SIGUSR1 ahead of a time limit (as we ask it to) and SIGTERM on preemption and
cancellation; Ctrl-C is SIGINT. Nothing is done in the handler but to remember the signal.
"""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
# The exit code of a job that saved its state and is to be started again: EX_TEMPFAIL of sysexits.h.
TRY_AGAIN = 75


class Interrupted(Exception):
    """The run was asked to stop, and its state is saved."""


class Interruption:
    """While this context lasts, a signal of SIGNALS is remembered instead of ending the process.

    Attributes:
        asked: the first signal that came; None as long as none has.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.asked = self.asked or signal.Signals(number)
