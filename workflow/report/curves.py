"""Training curves as SVG geometry: scaled points and ticks, drawn by a template.

matplotlib takes a quarter of a second per picture; at hundreds of runs the report would take
minutes. Nothing here draws: it only says where lines go.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# The drawing area in SVG units, and what surrounds it for tick labels.
WIDTH, HEIGHT = 240.0, 120.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 8.0, 8.0, 22.0


class Tick(NamedTuple):
    """A tick: its place along the axis and its label."""

    at: float
    label: str


class CurveLine(NamedTuple):
    """One curve: SVG path, and its points where they are too few to show as a line."""

    name: str
    path: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A small chart, in SVG units with the origin at the top left."""

    title: str
    summary: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[CurveLine]
    best: float | None

    width = LEFT + WIDTH + RIGHT
    height = TOP + HEIGHT + BOTTOM
    left, right, top, bottom = LEFT, LEFT + WIDTH, TOP, TOP + HEIGHT


def limits(series: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """A range from 0 that holds all finite values; None if there is none.

    Losses and scores have a zero that means something, and one value alone needs an axis too.
    """
    finite = [value for values in series for value in values if math.isfinite(value)]
    return (min(0.0, *finite), max(finite) or 1.0) if finite else None


def chart(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    y_limits: tuple[float, float],
    best: float | None,
) -> Chart:
    """Scale curves to the drawing area.

    Args:
        title: what is drawn, such as `Loss, seed 0`.
        x: epochs, increasing.
        series: name -> values at `x`; not finite ones leave a gap.
        y_limits: common to all charts that are compared.
        best: the epoch whose weights were kept.
    """
    x_low, x_high = min(x), max(x)
    y_ticks = ticks(*y_limits)
    y_low, y_high = min(y_limits[0], y_ticks[0]), max(y_limits[1], y_ticks[-1])

    def place_x(value: float) -> float:
        return LEFT + WIDTH * ((value - x_low) / (x_high - x_low) if x_high > x_low else 0.5)

    def place_y(value: float) -> float:
        return TOP + HEIGHT * (1 - ((value - y_low) / (y_high - y_low) if y_high > y_low else 0.5))

    lines = []
    for name, values in series.items():
        places = [
            (round(place_x(a), 1), round(place_y(b), 1)) if math.isfinite(b) else None
            for a, b in zip(x, values, strict=True)
        ]
        present = [place for place in places if place is not None]
        lines.append(CurveLine(name, path(places), present if len(present) <= 3 else []))
    return Chart(
        title=title,
        summary=_summary(x, series),
        x_ticks=[Tick(place_x(value), f"{value:g}") for value in dict.fromkeys((x_low, x_high))],
        y_ticks=[Tick(place_y(value), f"{value:g}") for value in y_ticks],
        lines=lines,
        best=None if best is None or not x_low <= best <= x_high else place_x(best),
    )


def ticks(low: float, high: float) -> list[float]:
    """Two to six round numbers that cover a range."""
    if high <= low:
        return [float(f"{low:.3g}")]
    step = 10.0 ** math.floor(math.log10(high - low))
    while (high - low) / step < 2:
        step /= 2
    while (high - low) / step > 4:
        step *= 2
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 10) for index in range(first, last + 1)]


def path(places: Sequence[tuple[float, float] | None]) -> str:
    """An SVG path through places; None lifts the pen."""
    commands, pen_down = [], False
    for place in places:
        if place is not None:
            commands.append(f"{'L' if pen_down else 'M'}{place[0]:g} {place[1]:g}")
        pen_down = place is not None
    return "".join(commands)


def _summary(x: Sequence[float], series: Mapping[str, Sequence[float]]) -> str:
    """The chart in words, for those who cannot see it: where each curve begins and ends."""
    parts = []
    for name, values in series.items():
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            parts.append(f"{name} from {finite[0]:.3g} to {finite[-1]:.3g}")
    return f"Epochs {x[0]:g} to {x[-1]:g}: {', '.join(parts) or 'no finite value'}"
