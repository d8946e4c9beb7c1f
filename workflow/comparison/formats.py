"""A comparison as text for the terminal, as CSV, and as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow.base.files import csv_text
from workflow.base.templating import environment
from workflow.comparison.compare import ComparedNumber, ResultsComparison
from workflow.config.metrics import METRICS, with_unit

TEMPLATES = Path(__file__).with_name("templates")
COLUMNS = (
    "dataset", "method", "metric", "first", "second", "difference", "low", "high", "p", "outcome",
    "seeds", "images",
)  # fmt: skip
# Settings that are printed; the page has all of them.
SHOWN_SETTINGS = 20


def as_text(comparison: ResultsComparison) -> str:
    """What the command prints: what differs first, then the rest in one line."""
    first, second = comparison.names
    lines = [f"{second} less {first}: {summary(comparison)}", ""]
    title = ""
    for number in comparison.numbers:
        if number.outcome == "identical":
            continue
        if number.title != title:
            title = number.title
            lines.append(title)
        lines.append(f"  {_line(number)}")
    lines += [f"only in {name}: {run}" for name, run in comparison.alone]
    lines += comparison.notes
    if comparison.settings:
        lines += ["", "What was different:"]
        for key, (one, other) in list(comparison.settings.items())[:SHOWN_SETTINGS]:
            lines.append(f"  {key}: {_short(one)} -> {_short(other)}")
        if len(comparison.settings) > SHOWN_SETTINGS:
            lines.append(f"  and {len(comparison.settings) - SHOWN_SETTINGS} more")
    return "\n".join(lines) + "\n"


def summary(comparison: ResultsComparison) -> str:
    """How many numbers differ, in a sentence."""
    level = f"{100 * (1 - comparison.level):g} %"
    return (
        f"{len(comparison.numbers)} numbers, {comparison.count('identical')} identical, "
        f"{comparison.count('differs')} differ (paired tests at {level}, corrected for all), "
        f"{comparison.count('not significantly different')} not significantly different, "
        f"{comparison.count('not tested')} not tested"
    )


def _line(number: ComparedNumber) -> str:
    values = " -> ".join(value_text(value) for value in (number.first, number.second))
    return (
        f"{with_unit(number.metric):<16} {values:<18} {difference_text(number):<28} {told(number)}"
    )


def value_text(value: float | None) -> str:
    """A mean, or that there is none."""
    return "none" if value is None else f"{value:.2f}"


def difference_text(number: ComparedNumber) -> str:
    """The difference with its interval, in the metric's unit."""
    found = number.difference
    if found is None:
        if number.first is None or number.second is None:
            return ""
        return f"{number.second - number.first:+.2f}"
    around = f" [{found.low:+.2f}, {found.high:+.2f}]" if found.low is not None else ""
    return f"{found.value:+.2f}{around}"


def told(number: ComparedNumber) -> str:
    """What is said of a number, with its p value."""
    return f"{number.outcome}, p = {number.p:.2g}" if number.p is not None else number.outcome


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_csv(comparison: ResultsComparison) -> str:
    """A line for each number."""
    return csv_text(COLUMNS, _records(comparison))


def _records(comparison: ResultsComparison) -> Iterator[dict[str, Any]]:
    for number in comparison.numbers:
        found = number.difference
        yield {
            "dataset": number.run.dataset,
            "method": number.run.method,
            "metric": number.metric,
            "first": number.first,
            "second": number.second,
            "difference": found.value if found else None,
            "low": found.low if found else None,
            "high": found.high if found else None,
            "p": number.p,
            "outcome": number.outcome,
            "seeds": " ".join(map(str, number.seeds)),
            "images": number.images,
        }


def as_page(comparison: ResultsComparison) -> str:
    """A page with all of it, which loads nothing from elsewhere."""
    return (
        environment(TEMPLATES)
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            summary=summary(comparison),
            titles={name: with_unit(name) for name in METRICS},
            value_text=value_text,
            difference_text=difference_text,
            told=told,
        )
    )
