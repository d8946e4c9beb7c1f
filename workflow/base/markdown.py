"""Markdown as the tables, the verdicts and the documents write it: escaped text and pipe tables."""

from collections.abc import Iterable

from workflow.base.plain import plain


def escaped(text: str) -> str:
    """Text on one line in which Markdown, HTML and terminals see no markup."""
    flat = plain(" ".join(text.split()))
    flat = "".join(f"\\{c}" if c in r"\`*_[]|~#!" else c for c in flat)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def row(cells: Iterable[str]) -> str:
    """A line of a pipe table; the cells are Markdown already."""
    return f"| {' | '.join(cells)} |"


def head(titles: Iterable[str], numbers: int = 0) -> list[str]:
    """The two lines that open a pipe table.

    Args:
        titles: the titles of the columns, Markdown already.
        numbers: how many of the last columns hold numbers, set to the right.
    """
    titles = list(titles)
    left = len(titles) - numbers
    return [row(titles), row([*["---"] * left, *["---:"] * numbers])]
