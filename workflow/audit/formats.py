"""An audit's report as text for a terminal, Markdown, CSV or JSON."""

import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields

from workflow.audit.engine import Report
from workflow.audit.findings import IMPOSSIBLE, Correction, Finding
from workflow.base.files import csv_text

# Of the CSV; corrections are in words.
COLUMNS = [field.name for field in fields(Finding)]
_WIDTH = 100


def as_text(report: Report) -> str:
    """For reading in a terminal."""
    lines = [_summary(report), ""]
    for number, finding in enumerate(report.findings, start=1):
        lines += _wrapped(f"{number}. {_title(finding)}", "", "   ")
        lines += _wrapped(finding.text, "   ", "   ")
        for line in _remedies(finding):
            lines += _wrapped(line, "   - ", "     ")
        lines.append("")
    if report.inferences:
        lines.append("What the numbers let infer:")
    for inference in report.inferences:
        line = f"{inference.dataset}, {inference.kind}: {inference.text}"
        lines += _wrapped(line, " - ", "   ")
    return "\n".join(lines) + "\n"


def as_markdown(report: Report) -> str:
    """For a document."""
    lines = [_summary(report), ""]
    for number, finding in enumerate(report.findings, start=1):
        lines.append(f"{number}. **{_title(finding)}**  \n   {finding.text}")
        lines += [f"   - {line}" for line in _remedies(finding)]
    if report.inferences:
        lines += ["", "What the numbers let infer:", ""]
    lines += [f"- {i.dataset}, {i.kind}: {i.text}" for i in report.inferences]
    return "\n".join(lines) + "\n"


def as_csv(report: Report) -> str:
    """One line per finding."""
    return csv_text(COLUMNS, as_records(report))


def as_records(report: Report) -> Iterator[dict[str, str]]:
    """What the CSV says of each finding, by column."""
    for finding in report.findings:
        yield {
            **vars(finding),
            "corrections": "; ".join(_words(correction) for correction in finding.corrections),
            "claims": " ".join(finding.claims),
        }


def as_json(report: Report) -> str:
    """Everything, for programs; `claims` says of each whether it agrees."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"


WRITERS: dict[str, Callable[[Report], str]] = {
    "text": as_text,
    "md": as_markdown,
    "csv": as_csv,
    "json": as_json,
}


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _summary(report: Report) -> str:
    impossible = sum(finding.severity == IMPOSSIBLE for finding in report.findings)
    checked = f"{report.cells} printed cells"
    if report.claims:
        wrong = sum(state == "contradicted" for state in report.claims.values())
        checked += f" and {len(report.claims)} claims, {wrong} of them contradicted"
    if not report.findings:
        return f"No findings in {checked}."
    found = f"{len(report.findings)} finding{'s' if len(report.findings) > 1 else ''}"
    return f"{found} ({impossible} impossible) in {checked}."


def _title(finding: Finding) -> str:
    table = f"Table {finding.table}" if finding.table else ""
    parts = [table, finding.dataset, finding.method, finding.metric]
    place = ", ".join(part for part in parts if part)
    return f"{finding.severity.capitalize()} ({finding.kind}), by {finding.amount}: {place}"


def _remedies(finding: Finding) -> list[str]:
    if not finding.corrections:
        return ["No single change mends it."]
    return [f"Mended by {_words(correction)}" for correction in finding.corrections]


def _words(correction: Correction) -> str:
    notes = []
    if correction.low != correction.high:
        notes.append(f"{correction.low} to {correction.high}")
    if correction.slip:
        notes.append(f"{correction.slip} is one slip of the hand away")
    tail = f" ({'; '.join(notes)})" if notes else ""
    return f"{correction.place}: {correction.nearest} instead of {correction.before}{tail}"
