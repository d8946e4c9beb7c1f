"""The standing of a reproduction as text, 100 columns wide, and as JSON."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill, wrap
from typing import Any, get_args

from workflow.base.wording import two_units
from workflow.config.model import Config
from workflow.status.estimate import Estimate
from workflow.status.runs import Stand, Standing
from workflow.status.steps import DataStanding, Made

WIDTH = 100
SIGNS: dict[Stand, str] = {
    "waiting": ".",
    "running": ">",
    "stopped": "=",
    "trained": "t",
    "done": "#",
    "failed": "X",
}
MEANINGS: dict[Stand, str] = {
    "waiting": "waiting",
    "running": "running",
    "stopped": "stopped",
    "trained": "trained, not yet evaluated",
    "done": "done",
    "failed": "failed",
}
# More seeds than this are shown as counts.
MOST_SIGNS = 10
# More runs than this are not listed one by one; the matrix and --json have all.
MOST_LISTED = 25


@dataclass(frozen=True)
class Overview:
    """Everything there is to show at one moment.

    Attributes:
        at: the moment, as people write it.
    """

    config: Config
    at: str
    data: list[DataStanding]
    runs: list[Standing]
    estimate: Estimate
    made: Made

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data; times are in seconds."""
        return {
            "preset": self.config.preset,
            "at": self.at,
            "data": [standing._asdict() for standing in self.data],
            "counts": counts(self.runs),
            "runs": [run.as_json() for run in self.runs],
            "estimate": self.estimate._asdict(),
            "made": self.made._asdict(),
        }

    def as_text(self) -> str:
        """All of it for people."""
        parts = [
            f"{self.config.results}, {self.at}",
            "\n".join(map(_data_line, self.data)),
            matrix(self.runs, self.config.seeds),
            _totals(self.runs),
            fill(_estimate(self.estimate, self.runs), WIDTH),
            _made(self.made),
            _listed("running", self.runs, _running),
            _listed("stopped", self.runs, _stopped),
            _failed(self.runs),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def paragraph(text: str, indent: int = 4) -> list[str]:
    """Lines of at most `WIDTH` characters, indented."""
    return wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)


def counts(runs: Iterable[Standing]) -> dict[Stand, int]:
    """How many runs stand how."""
    found = Counter(run.stand for run in runs)
    return {stand: found[stand] for stand in get_args(Stand)}


