"""The numbers printed in the paper: read once from `published/`, never computed, never changed."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from workflow.base.files import read_csv

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
        for row in read_csv(PUBLISHED / "tables.csv")
    }


@cache
def printed_datasets() -> dict[str, dict[str, str]]:
    """Table I: data set -> volumes, image_size, training, testing."""
    return {row["dataset"]: row for row in read_csv(PUBLISHED / "table_I.csv")}


@cache
def dataset_notes() -> dict[str, list[str]]:
    """Data set -> what of its printed description cannot be, or is only part of the truth."""
    notes: dict[str, list[str]] = {}
    for row in read_csv(PUBLISHED / "table_I_notes.csv"):
        notes.setdefault(row["dataset"], []).append(row["note"])
    return notes
