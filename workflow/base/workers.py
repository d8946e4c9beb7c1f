"""Many independent pieces of work on several threads, with progress that a person can follow.

Threads and not processes: decoding, resizing and hashing release Python's lock, and results go
straight into memory-mapped files without being sent from one process to another.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

SECONDS_BETWEEN_LINES = 5.0

T = TypeVar("T")
R = TypeVar("R")


def usable_threads(wanted: int) -> int:
    """As many threads as wanted, and no more than processors this process may run on."""
    return max(1, min(wanted, len(os.sched_getaffinity(0))))


class WorkProgress:
    """Prints how far a piece of work is, at most every few seconds.

    Args:
        title: what is being done, the beginning of each line.
        total: how many units there are in all.
        unit: their name, in the plural.
        say: takes each line.
    """

    def __init__(self, title: str, total: int, unit: str, say: Callable[[str], None]) -> None:
        self._title, self._total, self._unit, self._say = title, total, unit, say
        self._done = 0
        self._start = self._last = time.monotonic()

    def add(self, count: int) -> None:
        """Count units as done."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            rate = self._done / (now - self._start)
            left = (self._total - self._done) / rate if rate else float("inf")
            self._say(
                f"{self._title}: {self._done} of {self._total} {self._unit}, "
                f"{rate:.1f} {self._unit}/s, {left:.0f} s left"
            )

    def end(self) -> None:
        """Say how long it took."""
        seconds = time.monotonic() - self._start
        self._say(f"{self._title}: {self._done} {self._unit} in {seconds:.1f} s")


def each(work: Callable[[T], R], items: Sequence[T], threads: int) -> Iterator[R]:
    """The results of `work` for each item, in the items' order; the first error ends it.

    No more than a few items are worked on ahead of the one that is waited for, so that memory does
    not grow with their number.
    """
    ahead = 2 * threads
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
