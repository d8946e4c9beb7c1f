"""Quantities in words, for the report's templates."""

import math
import re
from typing import Any

UNKNOWN = "not recorded"


def table_name(key: str) -> str:
    """`Table II`, or the name of a table that the paper does not have: `Controls`."""
    numbered = re.fullmatch("[IVXLC]+", key)
    return f"Table {key}" if numbered else key.replace("_", " ").capitalize()


def duration(seconds: float | None) -> str:
    """`43 s`, `12 min`, `3.4 h` or `2.1 days`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{1 if name == 'h' else 0}f} {name}"
    return f"{seconds / 86400:.1f} days"


def two_units(seconds: float, finest: int = 1) -> str:
    """A time in its two largest units: `3 min 20 s`, `6 h 30 min` or `4 d 4 h`.

    Args:
        seconds: how long.
        finest: the unit that is rounded to: 1 for seconds, 60 for minutes. What is shorter than
            half of it is in seconds.
    """
    whole = finest * round(seconds / finest) or round(seconds)
    counts = {"d": whole // 86400, "h": whole // 3600 % 24, "min": whole // 60 % 60}
    if finest < 60 or whole < 60:
        counts["s"] = whole % 60
    largest = next((k for k, count in enumerate(counts.values()) if count), len(counts) - 1)
    return " ".join(f"{count} {unit}" for unit, count in [*counts.items()][largest:][:2])


def memory(size: float | None) -> str:
    """A number of bytes as `912 MB` or `3.4 GB` (powers of ten)."""
    if size is None or not math.isfinite(size):
        return UNKNOWN
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def millions(count: float | None) -> str:
    """A number of parameters as `29.2 M`."""
    return UNKNOWN if count is None else f"{count / 1e6:.1f} M"


def number(value: float | None, form: str = ".4g") -> str:
    """A number in a format, or that it was not recorded."""
    return UNKNOWN if value is None else format(value, form)


def known(value: Any) -> str:
    """Any fact as text, or that it was not recorded."""
    return UNKNOWN if value is None else str(value)


def initialisation(value: str | dict[str, Any] | None) -> str:
    """What the weights started from: `random`, or a source and how much of it fitted."""
    if not isinstance(value, dict):
        return known(value)
    source = f"{value.get('kind', '')} {value.get('source', '')}".strip()
    random = ", ".join(value.get("left_random") or []) or "nothing"
    if len(random) > 120:
        random = f"{len(value['left_random'])} tensors"
    text = f"{source}: {value.get('matched')} of {value.get('tensors')} tensors; random: {random}"
    if policy := value.get("policy"):
        text += f"; {policy.get('masked')} of {policy.get('superpixels')} superpixels masked"
    return text


def score(value: float | dict[str, float | None] | None) -> str:
    """A validation score: one number, or `loss 0.41, ji 0.62` where several are recorded."""
    if isinstance(value, dict):
        parts = [f"{name} {number(part)}" for name, part in value.items() if part is not None]
        return ", ".join(parts) or UNKNOWN
    return number(value)


def short_commit(commit: str) -> str:
    """The first twelve digits of a commit, and that the working tree had changes if it had."""
    head, plus, changes = commit.partition("+")
    return f"{head[:12]}{plus}{changes}"