def matrix(runs: Sequence[Standing], seeds: Sequence[int]) -> str:
    """A line per method and a column per data set: a sign per seed, or counts of many seeds."""
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    methods = list(dict.fromkeys(run.method for run in runs))
    cells: dict[tuple[str, str], list[Standing]] = {}
    for run in runs:
        cells.setdefault((run.method, run.dataset), []).append(run)
    text = {pair: _cell(of_pair) for pair, of_pair in cells.items()}
    first = max(map(len, methods), default=0)
    each = max(map(len, text.values()), default=0)
    widths = {name: max(each, len(name)) for name in datasets}
    if first + sum(width + 2 for width in widths.values()) > WIDTH:
        room = max(each, (WIDTH - first) // len(datasets) - 2)  # names of data sets are cut
        widths = {name: min(width, room) for name, width in widths.items()}
    heading = [name[: widths[name]].ljust(widths[name]) for name in datasets]
    lines = [" " * first + "  " + "  ".join(heading).rstrip()]
    for method in methods:
        row = [text.get((method, name), "").ljust(widths[name]) for name in datasets]
        lines.append(f"{method:<{first}}  {'  '.join(row)}".rstrip())
    key = [f"{SIGNS[stand]} {MEANINGS[stand]}" for stand in get_args(Stand)]
    if len(seeds) > MOST_SIGNS:
        key = [f"done of {len(seeds)} seeds", "X: that failed", ">: that run"]
    return "\n".join([*lines, f"({', '.join(key)})"])


def _time(seconds: float) -> str:
    return two_units(seconds, 60)  # nothing is known to the second


def _cell(runs: Sequence[Standing]) -> str:
    if len(runs) <= MOST_SIGNS:
        return "".join(SIGNS[run.stand] for run in runs)
    found = counts(runs)
    rest = [f" {found[stand]}{SIGNS[stand]}" for stand in ("failed", "running") if found[stand]]
    return f"{found['done']}/{len(runs)}" + "".join(rest)


def _data_line(data: DataStanding) -> str:
    if data.step is None:
        return f"data: {data.dataset} is prepared"
    line = f"data: {data.dataset} waits for its step {data.step}"
    if not data.reason:
        return line
    return "\n".join([f"{line}, which failed", *paragraph(data.reason), f"    {data.log}"])


def _totals(runs: Sequence[Standing]) -> str:
    found = [f"{number} {stand}" for stand, number in counts(runs).items() if number]
    return f"{len(runs)} runs: {', '.join(found)}"


def _estimate(estimate: Estimate, runs: Sequence[Standing]) -> str:
    if not estimate.left:
        return "Nothing is left to train." if runs else ""
    if estimate.work is None:
        return "Time left: no run has gone far enough to tell."
    basis = f"from runs of {estimate.known} of the {estimate.left} methods and data sets left"
    if estimate.clock is None:
        return f"Time left: {_time(estimate.work)} of training ({basis}); none is running."
    at_once = "one run" if estimate.at_once == 1 else f"{estimate.at_once} runs"
    return (
        f"Time left: {_time(estimate.clock)} with {at_once} at a time, as now; "
        f"{_time(estimate.work)} of training in all ({basis})."
    )


def _made(made: Made) -> str:
    report = "the report is there" if made.report else "no report yet"
    return (
        f"Made: {made.tables} of {made.of_tables} tables, "
        f"{made.figures} of {made.of_figures} figures, "
        f"{made.plots} of {made.of_plots} larger figures; {report}."
    )


def _listed(stand: Stand, runs: Sequence[Standing], line: Callable[[Standing], str]) -> str:
    chosen = [run for run in runs if run.stand == stand]
    lines = [f"  {line(run)}" for run in chosen[:MOST_LISTED]]
    if len(chosen) > MOST_LISTED:
        lines.append(f"  and {len(chosen) - MOST_LISTED} more")
    return "\n".join([f"{stand.capitalize()}:", *lines]) if chosen else ""


def _running(run: Standing) -> str:
    if run.step != "train":
        return f"{run.name}: {run.step}" + _job(run)
    # The epoch under way; before the first, data are loaded and networks compiled.
    said = f"epoch {_epoch(run)}/{run.epochs}"
    if run.jaccard is not None:
        said += f", JI {run.jaccard:.3f}"
    left = ", time left not known yet" if run.left is None else f", {_time(run.left)} left"
    return f"{run.name}: {said}{left}{_job(run)}"


def _stopped(run: Standing) -> str:
    if run.saved:
        return f"{run.name}: at epoch {_epoch(run)}/{run.epochs}, its state is saved"
    return f"{run.name}: nothing is saved, it starts anew ({run.log})"


def _epoch(run: Standing) -> int:
    return min((run.done or 0) + 1, run.epochs or 1)


def _job(run: Standing) -> str:
    return f", Slurm job {run.slurm_job}" if run.slurm_job else ""


def _failed(runs: Sequence[Standing]) -> str:
    """The runs that failed, those of one reason together."""
    reasons, lines = dict[str, list[Standing]](), list[str]()
    for run in runs:
        if run.stand == "failed":
            reasons.setdefault(run.reason, []).append(run)
    for reason, group in list(reasons.items())[:MOST_LISTED]:
        first = group[0]
        more = f", and {len(group) - 1} more for the same reason" if len(group) > 1 else ""
        lines.append(f"  {first.name}{more}: {first.step} failed{_job(first)}")
        lines += paragraph(reason)
        lines += [f"    {first.log}"] if first.log else []
    if len(reasons) > MOST_LISTED:
        lines.append(f"  and for {len(reasons) - MOST_LISTED} more reasons")
    return "\n".join(["Failed:", *lines]) if lines else ""
