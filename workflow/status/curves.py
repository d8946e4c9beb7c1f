"""The numbers of epochs while runs train: read from saved states and histories, and drawn.

A run that has ended has its history.csv; of one under way the newest saved state has the epochs so
far. So curves may be drawn at any time, and no job is disturbed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workflow.base.files import replacing
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.results.records import History, read_history
from workflow.status.saved import saved_history

# Signs of curves in the terminal, in their order.
SIGNS = "o*+x#@"
HEIGHT = 12


class RunCurves(NamedTuple):
    """The epochs of a run so far.

    Attributes:
        title: data set, method and seed.
        history: column -> a value for each epoch; NaN where there was none.
        ended: whether the run has ended.
    """

    title: str
    history: History
    ended: bool


def read_run_curves(config: Config, run: Run, seed: int) -> RunCurves | None:
    """The epochs of a run, as far as they are on disk; None before the first has ended."""
    title = f"{run.dataset} {run.method} seed {seed}"
    history = read_history(paths.run(config, *run, seed) / "history.csv")
    if history.get("epoch"):
        return RunCurves(title, history, ended=True)
    lines = saved_history(paths.state(config, *run, seed))
    if not lines:
        return None
    columns = {
        name: [math.nan if line[name] is None else float(line[name]) for line in lines]
        for name in lines[0]
    }
    return RunCurves(title, columns, ended=False)


def as_chart(curves: RunCurves, columns: Sequence[str], width: int) -> str:
    """Curves of a run as text, with a scale on the left and epochs below.

    Args:
        curves: the run.
        columns: what is drawn, such as `train_loss`.
        width: characters of a line.
    """
    epochs = curves.history["epoch"]
    drawn = {name: curves.history[name] for name in columns if name in curves.history}
    finite = [v for values in drawn.values() for v in values if math.isfinite(v)]
    heading = f"{curves.title}: epoch {epochs[-1]:g}{'' if curves.ended else ', still training'}"
    if not finite:
        return f"{heading}\n  nothing finite to draw\n"
    low, high = min(finite), max(finite)
    grid = _grid(drawn, low, high, min(max(width - 12, 8), 4 * len(epochs)))
    lines = [heading]
    for row, line in enumerate(grid):
        edge = high if row == 0 else low if row == HEIGHT - 1 else None
        lines.append(f"{'' if edge is None else f'{edge:.4g}':>9} |{''.join(line).rstrip()}")
    lines.append(f"{'':>9} +{'-' * len(grid[0])}")
    lines.append(f"{'':>11}{epochs[0]:g}{f'{epochs[-1]:g}':>{max(len(grid[0]) - 1, 1)}}")
    last = {name: _last(values) for name, values in drawn.items()}
    said = (f"{sign} {name} {last[name]:.4g}" for sign, name in zip(SIGNS, drawn, strict=False))
    return "\n".join([*lines, f"{'':>11}{', '.join(said)}"]) + "\n"


def _grid(
    drawn: Mapping[str, Sequence[float]], low: float, high: float, width: int
) -> list[list[str]]:
    """Signs on a grid of `HEIGHT` lines; where curves meet, the first is seen."""
    grid = [[" "] * width for _ in range(HEIGHT)]
    for sign, values in reversed(list(zip(SIGNS, drawn.values(), strict=False))):
        for k, value in enumerate(values):
            if math.isfinite(value):
                share = (value - low) / (high - low) if high > low else 0.5
                column = round(k * (width - 1) / max(len(values) - 1, 1))
                grid[round((1 - share) * (HEIGHT - 1))][column] = sign
    return grid


def _last(values: Sequence[float]) -> float:
    """The last value that is finite."""
    return next((value for value in reversed(values) if math.isfinite(value)), math.nan)


def draw_curves(file: Path, curves: Iterable[RunCurves], columns: Sequence[str]) -> None:
    """Draw the curves of runs into one file, a panel for each column.

    Args:
        file: a PNG, PDF or SVG, as its suffix says.
        curves: the runs.
        columns: what is drawn.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3 * len(columns)), layout="constrained")
    for axes, name in zip(figure.subplots(len(columns), squeeze=False)[:, 0], columns, strict=True):
        for one in curves:
            if name in one.history:
                style = "-" if one.ended else "--"
                axes.plot(one.history["epoch"], one.history[name], style, label=one.title, lw=1)
        axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    with replacing(file) as temporary:
        figure.savefig(temporary)
