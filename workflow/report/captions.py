"""Captions of tables and figures for `snakemake --report`, as reStructuredText in rules' params.

The texts come from the configuration, so nothing in them is obeyed: neither as markup, nor by the
template engine, which sees them as values.
"""

import re
from collections.abc import Iterable

from workflow.base.plain import plain
from workflow.config.cells import figure_runs, table_runs
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.figures.plots import PLOTS, plot_runs

# Any mark but spaces, letters and digits can begin markup; after a backslash it stands for itself.
_MARKS = re.compile(r"([^\w\s]|_)")


def table_caption(config: Config, key: str) -> str:
    """The caption of a table, and the warnings that hold for it."""
    return caption(config.tables[key].caption, notices(config, table_runs(config, key)))


def figure_caption(config: Config, key: str) -> str:
    """The caption of a figure, and the warnings that hold for it."""
    return caption(config.figures[key].caption, notices(config, figure_runs(config, key)))


def plot_caption(config: Config, key: str) -> str:
    """The caption of a larger figure, and the warnings that hold for it."""
    return caption(PLOTS[key].caption, notices(config, plot_runs(config, key)))


def labels(title: str, suffix: str) -> dict[str, str]:
    """What stands in a row of the table of contents: the output's name and its format."""
    return {"Name": title, "Format": suffix}


def caption(text: str, warnings: Iterable[str]) -> str:
    """Warnings in bold, one to a paragraph, then the text."""
    return "\n\n".join([*(f"**{escaped(one)}**" for one in warnings), escaped(text)])


def escaped(text: str) -> str:
    """A text in which reStructuredText sees no markup, on one line."""
    return _MARKS.sub(r"\\\1", plain(" ".join(text.split())))
