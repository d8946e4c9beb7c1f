"""The Jinja2 environment of tables and report: everything shown is escaped, no gap is guessed."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from workflow.reporting.wording import duration, known, memory, millions, number, short_commit

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """The one environment: autoescape on for HTML, an unknown variable is an error."""
    created = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    created.filters.update(
        {f.__name__: f for f in (duration, memory, millions, number, known, short_commit)}
    )
    return created
