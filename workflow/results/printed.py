"""The numbers printed in the paper: read once from `published/`, never computed, never changed."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

PUBLISHED = Path(__file__).parent / "published"


class PrintedKey(NamedTuple):
    """Where a printed number stands."""

    table: str
    dataset: str
    method: str
    metric: str


@cache
def printed_results() -> dict[PrintedKey, str]:
    """The 365 numbers of Tables II-IX in per cent, as text, with the decimals they were printed."""
    return {
        PrintedKey(row["table"], row["dataset"], row["method"], row["metric"]): row["value"]
        for row in _rows("tables.csv")
    }


@cache
def printed_datasets() -> dict[str, dict[str, str]]:
    """Table I: data set -> volumes, image_size, training, testing."""
    return {row["dataset"]: row for row in _rows("table_I.csv")}


@cache
def dataset_notes() -> dict[str, list[str]]:
    """Data set -> what of its printed description cannot be, or is only part of the truth."""
    notes: dict[str, list[str]] = {}
    for row in _rows("table_I_notes.csv"):
        notes.setdefault(row["dataset"], []).append(row["note"])
    return notes


def _rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
