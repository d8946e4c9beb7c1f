"""What the page of one (data set, method) is made from, and what it says.

`RunInputs` holds all of it as plain values, and `run_content` reads nothing else. So two equal
inputs give the same page, and a page whose inputs are as they were need not be made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from workflow.config.metrics import title_of
from workflow.config.sections import Method
from workflow.report.curves import Chart, chart, limits
from workflow.report.run_facts import fact_groups
from workflow.report.run_logs import LogTail
from workflow.report.run_use import Link, RunUse
from workflow.results.records import RunRecord, SeedRecord
from workflow.tables.text import Shown, show_cell

# Curves of a training history that are drawn together: title -> name -> column.
CHARTS = {
    "Loss": {"training": "train_loss", "validation": "val_loss"},
    "Jaccard index": {"validation": "val_ji"},
}


@dataclass(frozen=True)
class RunInputs:
    """All that the page of a run is made from.

    Attributes:
        dataset: its title, leading to its runs.
        tables: those that show the run.
        images: the page where its test images are shown; empty if the report has none.
        training: its training configuration, as resolved.
        common: the training configuration of the common protocol.
        decimals: the decimals of means and spreads.
        logs: the logs of the seeds that have no result.
        use: where its weights lie, and what predicts with them.
    """

    record: RunRecord
    method: Method
    dataset: Link
    tables: tuple[Link, ...]
    images: str
    training: Mapping[str, Any]
    common: Mapping[str, Any]
    decimals: int
    logs: tuple[LogTail, ...]
    use: RunUse


class ChartRow(NamedTuple):
    """The same curves of each seed, on common axes."""

    title: str
    names: list[str]
    charts: list[Chart]


class MetricRow(NamedTuple):
    """A metric of each seed in words, and their mean; `warned` are the seeds without a number."""

    title: str
    texts: list[str]
    warned: list[bool]
    mean: Shown


class ProtocolDeparture(NamedTuple):
    """A key in which a run departs from the common protocol: its value, and the common one."""

    key: str
    here: str
    common: str


def run_content(inputs: RunInputs) -> dict[str, Any]:
    """What the template of a run's page shows."""
    record, shown = inputs.record, dict(inputs.training)
    return {
        "inputs": inputs,
        "seeds": [seed.seed for seed in record.seeds],
        "trouble": [seed for seed in record.seeds if seed.trouble],
        "metrics": metric_rows(record, inputs.decimals),
        "charts": chart_rows(record),
        "groups": fact_groups(record),
        "changes": changes(inputs.training, inputs.common),
        "protocol": yaml.safe_dump(shown, sort_keys=False, allow_unicode=True),
        "options": yaml.safe_dump(inputs.method.network_options, allow_unicode=True),
    }


def metric_rows(record: RunRecord, decimals: int) -> list[MetricRow]:
    """The metrics of each seed: its number, or why there is none."""
    rows = []
    for cell in record.metrics:
        texts = []
        for seed in record.seeds:
            value = cell.values.get(seed.seed)
            lacking = "failed" if seed.seed in cell.failed else "missing"
            lacking = "undefined" if seed.seed in cell.undefined else lacking
            texts.append(lacking if value is None else f"{value:.{max(decimals, 2)}f}")
        warned = [seed.seed not in cell.values for seed in record.seeds]
        said = show_cell(cell, decimals, comparable=False)
        rows.append(MetricRow(title_of(cell.metric), texts, warned, said))
    return rows


def changes(training: Mapping[str, Any], common: Mapping[str, Any]) -> list[ProtocolDeparture]:
    """The keys in which a training configuration differs from the common one."""
    flat, usual = _flat(training), _flat(common)
    return [
        ProtocolDeparture(key, _word(value), _word(usual.get(key)))
        for key, value in flat.items()
        if value != usual.get(key)
    ]


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as `loss.dice`."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        inside = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if inside else {f"{prefix}{key}": value}
    return flat


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def chart_rows(record: RunRecord) -> list[ChartRow]:
    """The curves that the seeds' histories hold; nothing for what was never finite."""
    rows = []
    with_history = [seed for seed in record.seeds if seed.history.get("epoch")]
    for title, columns in CHARTS.items():
        series = [
            {name: seed.history[c] for name, c in columns.items() if c in seed.history}
            for seed in with_history
        ]
        bounds = limits([values for curves in series for values in curves.values()])
        if bounds is not None:
            charts = [
                _chart(title, seed, curves, bounds)
                for seed, curves in zip(with_history, series, strict=True)
            ]
            rows.append(ChartRow(title, list(columns), charts))
    return rows


def _chart(
    title: str, seed: SeedRecord, curves: dict[str, list[float]], bounds: tuple[float, float]
) -> Chart:
    return chart(f"{title}, seed {seed.seed}", seed.history["epoch"], curves, bounds, seed.kept)
