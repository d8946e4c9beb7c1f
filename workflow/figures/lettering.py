"""Text in figures: measured, wrapped and fitted, never below the smallest legible size."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

SMALLEST = 6.0
DPI = 300
# The PDF's glyphs are not fitted to pixels, so its lines can be a little longer than measured.
SLACK = 1.01


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(8, 8, DPI)


@cache
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line in inches, at `size` points, in the default font."""
    font = FontProperties(size=size, weight=weight)
    return SLACK * _renderer().get_text_width_height_descent(text, font, False)[0] / DPI


def wrap(text: str, size: float, width: float, weight: str = "normal") -> list[str]:
    """Lines of at most `width` inches, broken at spaces; a longer word has its own line."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size, weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def shorten(text: str, size: float, width: float) -> str:
    """One line of at most `width` inches; what does not fit gives way to an ellipsis."""
    line = " ".join(text.split())
    if width_of(line, size) <= width:
        return line
    kept = next(n for n in range(len(line), -1, -1) if width_of(f"{line[:n]}…", size) <= width)
    return f"{line[:kept]}…"


class Title(NamedTuple):
    """A column title that fits: lines, size in points, rotation in degrees."""

    text: str
    size: float
    rotation: float


def fit_titles(titles: Sequence[str], width: float, longest: float = 1.2) -> list[Title]:
    """Column titles for columns `width` inches wide, at most two lines each.

    Smaller type comes before upright titles; if one has to stand upright, all do.
    """
    fitted = []
    for title in titles:
        for points in (7.0, SMALLEST):
            lines = wrap(title, points, width)
            if len(lines) <= 2 and all(width_of(line, points) <= width for line in lines):
                fitted.append(Title("\n".join(lines), points, 0.0))
                break
    if len(fitted) == len(titles):
        return fitted
    return [Title(shorten(title, SMALLEST, longest), SMALLEST, 90.0) for title in titles]
