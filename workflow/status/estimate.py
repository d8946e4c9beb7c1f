"""How long the rest of training takes, from what runs have taken so far."""

import heapq
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import NamedTuple

from workflow.status.runs import RunStanding

# What is left to train of these.
OPEN = ("waiting", "running", "stopped")


class RemainingTraining(NamedTuple):
    """What is left of training; evaluation, tables and failed runs are not counted.

    Attributes:
        work: seconds over all runs that are left; None as long as no run tells what one takes.
        clock: seconds until the last of them ends, if as many train at a time as now; None if none
            does.
        at_once: how many train now.
        known: the number of these (data set, method) with a run that tells; others count as the
            mean of their data set, or of all.
        left: (data set, method) that are left.
    """

    work: float | None
    clock: float | None
    at_once: int
    known: int
    left: int


def estimate(standings: Sequence[RunStanding]) -> RemainingTraining:
    """Estimate the time left from the runs that have ended or are under way."""
    taken: dict[tuple[str, str], list[float]] = {}
    for run in standings:
        if whole := _whole(run):
            taken.setdefault((run.dataset, run.method), []).append(whole)
    means = {pair: mean(seconds) for pair, seconds in taken.items()}
    todo = [run for run in standings if run.stand in OPEN and run.step in ("train", "pretrain")]
    pairs = {(run.dataset, run.method) for run in todo}
    running = [run for run in todo if run.stand == "running"]
    known = len(pairs & set(means))
    if not means and any(run.left is None for run in todo):
        return RemainingTraining(None, None, len(running), known, len(pairs))

    def seconds(run: RunStanding) -> float:
        if run.left is not None:
            return run.left
        of_dataset = [value for pair, value in means.items() if pair[0] == run.dataset]
        whole = means.get((run.dataset, run.method)) or mean(of_dataset or means.values())
        return max(0.0, whole - run.spent)

    waiting = [seconds(run) for run in todo if run.stand != "running"]
    now = [seconds(run) for run in running]
    clock = _last_end(now, waiting) if now else None
    return RemainingTraining(sum(now) + sum(waiting), clock, len(running), known, len(pairs))


def _whole(run: RunStanding) -> float | None:
    """Seconds of a run's whole training, of one that has ended or tells what is left."""
    if run.stand in ("done", "trained"):
        return run.spent
    if run.left is None:
        return None
    if run.spent or not (run.done and run.epochs):
        return run.spent + run.left
    return run.left * run.epochs / max(1, run.epochs - run.done)  # no state yet says what it took


def _last_end(now: Iterable[float], waiting: Iterable[float]) -> float:
    """When the last run ends, if each that waits takes the place of the next that ends."""
    places = list(now)
    heapq.heapify(places)
    for seconds in waiting:
        heapq.heapreplace(places, places[0] + seconds)
    return max(places)
