"""Numbers as a paper prints them: the decimals say how far the true number may be away.

All arithmetic is exact (fractions), so that a number at the very edge of its rounding is neither
an alarm nor an oversight.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from workflow.base.errors import DataError


class AuditError(DataError):
    """An input of the audit cannot be used; the message names the file, and what to do."""


class Interval(NamedTuple):
    """A closed interval of true values."""

    low: Fraction
    high: Fraction

    def holds(self, value: Fraction) -> bool:
        """Whether a value lies within, the ends included."""
        return self.low <= value <= self.high

    def common(self, other: "Interval") -> "Interval | None":
        """What two intervals share; None where they are apart."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else None


PERCENT = Interval(Fraction(0), Fraction(100))


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed number.

    Attributes:
        text: the number as printed.
        value: the number itself.
        decimals: how many are printed.
        unit: the last printed digit's worth.
        half: how far rounding may have moved the number.
        box: the true values that round to this number, whichever way halves are rounded.
    """

    text: str
    value: Fraction
    decimals: int
    unit: Fraction
    half: Fraction
    box: Interval

    def within(self, interval: Interval) -> "tuple[Printed, Printed] | None":
        """The smallest and largest number of as many decimals in an interval, if there are any."""
        low, high = math.ceil(interval.low / self.unit), math.floor(interval.high / self.unit)
        if low > high:
            return None
        return printed(show(low * self.unit, self.decimals)), printed(
            show(high * self.unit, self.decimals)
        )


@lru_cache(maxsize=4096)
def printed(text: str) -> Printed:
    """Read a printed number.

    Raises:
        AuditError: the text is not a plain decimal number.
    """
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise AuditError(f"{text!r} is not a plain decimal number such as 98.4")
    value, decimals = Fraction(text), len(text.partition(".")[2])
    unit = Fraction(1, 10**decimals)
    half = unit / 2
    return Printed(text, value, decimals, unit, half, Interval(value - half, value + half))


def agree(one: Printed, other: Printed) -> bool:
    """Whether two printed numbers can be one number.

    With as many decimals they must be equal; otherwise the finer must round to the coarser.
    """
    if one.decimals == other.decimals:
        return one.value == other.value
    coarse = min(one, other, key=lambda number: number.decimals)
    return abs(one.value - other.value) <= coarse.half


def show(value: Fraction, decimals: int) -> str:
    """A number with so many decimals (halves to even)."""
    scaled = round(value * 10**decimals)
    digits = f"{abs(scaled):0{decimals + 1}d}"
    whole, part = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    sign = "-" if scaled < 0 else ""
    return f"{sign}{whole}.{part}" if decimals else f"{sign}{whole}"
