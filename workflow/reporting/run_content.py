"""What the page of one (data set, method) says: facts per seed, and curves on common axes."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from workflow.reporting.curves import Chart, chart, limits
from workflow.reporting.records import RunRecord, SeedRecord
from workflow.reporting.wording import (
    duration,
    initialisation,
    known,
    memory,
    millions,
    number,
    score,
)

# Label, key of run.json, and how it reads.
FACTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Initialisation", "initialisation", initialisation),
    ("Parameters", "parameters", millions),
    ("Epoch kept", "best_epoch", known),
    ("Its validation score", "best_validation", score),
    ("Steps", "steps", known),
    ("Training time", "wall_seconds", duration),
    ("Steps per second", "steps_per_second", number),
    ("Peak memory", "peak_memory_bytes", memory),
    ("Device", "device", known),
    ("Precision", "precision", known),
    ("CPU threads", "threads", known),
    ("Commit", "commit", known),
    ("Fingerprint", "fingerprint", known),
    ("Data manifest", "data_hash", known),
    ("Weights (SHA-256)", "weights_sha256", known),
)
# Curves of a training history that are drawn together: title -> name -> column.
CHARTS = {
    "Loss": {"training": "train_loss", "validation": "val_loss"},
    "Jaccard index": {"validation": "val_ji"},
}


class FactRow(NamedTuple):
    """One fact: a text per seed, or a single one if all seeds agree."""

    label: str
    texts: list[str]


class ChartRow(NamedTuple):
    """The same curves of each seed, on common axes."""

    title: str
    names: list[str]
    charts: list[Chart]


def fact_rows(record: RunRecord) -> list[FactRow]:
    """The facts that each seed's run.json records; of a control, those that it has."""
    rows = []
    untrained = record.first("initialisation") == "none"
    for label, key, form in FACTS:
        if untrained and not record.values(key):
            continue
        texts = [form(seed.facts.get(key)) if seed.facts else "-" for seed in record.seeds]
        rows.append(FactRow(label, texts[:1] if len(set(texts)) == 1 else texts))
    return rows


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
    best = seed.facts.get("best_epoch")
    kept = float(best) if best is not None and math.isfinite(best) else None
    return chart(f"{title}, seed {seed.seed}", seed.history["epoch"], curves, bounds, kept)
