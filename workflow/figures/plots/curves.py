"""Training curves: the losses of all seeds, a small panel for each run."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow.config.cells import Run
from workflow.figures.plots.page import MARGIN, MUTED, TEXT, WIDTH, open_page
from workflow.figures.plots.subject import Subject
from workflow.results.records import SeedRecord, read_seed

# Inches: a row of panels and what is between rows, names, above and below all rows, ticks.
TALL, BETWEEN, NAMES, TOP, BOTTOM, TICKS = 0.3, 0.06, 1.0, 0.2, 0.34, 0.3
# A loss is drawn up to so many times the largest of the lowest 95 in 100; what is above is cut.
BEYOND = 3.0
TRAINING = "#bbbbbb"


def draw(subject: Subject) -> Figure:
    """A row for each method, a column for each data set."""
    curves = {run: read_curves(subject, run) for run in subject.runs}
    found = [curve for seeds in curves.values() for curve in seeds]
    last = max((max(curve.history["epoch"]) for curve in found), default=1.0)
    cut = any(top < highest for seeds in curves.values() if seeds for top, highest in [_top(seeds)])
    words = subject.words(
        "Losses have no unit, and each panel has a scale of its own, from 0.",
        "Empty: in no table."
        if len(subject.runs) < len(subject.datasets) * len(subject.methods)
        else "",
        f"Single losses of more than {BEYOND:g} times most others leave their panels."
        if cut
        else "",
    )
    page = open_page(words, TOP + len(subject.methods) * (TALL + BETWEEN) + BOTTOM)
    wide = (WIDTH - NAMES - MARGIN) / len(subject.datasets) - TICKS
    for column, dataset in enumerate(subject.datasets):
        x = NAMES + column * (wide + TICKS) + TICKS
        page.text(x, TOP - 0.07, subject.config.datasets[dataset].title, wide, weight="bold")
        runs = [method for method in subject.methods if Run(dataset, method) in curves]
        for row, method in enumerate(subject.methods):
            if method in runs:
                y = TOP + row * (TALL + BETWEEN)
                axes = page.panel(x, y, wide, TALL)
                _panel(axes, subject, Run(dataset, method), curves[Run(dataset, method)])
                axes.set_xlim(0, max(last, 1.0) * 1.02)
                axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
                axes.tick_params(labelbottom=method == runs[-1])
                if method == runs[-1]:
                    axes.set_xlabel("epoch", labelpad=1)
    for row, method in enumerate(subject.methods):
        y = TOP + row * (TALL + BETWEEN) + TALL / 2 + 0.03
        page.text(NAMES, y, subject.config.methods[method].title, NAMES - 0.05, ha="right")
    return page.figure


def read_curves(subject: Subject, run: Run) -> list[SeedRecord]:
    """The seeds of a run that have a training curve."""
    seeds = (read_seed(subject.config, run, seed) for seed in subject.config.seeds)
    return [seed for seed in seeds if seed.history]


def _panel(axes: Axes, subject: Subject, run: Run, curves: Sequence[SeedRecord]) -> None:
    if not curves:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, subject.absent(run), size=TEXT, color=MUTED, style="italic",
            ha="center", va="center_baseline", transform=axes.transAxes,
        )  # fmt: skip
        return
    colour = subject.family(run.method).colour
    top, _ = _top(curves)
    axes.set(ylim=(0, top), yticks=[0, _round_below(top)])
    axes.yaxis.set_major_formatter("{x:g}")
    for curve in curves:
        epochs = curve.history["epoch"]
        losses = curve.history["val_loss"]
        # One epoch alone is no line.
        style = ".-" if len(epochs) == 1 else "-"
        axes.plot(epochs, curve.history["train_loss"], style, color=TRAINING, lw=0.4, ms=2)
        axes.plot(epochs, losses, style, color=colour, lw=0.5, ms=2, alpha=0.8)
        if curve.diverged:
            finite = [k for k, loss in enumerate(losses) if math.isfinite(loss)]
            at = (epochs[finite[-1]], min(losses[finite[-1]], top)) if finite else (epochs[-1], top)
            axes.plot(*at, "x", color=colour, ms=4, mew=1.0, clip_on=False, gid="failed", zorder=3)
        elif curve.kept in epochs:
            at = (curve.kept, losses[epochs.index(curve.kept)])
            axes.plot(*at, "o", color=colour, ms=2.4, mew=0, gid="kept", zorder=3)


def _top(curves: Sequence[SeedRecord]) -> tuple[float, float]:
    """Where the scale of losses ends, and the largest loss."""
    losses = [curve.history[name] for curve in curves for name in ("train_loss", "val_loss")]
    values = np.array([value for of_seed in losses for value in of_seed])
    values = values[np.isfinite(values)]
    highest = float(values.max(initial=0)) or 1.0
    most = BEYOND * float(np.quantile(values, 0.95)) if len(values) else 1.0
    return 1.05 * min(highest, most or highest), highest


def _round_below(value: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (5, 2, 1) if step * power <= value)
