"""The sheet of a qualitative figure: a grid of panels at journal width, with all its lettering."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from workflow.figures.cases import PixelWindow
from workflow.figures.lettering import SMALLEST, Title, fit_titles, shorten, width_of, wrap
from workflow.figures.overlays import Colour

# Inches: the width of a page of two columns, and what fits on it above a caption.
WIDTH, TALLEST = 7.2, 9.2
MARGIN, LABEL, GAP, STRIP_GAP = 0.04, 0.2, 0.035, 0.09
LINE = 0.125
WARNING = "#9a3412"
INK = "#1a1a1a"


@dataclass(frozen=True)
class FigureSheet:
    """What is on a figure, top to bottom.

    Attributes:
        columns: column titles.
        rows: (data set title, panels); a panel is a picture uint8 `[H, W, 3]`, or a word that
            stands in its place, and the box drawn on it.
        legend: meaning -> colour.
        caption: one paragraph.
        notes: sentences in smaller type.
        notices: warnings, above everything.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[np.ndarray | str, PixelWindow | None]]]]
    legend: Mapping[str, Colour]
    caption: str
    notes: Sequence[str]
    notices: Sequence[str]


def draw_sheet(sheet: FigureSheet) -> Figure:
    """Lay out and draw a sheet; 7.2 inches wide, as high as its content needs."""
    columns = len(sheet.columns)
    strips = [len(list(rows)) for _, rows in groupby(sheet.rows, key=lambda row: row[0])]
    between = (len(strips) - 1) * STRIP_GAP
    side = (WIDTH - LABEL - 2 * MARGIN - (columns - 1) * GAP) / columns
    titles = fit_titles(sheet.columns, side + 0.7 * GAP)
    head = _head_height(titles)
    caption = wrap(sheet.caption, 7.5, WIDTH - 2 * MARGIN)
    notes = wrap(" ".join(sheet.notes), 6.5, WIDTH - 2 * MARGIN)
    warnings = [line for n in sheet.notices for line in wrap(n, 7.5, WIDTH - 0.2, "bold")]
    above = MARGIN + len(warnings) * 1.2 * LINE + head
    below = 0.25 + (len(caption) + len(notes)) * LINE + MARGIN
    room = (TALLEST - above - below - between) / max(1, len(sheet.rows)) - GAP
    side = min(side, room)
    grid = len(sheet.rows) * (side + GAP) + between
    height = above + grid + below
    pen = Pen(Figure(figsize=(WIDTH, height)), height)
    _warnings(pen, warnings)
    left = (WIDTH - columns * (side + GAP) + GAP + LABEL) / 2
    _titles(pen, titles, left, side, above)
    _panels(pen, sheet, left, side, above)
    bottom = _legend(pen, sheet.legend, above + grid + 0.08)
    for size, colour, lines in ((7.5, INK, caption), (6.5, "#444444", notes)):
        for line in lines:
            bottom += LINE
            pen.text(MARGIN, bottom, line, size=size, color=colour)
    return pen.figure


class Pen:
    """Draws at positions in inches from the top left corner."""

    def __init__(self, figure: Figure, height: float) -> None:
        self.figure, self.height = figure, height

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Figure coordinates of a position."""
        return x / WIDTH, 1 - y / self.height

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text with its baseline at y; never read as mathematics, whatever it holds."""
        look: dict[str, Any] = {"va": "baseline", "ha": "left", "color": INK, **style}
        left, bottom = self.at(x, y)
        self.figure.text(left, bottom, text, parse_math=False, **look)

    def patch(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle with its top left corner at (x, y)."""
        corner = self.at(x, y + height)
        face = tuple(channel / 255 for channel in colour)
        shape = Rectangle(
            corner, width / WIDTH, height / self.height, facecolor=face, edgecolor="none"
        )
        self.figure.add_artist(shape)


def _head_height(titles: Sequence[Title]) -> float:
    """Inches that the column titles need."""
    heights = [
        width_of(text, size) if rotation else LINE * len(text.split("\n"))
        for text, size, rotation in titles
    ]
    return 0.07 + max(heights)


def _warnings(pen: Pen, lines: Sequence[str]) -> None:
    for index, line in enumerate(lines):
        baseline = MARGIN + (index + 0.8) * 1.2 * LINE
        pen.text(WIDTH / 2, baseline, line, size=7.5, weight="bold", color=WARNING, ha="center")


def _titles(pen: Pen, titles: Sequence[Title], left: float, side: float, y: float) -> None:
    for column, (text, size, rotation) in enumerate(titles):
        x = left + column * (side + GAP) + side / 2
        pen.text(x, y - 0.04, text, size=size, ha="center", va="bottom", rotation=rotation)


def _panels(pen: Pen, sheet: FigureSheet, left: float, side: float, y: float) -> None:
    for title, members in groupby(sheet.rows, key=lambda row: row[0]):
        top = y
        for _, panels in members:
            for column, (picture, box) in enumerate(panels):
                x = left + column * (side + GAP)
                corner = pen.at(x, y + side)
                axes = pen.figure.add_axes((*corner, side / WIDTH, side / pen.height))
                _panel(axes, picture, box)
            y += side + GAP
        # A name longer than its rows is set smaller, down to the smallest legible size.
        fits = next((s for s in (7.5, 7.0, 6.5) if width_of(title, s) <= y - top), SMALLEST)
        label = shorten(title, fits, 0.9 * (y - top))
        pen.text(
            left - 0.06, (top + y - GAP) / 2, label, size=fits, weight="bold",
            rotation=90, ha="right", va="center",
        )  # fmt: skip
        y += STRIP_GAP


def _panel(axes: Axes, picture: np.ndarray | str, box: PixelWindow | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if isinstance(picture, str):
        axes.set_facecolor("#eeeeee")
        axes.text(
            0.5, 0.5, picture, ha="center", va="center", size=SMALLEST, color="#555555",
            transform=axes.transAxes,
        )  # fmt: skip
        return
    axes.imshow(picture, interpolation="auto", aspect="auto")
    if box is not None:
        # Pixel centres are at whole numbers, so a window begins half a pixel before its first.
        outline = Rectangle(
            (box.left - 0.5, box.top - 0.5), box.side, box.side,
            fill=False, edgecolor="white", linewidth=0.9,
        )  # fmt: skip
        outline.set_path_effects([withStroke(linewidth=1.7, foreground=(0, 0, 0, 0.55))])
        axes.add_patch(outline)


def _legend(pen: Pen, legend: Mapping[str, Colour], y: float) -> float:
    """Colour keys in one centred line; gives the baseline that text goes on from."""
    widths = [0.14 + width_of(meaning, 6.5) + 0.22 for meaning in legend]
    x = (WIDTH - sum(widths) + 0.22) / 2
    for (meaning, colour), width in zip(legend.items(), widths, strict=True):
        pen.patch(x, y - 0.01, 0.1, 0.1, colour)
        pen.text(x + 0.14, y + 0.08, meaning, size=6.5)
        x += width
    return y + 0.13
