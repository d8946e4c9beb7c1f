"""A table as CSV and parquet (tidy), Markdown, LaTeX and HTML, laid out as the paper prints it.

Every format carries the notices of `notices.py` and the preset on its face, and escapes all text
that comes from the configuration: a title can hold markup, and none of it is obeyed.
"""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pyarrow.parquet as pq

from workflow.base.files import replacing, write_text
from workflow.base.markdown import escaped, head, row
from workflow.base.templating import environment
from workflow.config.cells import Run
from workflow.tables import standings
from workflow.tables.content import ReportTable
from workflow.tables.latex import to_latex
from workflow.tables.text import (
    ALIKE,
    Shown,
    footnotes,
    lay_out,
    marked,
    number_text,
    show,
)
from workflow.tables.tidy import to_arrow, to_csv
from workflow.tables.views import Marks, interval, sort_numbers

TEMPLATES = Path(__file__).with_name("templates")


def save(table: ReportTable, path: Path) -> None:
    """Write a table in the format that the file's suffix names, one of `paths.TABLE_FORMATS`."""
    suffix = path.suffix.removeprefix(".")
    if suffix == "parquet":
        with replacing(path) as temporary:
            pq.write_table(to_arrow(table), temporary)
    else:
        write_text(path, WRITERS[suffix](table))


def to_markdown(table: ReportTable) -> str:
    """Pipe tables: ours ± SD, the printed value in brackets; below, the standings.

    Best in bold, second in italics. Markdown knows one header row, so the metric titles are the
    first row of the body.
    """
    lines = [f"**{escaped(number_text(table))}.** {escaped(table.caption)}", ""]
    for notice in table.notices:
        lines += [f"> **{escaped(notice)}**", ""]
    titled = any(span.title for span in table.spans)
    groups, metrics = list(table.stub), [""] * len(table.stub)
    for span in table.spans:
        blanks = [""] * (len(span.columns) - 1)
        groups += [escaped(span.title), *blanks] if titled else [escaped(c) for c in span.columns]
        metrics += [f"**{escaped(column)}**" for column in span.columns]
    lines += head(groups, numbers=table.width - len(table.stub))
    if titled:
        lines.append(row(metrics))
    for laid in lay_out(table):
        if laid.group:
            lines.append(row([f"**{escaped(laid.group)}**", *[""] * (table.width - 1)]))
        stub = [escaped(laid.title) if laid.span else "", *map(escaped, laid.row.stub)]
        lines.append(row([*stub, *(_md_cell(show(cell, table)) for cell in laid.row.cells)]))
    second = ", second best in italics" if table.mark == "color" else ""
    marks = [f"Best in bold{second}."] if marked(table) else []
    lines += ["", " ".join(map(escaped, [*marks, *footnotes(table)])), ""]
    return "\n".join([*lines, *_md_standings(table)])


def _md_standings(table: ReportTable) -> list[str]:
    blocks, headings = standings.blocks(table), standings.headings(table)
    if not blocks:
        return []
    lines = [f"**{escaped(number_text(table))}, intervals and tests.**", ""]
    lines += [f"> **{escaped(notice)}**\n" for notice in table.notices]
    lines += head(["Method", *map(escaped, headings)], numbers=len(headings))
    for block in blocks:
        lines.append(row([f"**{escaped(block.title)}**", *[""] * len(headings)]))
        lines += [row([escaped(line.title), *map(escaped, line.texts)]) for line in block.lines]
    return [*lines, "", " ".join(map(escaped, standings.notes(table))), ""]


def _md_cell(words: Shown) -> str:
    around = {"best": "**", "second": "*", None: ""}[words.mark]
    text = f"{around}{escaped(words.text)}{around}"
    if words.spread:
        text += f" ± {words.spread}"
    if words.alike:
        text += f" {ALIKE}"
    if words.place:
        text += f" ({words.place})"
    if words.remark:
        text += f" ({words.remark})"
    if words.printed:
        text += f" \\[{escaped(words.printed)}\\]"
    return text


class InPage(NamedTuple):
    """What a table shows beyond its file, in a page of the report.

    Attributes:
        link: a run -> the address that its numbers lead to.
        look: a run -> the address of its test images, or empty.
        name: a run -> how it is called.
        marks: which printed values are best and second best.
    """

    link: Callable[[Run], str]
    look: Callable[[Run], str] = lambda _: ""
    name: Callable[[Run], str] = lambda run: f"{run.method} on {run.dataset}"
    marks: Marks = MappingProxyType({})


def to_html(table: ReportTable, page: InPage | None = None) -> str:
    """An HTML fragment: a `<table>` with caption, header scopes and a footer; then the standings.

    Args:
        table: what to show.
        page: what is added in a page of the report; without it the fragment brings its own style.
    """
    marks = (
        "Best red and bold, second best blue and underlined."
        if table.mark == "color"
        else "Best in bold."
    )
    beyond = page and {
        **page._asdict(),
        "interval": lambda cell: interval(cell, table),
        "numbers": lambda cell: sort_numbers(cell, table),
    }
    return environment(TEMPLATES).get_template("fragment.html").render(
        table=table,
        number=number_text(table),
        rows=list(lay_out(table)),
        show=lambda cell: show(cell, table),
        notes=[*([marks] if marked(table) else []), *footnotes(table)],
        alike=ALIKE,
        blocks=standings.blocks(table),
        headings=standings.headings(table),
        remarks=standings.notes(table),
        page=beyond,
    )  # fmt: skip


WRITERS: dict[str, Callable[[ReportTable], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
    "html": to_html,
}
