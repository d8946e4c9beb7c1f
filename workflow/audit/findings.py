"""What a rule reports: a problem, with changes that may mend it, and what the numbers let infer."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from workflow.audit.cells import PrintedCell
from workflow.audit.claims import Claim
from workflow.audit.paper import Paper
from workflow.audit.rounding import PERCENT, Interval

# Contradicts arithmetic or the metrics' definitions, whatever the data and the method.
IMPOSSIBLE = "impossible"
# Contradicts another printed number, the text, or the record: at least one of them is wrong.
INCONSISTENT = "inconsistent"

# What a problem is about, the same in two papers that differ in a cell: (rule, names ...).
Atom = tuple[str, ...]


@dataclass(frozen=True)
class CellChange:
    """Another number in one cell, from an interval that should mend a problem."""

    cell: PrintedCell
    interval: Interval

    def texts(self) -> tuple[str, str] | None:
        """The smallest and the largest printed number in question; None where there is none."""
        limits = self.interval
        if self.cell.task in {"classification", "segmentation"}:
            common = limits.common(PERCENT)
            if common is None:
                return None
            limits = common
        ends = self.cell.number.within(limits)
        return (ends[0].text, ends[1].text) if ends else None


@dataclass(frozen=True)
class TextChange:
    """Other words: in a claim, or in a cell that holds no number.

    Attributes:
        place: what is changed, in words.
        before: what is there now.
        after: what should be there.
        apply: makes the changed paper.
    """

    place: str
    before: str
    after: str
    apply: Callable[[Paper], Paper]


Change = CellChange | TextChange


def no_change() -> Iterator[Change]:
    """For a problem that no single change could mend."""
    return iter(())


@dataclass(frozen=True)
class Problem:
    """What a rule found wrong.

    Attributes:
        kind: the rule.
        severity: IMPOSSIBLE or INCONSISTENT.
        cells: the cells in which the problem shows, the cell in question first.
        amount: the size of the problem, in units of the last printed number's scale (points,
            images).
        text: what is wrong, in words.
        atoms: what it is about; a change mends it if none of these is reported any more.
        suggest: changes that may mend it, unproven.
        claims: the claims concerned.
    """

    kind: str
    severity: str
    cells: tuple[PrintedCell, ...]
    amount: Fraction
    text: str
    atoms: frozenset[Atom]
    suggest: Callable[[], Iterable[Change]] = field(default=no_change, compare=False, repr=False)
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Correction:
    """A single change that mends a problem; the audit of the changed paper proved it.

    Attributes:
        place: the cell or the words, as text.
        before: what is printed.
        nearest: the nearest that is consistent.
        low: the smallest number that is consistent; for words the same as `nearest`.
        high: the largest.
        typo: the reading that one typo turns into what is printed, if there is one.
    """

    place: str
    before: str
    nearest: str
    low: str
    high: str
    typo: str = ""


@dataclass(frozen=True)
class AuditFinding:
    """A problem as reported."""

    kind: str
    severity: str
    table: str
    dataset: str
    method: str
    metric: str
    amount: str
    text: str
    corrections: tuple[Correction, ...] = ()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inference:
    """What the printed numbers let conclude, without anything being wrong."""

    kind: str
    dataset: str
    text: str
