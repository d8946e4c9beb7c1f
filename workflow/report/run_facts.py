"""What run.json says of the seeds of a run, in words: how training went, its cost, its provenance.

Each fact is one text if all seeds agree, or else a text per seed.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from workflow.base.wording import (
    UNKNOWN,
    duration,
    initialisation,
    known,
    memory,
    millions,
    number,
    score,
    short_commit,
)
from workflow.results.records import RunRecord, images_per_second

Facts = Mapping[str, Any]


class FactRow(NamedTuple):
    """One fact: a text per seed, or a single one if all seeds agree."""

    label: str
    texts: list[str]


class FactGroup(NamedTuple):
    """Facts under one heading."""

    title: str
    rows: list[FactRow]

    @property
    def alike(self) -> bool:
        """Whether all seeds agree on every fact."""
        return all(len(row.texts) == 1 for row in self.rows)


def fact_groups(record: RunRecord) -> list[FactGroup]:
    """What the seeds recorded; of a control only what it has, because it trains nothing."""
    untrained = record.first("initialisation") == "none"
    groups = []
    for title, facts in GROUPS.items():
        rows = []
        for label, said in facts.items():
            texts = [said(seed.facts) if seed.facts else "-" for seed in record.seeds]
            if not untrained or set(texts) - {UNKNOWN, "-"}:
                rows.append(FactRow(label, texts[:1] if len(set(texts)) == 1 else texts))
        groups.append(FactGroup(title, rows))
    return [group for group in groups if group.rows]


def _of(key: str, form: Callable[[Any], str] = known) -> Callable[[Facts], str]:
    return lambda facts: form(facts.get(key))


def _flops(facts: Facts) -> str:
    count = facts.get("flops")
    return UNKNOWN if count is None else f"{count / 1e9:.2f} G"


def _resumed(facts: Facts) -> str:
    again = facts.get("resumed")
    if again is None:
        return UNKNOWN
    times = [
        f"at epoch {one['epoch']}, step {one['step']}, after {duration(one['seconds'])}"
        for one in again
    ]
    return "; ".join(times) if times else "no"


def _moment(text: str | None) -> str:
    """A time as `2026-11-25 12:02 UTC`; what is no time, as it stands."""
    try:
        return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return known(text)


def _loaded(facts: Facts) -> str:
    versions = facts.get("versions") or {}
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or UNKNOWN


# Heading -> label -> how it is told by what a run.json holds.
GROUPS: dict[str, dict[str, Callable[[Facts], str]]] = {
    "How training went": {
        "Initialisation": _of("initialisation", initialisation),
        "Epoch kept": _of("best_epoch"),
        "Its validation score": _of("best_validation", score),
        "Steps": _of("steps"),
        "Started": _of("started", _moment),
        "Finished": _of("finished", _moment),
        "Interrupted and resumed": _resumed,
    },
    "Cost": {
        "Parameters": _of("parameters", millions),
        "FLOPs of a forward pass, one image": _flops,
        "Training time": _of("wall_seconds", duration),
        "Of this, saving states": _of("save_seconds_total", duration),
        "Training steps per second": _of("steps_per_second", number),
        "Training images per second": lambda facts: number(images_per_second(facts)),
        "Peak memory": _of("peak_memory_bytes", memory),
    },
    "Provenance": {
        "Commit": lambda facts: short_commit(known(facts.get("commit"))),
        "Fingerprint of configuration and code": _of("fingerprint"),
        "uv.lock (SHA-256)": _of("lock_sha256"),
        "Data manifest (SHA-256)": _of("data_hash"),
        "Split": _of("split"),
        "Host": _of("host"),
        "Device": _of("device"),
        "Driver": _of("driver"),
        "Precision": _of("precision"),
        "CPU threads": _of("threads"),
        "Versions": _loaded,
        "Weights (SHA-256)": _of("weights_sha256"),
    },
}
