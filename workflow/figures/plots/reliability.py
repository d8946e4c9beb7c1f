"""Calibration: a reliability diagram of every run that classifies."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from workflow.config.cells import Run
from workflow.figures.lettering import fit_titles
from workflow.figures.plots.page import MARGIN, MUTED, TEXT, WIDTH, open_page
from workflow.figures.plots.subject import Subject
from workflow.metrics.calibration import calibration

if TYPE_CHECKING:
    import pandas as pd

# Inches: left of the panels, between them, above and below, and the largest side of one.
LEFT, GAP, TOP, BOTTOM, WIDEST = 0.56, 0.06, 0.36, 0.4, 0.9
SHADE = "#c9c9c9"


def draw(subject: Subject) -> Figure:
    """A row for each data set, a column for each method; labels are pooled."""
    columns, rows = len(subject.methods), len(subject.datasets)
    side = min(WIDEST, (WIDTH - LEFT - MARGIN + GAP) / columns - GAP)
    words = subject.words(
        "All labels together, thin lines are seeds. Number: expected calibration error, mean over "
        "labels and seeds, in points (0 is best). Grey bars: share of the probabilities in each "
        "tenth, the highest of a panel half as high as the panel.",
        "Empty: in no table." if len(subject.runs) < columns * rows else "",
    )
    page = open_page(words, TOP + rows * (side + GAP) + BOTTOM)
    names = [subject.config.methods[method].title for method in subject.methods]
    for column, title in enumerate(fit_titles(names, side + 0.8 * GAP)):
        x = LEFT + column * (side + GAP) + side / 2
        page.title(x, TOP - 0.05, title)
    bins = calibration(subject.config, subject.runs)
    errors = subject.results.values.query("metric == 'ece'")
    for row, dataset in enumerate(subject.datasets):
        y = TOP + row * (side + GAP)
        title = subject.config.datasets[dataset].title
        page.text(0.18, y + side / 2, title, side, weight="bold", rotation=90, ha="right",
                  va="center")  # fmt: skip
        for column, method in enumerate(subject.methods):
            run = Run(dataset, method)
            if run in subject.runs:
                axes = page.panel(LEFT + column * (side + GAP), y, side, side)
                _panel(axes, subject, run, _of(bins, run), _of(errors, run)["value"].mean())
                axes.tick_params(labelleft=column == 0, labelbottom=row == rows - 1)
    page.text(LEFT - 0.2, TOP + rows * (side + GAP) / 2, "share that has the label", 3.0,
              rotation=90, ha="right", va="center")  # fmt: skip
    bottom = TOP + rows * (side + GAP) + 0.28
    page.text(LEFT + columns * (side + GAP) / 2, bottom, "predicted probability", ha="center")
    return page.figure


def pooled(bins: "pd.DataFrame") -> "pd.DataFrame":
    """The labels' bins together: low, images, probability and frequency of each bin."""
    weighed = bins[["probability", "frequency"]].mul(bins["images"], axis=0).fillna(0)
    sums = weighed.assign(low=bins["low"], images=bins["images"]).groupby("low").sum()
    images = sums["images"].where(sums["images"] > 0)
    shares = sums[["probability", "frequency"]].div(images, axis=0)
    return shares.assign(images=sums["images"]).reset_index()


def _of(frame: "pd.DataFrame", run: Run) -> "pd.DataFrame":
    return frame[(frame["dataset"] == run.dataset) & (frame["method"] == run.method)]


def _panel(axes: Axes, subject: Subject, run: Run, bins: "pd.DataFrame", error: float) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 1], yticks=[0, 1])
    # The labels of neighbours must not meet, so each stays beside its own panel.
    for label, side in zip(axes.set_xticklabels(["0", "1"]), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    for label, side in zip(axes.set_yticklabels(["0", "1"]), ("bottom", "top"), strict=True):
        label.set_verticalalignment(side)
    if bins.empty:
        axes.text(0.5, 0.5, subject.absent(run), size=TEXT, color=MUTED, style="italic",
                  ha="center", va="center_baseline")  # fmt: skip
        return
    colour, whole = subject.family(run.method).colour, pooled(bins)
    heights = 0.5 * whole["images"] / whole["images"].max()
    axes.bar(whole["low"] + 0.05, heights, 0.1, color=SHADE, linewidth=0, zorder=0)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.5, linestyle=(0, (3, 2)), zorder=1)
    for _, seed in bins.groupby("seed"):
        one = pooled(seed).dropna()
        axes.plot(one["probability"], one["frequency"], color=colour, linewidth=0.4, alpha=0.5)
    whole = whole.dropna()
    axes.plot(
        whole["probability"], whole["frequency"], ".-", color=colour, linewidth=1.1, markersize=2.5,
        gid="pooled", clip_on=False,
    )  # fmt: skip
    if np.isfinite(error):
        text = axes.text(0.04, 0.97, f"{error:.1f}", size=TEXT, va="top", gid="error", zorder=3)
        text.set_path_effects([withStroke(linewidth=1.6, foreground="white")])
