"""Computation against quality: what a forward pass costs, and what it gives."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from workflow.config.cells import Run
from workflow.config.metrics import LEADING, with_unit
from workflow.figures.layout import INK
from workflow.figures.lettering import width_of
from workflow.figures.plots.labels import Box, place_labels
from workflow.figures.plots.page import MARGIN, MUTED, TEXT, WIDTH, open_page
from workflow.figures.plots.subject import Subject, listed
from workflow.results.result_cells import Place
from workflow.tables.extra import costs

# Panels in a row, and inches: a panel's height, and what is left of, above and below it.
ACROSS, TALL, LEFT, TOP, BOTTOM = 2, 2.1, 0.48, 0.2, 0.38


class Point(NamedTuple):
    """A method on a data set."""

    run: Run
    gflops: float
    value: float


def draw(subject: Subject) -> Figure:
    """A panel for each data set."""
    metric = LEADING[subject.key.removeprefix("efficiency_")]
    found, lacking = points(subject, metric)
    rows = -(-len(subject.datasets) // ACROSS)
    unknown = f"No FLOPs or no value: {listed(map(subject.title, lacking))}." if lacking else ""
    words = subject.words("GFLOPs of one image, two per multiply-add, on a log scale.", unknown)
    page = open_page(words, rows * (TOP + TALL + BOTTOM))
    wide = (WIDTH - 2 * MARGIN) / ACROSS - LEFT
    for index, dataset in enumerate(subject.datasets):
        row, column = divmod(index, ACROSS)
        x = column * (wide + LEFT + MARGIN) + LEFT
        y = row * (TOP + TALL + BOTTOM) + TOP
        page.text(x, y - 0.06, subject.config.datasets[dataset].title, weight="bold")
        axes = page.panel(x, y, wide, TALL)
        axes.set(xscale="log", xlabel="GFLOPs", ylabel=with_unit(metric))
        axes.xaxis.labelpad = axes.yaxis.labelpad = 1.5
        axes.grid(True)
        _panel(axes, subject, [one for one in found if one.run.dataset == dataset], (wide, TALL))
    return page.figure


def points(subject: Subject, metric: str) -> tuple[list[Point], list[Run]]:
    """The methods that have both numbers, and the runs that lack one."""
    recorded = costs(subject.config, subject.runs)
    found, lacking = [], []
    for run in subject.runs:
        estimate = subject.results.estimates.get((run, metric))
        gflops = [v for v in recorded.get(Place(*run, "gflops"), {}).values() if np.isfinite(v)]
        if estimate is None or not gflops:
            lacking.append(run)
        else:
            found.append(Point(run, gflops[0], estimate.value))
    return found, lacking


def front(found: Sequence[Point]) -> list[Point]:
    """The points that no cheaper one equals, from the cheapest on."""
    best: list[Point] = []
    for one in sorted(found, key=lambda point: (point.gflops, -point.value)):
        if not best or one.value > best[-1].value:
            best.append(one)
    return best


def _panel(axes: Axes, subject: Subject, found: Sequence[Point], size: tuple[float, float]) -> None:
    if not found:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, "no method has both numbers", size=TEXT, color=MUTED, ha="center",
            transform=axes.transAxes,
        )  # fmt: skip
        return
    low, high = (limit(one.gflops for one in found) for limit in (min, max))
    least, most = (limit(one.value for one in found) for limit in (min, max))
    space = max(0.12 * (most - least), 0.5)
    axes.set(xlim=(low / 1.6, high * 1.6), ylim=(least - space, most + space))
    axes.locator_params(axis="y", nbins=7, steps=[1, 2, 5, 10])
    # 1, 2 and 5 times powers of ten: at least one lies on any axis that spans a factor of 2.5.
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    steps = front(found)
    axes.step(
        [one.gflops for one in steps], [one.value for one in steps],
        where="post", color=MUTED, linewidth=0.7, zorder=1, gid="front",
    )  # fmt: skip
    for one in found:
        family = subject.family(one.run.method)
        axes.plot(one.gflops, one.value, family.marker, color=family.colour, markersize=4)
    _name(axes, subject, found, size)


def _drawn(corners: Sequence[tuple[float, float]]) -> list[Box]:
    """The steps of the line through some points, each as wide as it is drawn, in inches."""
    half, found = 0.01, []
    for (x, y), (right, top) in pairwise(corners):
        found.append(Box(x - half, y - half, right + half, y + half))
        found.append(Box(right - half, y - half, right + half, top + half))
    return found


def _name(axes: Axes, subject: Subject, found: Sequence[Point], size: tuple[float, float]) -> None:
    """The methods' names beside their points, with a thin line where they are further off."""
    to_inches = axes.transData + axes.transAxes.inverted()
    at = to_inches.transform([(one.gflops, one.value) for one in found]) * size
    names = [subject.config.methods[one.run.method].title for one in found]
    sizes = [(width_of(name, TEXT) + 0.02, 0.105) for name in names]
    places = [(float(x), float(y)) for x, y in at]
    steps = to_inches.transform([(one.gflops, one.value) for one in front(found)]) * size
    boxes = place_labels(places, sizes, Box(0, 0, *size), _drawn(steps.tolist()))
    for (x, y), box, name in zip(places, boxes, names, strict=True):
        near = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
        if np.hypot(near[0] - x, near[1] - y) > 0.11:
            ends = np.array([(x, y), near]) / size
            axes.plot(*ends.T, color=MUTED, linewidth=0.4, transform=axes.transAxes, zorder=1)
        axes.text(
            (box.left + box.right) / 2 / size[0], (box.bottom + box.top) / 2 / size[1], name,
            size=TEXT, color=INK, ha="center", va="center", transform=axes.transAxes, gid="name",
        )  # fmt: skip
