"""The page of a larger figure: warnings, legend, panels placed in inches, and notes below.

Everything is laid out in inches at the width of a journal's page, so that no lettering is ever
scaled, and none is smaller than `lettering.SMALLEST`.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow.figures.layout import INK, LINE, WARNING
from workflow.figures.lettering import Title, shorten, width_of, wrap
from workflow.results.families import FAMILIES, Family

# Inches: a page of two columns.
WIDTH = 7.16
MARGIN = 0.05
MUTED, FAINT = "#555555", "#dddddd"
TEXT, HEADING = 7.0, 8.0


@dataclass(frozen=True)
class Words:
    """What is written around the panels.

    Attributes:
        title: what is drawn.
        notices: warnings, above everything.
        families: those shown, for the legend.
        notes: sentences below: units, what was counted, what is missing.
    """

    title: str
    notices: Sequence[str]
    families: Iterable[Family]
    notes: Sequence[str]


@dataclass
class Page:
    """An empty page; positions are inches from the top left corner of what is between the words."""

    figure: Figure
    height: float
    top: float
    axes: list[Axes] = field(default_factory=list)

    def panel(self, x: float, y: float, width: float, height: float, **options: Any) -> Axes:
        """Axes with their top left corner at (x, y)."""
        bottom = 1 - (self.top + y + height) / self.height
        box = (x / WIDTH, bottom, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box, **options)
        self.axes.append(axes)
        return axes

    def text(self, x: float, y: float, text: str, width: float = WIDTH, **style: Any) -> None:
        """A line with its baseline at y, cut to `width` inches."""
        look: dict[str, Any] = {"size": TEXT, "color": INK, "va": "baseline", **style}
        place = (x / WIDTH, 1 - (self.top + y) / self.height)
        self.figure.text(*place, shorten(text, look["size"], width), **look)

    def title(self, x: float, y: float, title: Title) -> None:
        """A column's title, centred and with its foot at y."""
        place = (x / WIDTH, 1 - (self.top + y) / self.height)
        self.figure.text(
            *place, title.text, size=title.size, rotation=title.rotation,
            color=INK, ha="center", va="bottom", linespacing=1.0,
        )  # fmt: skip

    def mark(self, x: float, y: float, marker: str, colour: str) -> None:
        """A marker centred at (x, y), as in legends."""
        place = (x / WIDTH, 1 - (self.top + y) / self.height)
        self.figure.add_artist(
            Line2D(
                [place[0]], [place[1]],
                marker=marker, color=colour, markersize=3.5, linestyle="none",
            )
        )  # fmt: skip


def look() -> AbstractContextManager[None]:
    """The style of all larger figures; text is never read as mathematics, whatever it holds."""
    return mpl.rc_context(
        {
            "font.size": TEXT,
            "text.parse_math": False,
            "pdf.fonttype": 42,
            "axes.linewidth": 0.5,
            "axes.edgecolor": MUTED,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.formatter.useoffset": False,
            "axes.unicode_minus": True,
            "grid.color": FAINT,
            "grid.linewidth": 0.4,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelsize": 6.5,
            "ytick.labelsize": 6.5,
            "xtick.major.size": 2,
            "ytick.major.size": 2,
            "xtick.major.width": 0.5,
            "ytick.major.width": 0.5,
            "xtick.major.pad": 1.5,
            "ytick.major.pad": 1.5,
        }
    )


def open_page(words: Words, body: float) -> Page:
    """A page with `body` inches for panels between its words."""
    warnings = [line for n in words.notices for line in wrap(n, HEADING, WIDTH - 0.2, "bold")]
    notes = wrap(" ".join(words.notes), TEXT, WIDTH - 2 * MARGIN)
    head = MARGIN + 1.2 * LINE * len(warnings)
    top = head + 1.6 * LINE
    height = top + body + 0.06 + LINE * len(notes) + 2 * MARGIN
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    page = Page(figure, height, top)
    for index, line in enumerate(warnings):
        y = MARGIN + (index + 0.8) * 1.2 * LINE - top
        page.text(
            WIDTH / 2, y, line, 2 * WIDTH, size=HEADING, weight="bold", color=WARNING, ha="center"
        )
    page.text(MARGIN, head + LINE - top, words.title, size=HEADING, weight="bold")
    _legend(page, words.families, head + LINE - top)
    for index, line in enumerate(notes):
        page.text(MARGIN, body + 0.06 + LINE * (index + 1), line, 2 * WIDTH, color=MUTED)
    return page


def _legend(page: Page, families: Iterable[Family], y: float) -> None:
    """Marker and name of each family, from the right margin."""
    x, shown = WIDTH - MARGIN, set(families)
    for one in reversed([one for one in FAMILIES if one in shown]):
        x -= width_of(one.name, TEXT)
        page.text(x, y, one.name)
        page.mark(x - 0.07, y - 0.035, one.marker, one.colour)
        x -= 0.25
