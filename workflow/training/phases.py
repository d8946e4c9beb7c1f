"""The table that `training.profile` leaves of a run, read and shown without torch."""

import csv
from pathlib import Path

from workflow.base.files import replacing

COLUMNS = ("phase", "times", "seconds", "share_of_step")
# Phase, times it was timed, seconds of one, share of a step (None outside steps).
Line = tuple[str, int, float, float | None]


def write_phases(folder: Path, table: list[Line]) -> None:
    """Write `phases.csv`."""
    with replacing(folder / "phases.csv") as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(table)


def read_phases(folder: Path) -> list[Line]:
    """Read it back."""
    with (folder / "phases.csv").open(newline="") as stream:
        return [
            (name, int(times), float(seconds), float(share) if share else None)
            for name, times, seconds, share in (
                (row[column] for column in COLUMNS) for row in csv.DictReader(stream)
            )
        ]


def as_text(table: list[Line], folder: Path) -> str:
    """The table for people, with where all of it lies."""
    lines = [f"{'phase':<22}{'times':>7}{'seconds':>12}{'share':>9}"]
    for name, times, seconds, share in table:
        shown = "" if share is None else f"{share:>9.1%}"
        lines.append(f"{name:<22}{times:>7}{seconds:>12.6f}{shown}")
    return "\n".join([*lines, f"profile: {folder}", ""])
