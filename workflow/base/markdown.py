"""Markdown as the tables, the verdicts and the documents write it: escaped text and pipe tables."""

from collections.abc import Iterable


def escaped(text: str) -> str:
    """Text on one line in which Markdown and HTML see no markup."""
    flat = " ".join(text.split())
    flat = "".join(f"\\{c}" if c in r"\`*_[]|~#!" else c for c in flat)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def row(cells: Iterable[str]) -> str:
    """A line of a pipe table; the cells are Markdown already."""
    return f"| {' | '.join(cells)} |"


def head(titles: Iterable[str], numbers: int = 0) -> list[str]:
    """The two lines that open a pipe table.

    Args:
        titles: of the columns, Markdown already.
        numbers: how many of the last columns hold numbers, set to the right.
    """
    titles = list(titles)
    left = len(titles) - numbers
    return [row(titles), row([*["---"] * left, *["---:"] * numbers])]
