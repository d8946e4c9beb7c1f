"""The table that `training.profile` leaves of a run, read and shown without torch."""

from pathlib import Path

from workflow.base.columns import aligned
from workflow.base.files import csv_text, read_csv, write_text

COLUMNS: tuple[str, ...] = ("phase", "times", "seconds", "share_of_step")
# Phase, times it was timed, seconds of one, share of a step (None outside steps).
Line = tuple[str, int, float, float | None]


def write_phases(folder: Path, table: list[Line]) -> None:
    """Write `phases.csv`."""
    records = (dict(zip(COLUMNS, line, strict=True)) for line in table)
    write_text(folder / "phases.csv", csv_text(COLUMNS, records))


def read_phases(folder: Path) -> list[Line]:
    """Read it back."""
    found = []
    for row in read_csv(folder / "phases.csv"):
        name, times, seconds, share = (row[column] for column in COLUMNS)
        found.append((name, int(times), float(seconds), float(share) if share else None))
    return found


def as_text(table: list[Line], folder: Path) -> str:
    """The table for people, with where all of it lies."""
    rows = [["phase", "times", "seconds", "share"]]
    for name, times, seconds, share in table:
        rows.append([name, str(times), f"{seconds:.6f}", "" if share is None else f"{share:.1%}"])
    return "\n".join([*aligned(rows), f"profile: {folder}", ""])
