"""A table as CSV (tidy), Markdown, LaTeX and HTML, laid out as the paper prints it.

Every format carries the notices of `notices.py` and the preset on its face, and escapes all text
that comes from the configuration: a title can hold markup, and none of it is obeyed.
"""

import csv
import io
from collections.abc import Callable
from typing import Any

from workflow.cells import Run
from workflow.reporting.latex import to_latex
from workflow.reporting.table_text import Shown, footnotes, lay_out, marked, number_text, show
from workflow.reporting.tables import FactCell, ReportTable, ResultCell, TableRow
from workflow.reporting.templating import environment

RESULT_COLUMNS = (
    "table", "group", "row", "machine", "setup", "columns", "dataset", "method", "metric", "state",
    "mean", "sd", "seeds", "expected_seeds", "missing_seeds", "undefined_seeds",
    "printed", "difference", "mark", "preset", "notice",
)  # fmt: skip
FACT_COLUMNS = ("table", "row", "dataset", "fact", "ours", "printed", "preset", "notice")


def to_csv(table: ReportTable) -> str:
    """One line per cell, numbers unrounded, per cent; empty where there is no number."""
    of_results = any(isinstance(cell, ResultCell) for row in table.rows for cell in row.cells)
    columns = RESULT_COLUMNS if of_results else FACT_COLUMNS
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    titles = [span.title for span in table.spans for _ in span.columns]
    for row in table.rows:
        for title, cell in zip(titles, row.cells, strict=True):
            if isinstance(cell, FactCell):
                record = _fact_record(row, cell)
            else:
                record = {"columns": title, **_result_record(row, cell)}
            record |= {
                "table": table.key,
                "row": row.title,
                "preset": table.preset,
                "notice": "; ".join(table.notices),
            }
            writer.writerow([record[column] for column in columns])
    return stream.getvalue()


def _fact_record(row: TableRow, cell: FactCell) -> dict[str, Any]:
    return {"dataset": row.dataset, "fact": cell.fact, "ours": cell.text, "printed": cell.printed}


def _result_record(row: TableRow, cell: ResultCell) -> dict[str, Any]:
    return {
        "group": row.group,
        "machine": row.machine,
        "setup": row.setup,
        "dataset": cell.run.dataset if cell.run else None,
        "method": cell.run.method if cell.run else None,
        "metric": cell.metric,
        "state": cell.state,
        "mean": cell.mean,
        "sd": cell.sd,
        "seeds": len(cell.values),
        "expected_seeds": cell.expected,
        "missing_seeds": " ".join(map(str, cell.missing)),
        "undefined_seeds": " ".join(map(str, cell.undefined)),
        "printed": cell.printed,
        "difference": cell.difference,
        "mark": cell.mark,
    }


def to_markdown(table: ReportTable) -> str:
    """A pipe table: ours ± SD, the printed value in brackets; best in bold, second in italics.

    Markdown knows one header row, so the metric titles are the first row of the body.
    """
    lines = [f"**{_md(number_text(table))}.** {_md(table.caption)}", ""]
    for notice in table.notices:
        lines += [f"> **{_md(notice)}**", ""]
    titled = any(span.title for span in table.spans)
    groups, metrics = list(table.stub), [""] * len(table.stub)
    for span in table.spans:
        blanks = [""] * (len(span.columns) - 1)
        groups += [_md(span.title), *blanks] if titled else [_md(c) for c in span.columns]
        metrics += [f"**{_md(column)}**" for column in span.columns]
    lines += [_md_row(groups), _md_row([*["---"] * len(table.stub), *_rules(table)])]
    if titled:
        lines.append(_md_row(metrics))
    for laid in lay_out(table):
        if laid.group:
            lines.append(_md_row([f"**{_md(laid.group)}**", *[""] * (table.width - 1)]))
        stub = [_md(laid.title) if laid.span else "", *map(_md, laid.row.stub)]
        lines.append(_md_row([*stub, *(_md_cell(show(cell, table)) for cell in laid.row.cells)]))
    second = ", second best in italics" if table.mark == "color" else ""
    marks = [f"Best in bold{second}."] if marked(table) else []
    return "\n".join([*lines, "", " ".join(map(_md, [*marks, *footnotes(table)])), ""])


def _rules(table: ReportTable) -> list[str]:
    return ["---:"] * (table.width - len(table.stub))


def _md_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_cell(words: Shown) -> str:
    around = {"best": "**", "second": "*", None: ""}[words.mark]
    text = f"{around}{_md(words.text)}{around}"
    if words.spread:
        text += f" ± {words.spread}"
    if words.remark:
        text += f" ({words.remark})"
    if words.printed:
        text += f" \\[{_md(words.printed)}\\]"
    return text


def _md(text: str) -> str:
    """Text in which Markdown and HTML see no markup."""
    flat = " ".join(text.split())
    flat = "".join(f"\\{c}" if c in r"\`*_[]|~#!" else c for c in flat)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_html(table: ReportTable, link: Callable[[Run], str] | None = None) -> str:
    """An HTML fragment: one `<table>` with caption, header scopes and a footer.

    Args:
        table: what to show.
        link: gives the address that a number leads to; without it numbers are not links, and the
            fragment brings its own style.
    """
    marks = (
        "Best red and bold, second best blue and underlined."
        if table.mark == "color"
        else "Best in bold."
    )
    return environment().get_template("fragment.html").render(
        table=table,
        number=number_text(table),
        rows=list(lay_out(table)),
        show=lambda cell: show(cell, table),
        notes=[*([marks] if marked(table) else []), *footnotes(table)],
        link=link,
    )  # fmt: skip


WRITERS: dict[str, Callable[[ReportTable], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
    "html": to_html,
}
