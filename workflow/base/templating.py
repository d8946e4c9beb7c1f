"""The Jinja2 environments of tables and report: all is escaped, no gap is guessed."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from workflow.base.wording import duration, known, memory, millions, number, short_commit


@cache
def environment(*folders: Path) -> Environment:
    """An environment over some folders of templates, each made once.

    HTML is escaped, and an unknown variable is an error.
    """
    created = Environment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    created.filters.update(
        {f.__name__: f for f in (duration, memory, millions, number, known, short_commit)}
    )
    return created
