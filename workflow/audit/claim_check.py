"""The claims of a text against the cells of its tables, and against the record of its data."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from workflow.audit.cells import DATA, PrintedCell
from workflow.audit.claims import UNCONFIRMED, Claim, Comparison
from workflow.audit.findings import (
    INCONSISTENT,
    CellChange,
    Change,
    Inference,
    Problem,
    TextChange,
)
from workflow.audit.paper import Paper
from workflow.audit.record import DatasetRecord, sizes
from workflow.audit.rounding import AuditError, Interval, agree, printed, show


@dataclass(frozen=True)
class ClaimOutcome:
    """A comparison with the cells that stand for its sides.

    Attributes:
        left, right: the best cell of each side; right is None for a claim of kind `value`.
        off: the points by which the cells disagree with the claim; 0 can disagree too, where two
            numbers that should differ are printed equal.
        agrees: whether they can agree, given their rounding.
    """

    comparison: Comparison
    left: PrintedCell
    right: PrintedCell | None
    off: Fraction
    agrees: bool


Found = dict[tuple[str, str, str], list[PrintedCell]]


def outcomes(claim: Claim, cells: Iterable[PrintedCell]) -> list[ClaimOutcome]:
    """Each comparison of a claim, made with printed cells.

    Raises:
        AuditError: no cell stands for a side of a comparison.
    """
    return _outcomes(claim, _index(cells))


def is_checkable(claim: Claim, paper: Paper) -> bool:
    """Whether the tables or, for a claim about data, the record can speak for or against it."""
    if claim.kind == "data":
        return all(_on_record(q, claim, paper) for q, _ in claim.stated)
    return claim.kind not in UNCONFIRMED


def infer_significance(paper: Paper) -> Iterator[Inference]:
    """The claims of significance, for which the tables have nothing to show."""
    for claim in paper.claims:
        if claim.kind == "significant":
            yield Inference(
                "significance",
                ", ".join(claim.datasets),
                f"{claim.place}: {claim.says} The tables print means alone, neither spreads nor "
                "tests: they can speak against it, and nothing in them can speak for it.",
            )


def check_claims(paper: Paper) -> Iterator[Problem]:
    """Claims that the cells or the record contradict; claims that fail alike are one problem."""
    found = _index(paper.cells)
    failed: dict[tuple[tuple[str, ...], ...], list[tuple[Claim, list[ClaimOutcome]]]] = {}
    for claim in paper.claims:
        if claim.kind == "data":
            yield from _check_data(claim, paper)
            continue
        wrong = [outcome for outcome in _outcomes(claim, found) if not outcome.agrees]
        if wrong:
            failed.setdefault(_sign(claim, wrong), []).append((claim, wrong))
    for group in failed.values():
        yield _problem(group, found)


def _sign(claim: Claim, wrong: list[ClaimOutcome]) -> tuple[tuple[str, ...], ...]:
    """The same for claims that say the same of the same cells."""
    kind = "above" if claim.kind == "significant" else claim.kind
    return (
        (kind,),
        *((*o.comparison.left, o.comparison.dataset, o.comparison.metric) for o in wrong),
        *((o.right.method if o.right else "", o.comparison.stated or "") for o in wrong),
    )


def _index(cells: Iterable[PrintedCell]) -> Found:
    found: Found = {}
    for cell in cells:
        if cell.task != DATA:
            found.setdefault((cell.dataset, cell.method, cell.metric), []).append(cell)
    return found


def _outcomes(claim: Claim, found: Found) -> list[ClaimOutcome]:
    return [_outcome(claim, comparison, found) for comparison in claim.comparisons()]


def _best(claim: Claim, side: tuple[str, ...], comparison: Comparison, found: Found) -> PrintedCell:
    """The side's best cell in the claim's tables; methods without the metric have no part in it."""
    cells = [
        cell
        for method in side
        for cell in found.get((comparison.dataset, method, comparison.metric), [])
        if not claim.tables or cell.table in claim.tables
    ]
    if not cells:
        where = f"Tables {', '.join(claim.tables)}" if claim.tables else "the tables"
        raise AuditError(
            f"claim {claim.id!r}: found no {comparison.metric} of {', '.join(side)} on "
            f"{comparison.dataset} in {where}; correct the claim's methods, metrics or tables"
        )
    return max(cells, key=lambda cell: cell.number.value)


def _outcome(claim: Claim, comparison: Comparison, found: Found) -> ClaimOutcome:
    left = _best(claim, comparison.left, comparison, found)
    if not comparison.right:
        stated = printed(comparison.stated or "")
        off = abs(left.number.value - stated.value)
        return ClaimOutcome(comparison, left, None, off, agree(left.number, stated))
    right = _best(claim, comparison.right, comparison, found)
    gain = left.number.value - right.number.value
    if comparison.stated is None:
        return ClaimOutcome(comparison, left, right, max(-gain, Fraction(0)), gain > 0)
    stated = printed(comparison.stated)
    off = abs(gain - stated.value)
    room = left.number.half + right.number.half + stated.half
    return ClaimOutcome(comparison, left, right, off, off <= room)


def _problem(group: list[tuple[Claim, list[ClaimOutcome]]], found: Found) -> Problem:
    claim, wrong = group[0]
    worst = max(wrong, key=lambda outcome: outcome.off)
    said = {"margin": _say_margin, "value": _say_value}
    words = said.get(claim.kind, _say_above)

    def suggest() -> Iterator[Change]:
        yield from _other_words([c for c, _ in group], wrong, found)
        if len(wrong) == 1:
            yield from _other_cells(wrong[0])

    places = " and ".join(c.place for c, _ in group)
    return Problem(
        kind="claim",
        severity=INCONSISTENT,
        cells=(worst.left, *([worst.right] if worst.right else [])),
        amount=worst.off,
        text=f"{places}: {claim.says} {words(claim, wrong, found)}",
        atoms=frozenset(("claim", c.id) for c, _ in group),
        suggest=suggest,
        claims=tuple(c for c, _ in group),
    )


def _say_above(claim: Claim, wrong: list[ClaimOutcome], found: Found) -> str:
    parts, pairs = [], 0
    for o in wrong:
        rivals = [c for c in _rivals(claim, o, found) if c.number.value >= o.left.number.value]
        rivals.sort(key=lambda cell: -cell.number.value)
        pairs += len(rivals)
        first, *others = rivals
        named = ", ".join(
            [f"{first.method} has {first.text}", *(f"{c.method} {c.text}" for c in others)]
        )
        equal = " (equal as printed)" if o.off == 0 else ""
        where = f"{o.left.metric} on {o.left.dataset}"
        parts.append(f"{where}, where {named} and {o.left.method} {o.left.text}{equal}")
    of = len(_outcomes(claim, found))
    more = f" ({pairs} pairs)" if pairs > len(wrong) else ""
    return f"Not so in {len(wrong)} of {of}{more}: {'; '.join(parts)}."


def _say_margin(claim: Claim, wrong: list[ClaimOutcome], found: Found) -> str:
    parts: list[str] = []
    for outcome in wrong:
        left, right, stated = outcome.left, outcome.right, outcome.comparison.stated
        assert right is not None  # a margin has two sides
        gain = show(left.number.value - right.number.value, left.number.decimals)
        parts.append(
            f"Stated is {left.metric} {stated}; printed are {left.text} ({left.method}) and "
            f"{right.text} ({right.method}), which is {gain}."
        )
        same = [
            f"{cell.method} ({cell.text})"
            for cell in _rivals(claim, outcome, found)
            if show(left.number.value - cell.number.value, left.number.decimals) == stated
        ]
        if same:
            parts.append(f"{stated} is the margin over {' and '.join(same)}.")
    return " ".join(parts)


def _say_value(claim: Claim, wrong: list[ClaimOutcome], found: Found) -> str:
    parts = [
        f"{o.left.metric} is {o.left.text} in Table {o.left.table}, not {o.comparison.stated}"
        for o in wrong
    ]
    whose = _owners(claim, found)
    tail = f" These are the numbers of {' and '.join(whose)}." if whose else ""
    return f"{'; '.join(parts)}.{tail}"


def _rivals(claim: Claim, outcome: ClaimOutcome, found: Found) -> list[PrintedCell]:
    comparison = outcome.comparison
    return [
        _best(claim, (method,), comparison, found)
        for method in comparison.right
        if (comparison.dataset, method, comparison.metric) in found
    ]


def _owners(claim: Claim, found: Found) -> list[str]:
    """The methods whose cells in the claim's tables have all the values that it states."""
    methods = {method for _, method, _ in found}
    return sorted(
        method
        for method in methods
        if all(
            any(
                agree(cell.number, printed(c.stated or ""))
                for cell in found.get((c.dataset, method, c.metric), [])
                if not claim.tables or cell.table in claim.tables
            )
            for c in claim.comparisons()
        )
    )


def _other_words(
    claims: list[Claim], wrong: list[ClaimOutcome], found: Found
) -> Iterator[TextChange]:
    """The claims with their number, their subject, their rival or their scope put right."""
    claim = claims[0]
    if claim.kind == "value":
        for method in _owners(claim, found):
            yield _rewrite(claims, "method", ", ".join(claim.left), method, left=(method,))
    if claim.kind in {"value", "margin"}:
        stated = dict(claim.stated)
        for outcome in wrong:
            value = outcome.left.number.value
            value -= outcome.right.number.value if outcome.right else 0
            stated[outcome.comparison.metric] = show(value, outcome.left.number.decimals)
        new = tuple(stated.items())
        before, after = (", ".join(f"{m} {v}" for m, v in s) for s in (claim.stated, new))
        yield _rewrite(claims, "number", before, after, stated=new)
    if claim.kind == "margin" and len(claim.right) > 1:
        for method in claim.right:
            yield _rewrite(claims, "compared with", "the best", method, right=(method,))
    if claim.kind in {"above", "significant"}:
        metrics, datasets = (
            {getattr(o.comparison, name) for o in wrong} for name in ("metric", "dataset")
        )
        yield from _narrower(claims, "metrics", metrics)
        yield from _narrower(claims, "datasets", datasets)


def _narrower(claims: list[Claim], field: str, without: set[str]) -> Iterator[TextChange]:
    """The claims for those metrics or data sets only in which they hold."""
    names: tuple[str, ...] = getattr(claims[0], field)
    kept = tuple(name for name in names if name not in without)
    if kept:
        yield _rewrite(claims, field, ", ".join(names), ", ".join(kept), **{field: kept})


def _rewrite(
    claims: list[Claim], what: str, before: str, after: str, **fields: tuple[Any, ...]
) -> TextChange:
    """The same change of all `claims`, which say the same."""

    def apply(paper: Paper) -> Paper:
        for claim in claims:
            paper = paper.with_claim(claim, replace(claim, **fields))
        return paper

    place = " and ".join(claim.place for claim in claims)
    return TextChange(f"{place}, {what}", before, after, apply)


def _other_cells(outcome: ClaimOutcome) -> Iterator[CellChange]:
    """Numbers in either cell with which a single failed comparison would hold."""
    left, right = outcome.left, outcome.right
    if right is None:
        stated = printed(outcome.comparison.stated or "").value
        yield CellChange(left, Interval(stated, stated))
    elif outcome.comparison.stated is not None:
        stated = printed(outcome.comparison.stated)
        room = left.number.half + right.number.half + stated.half
        low, high = stated.value - room, stated.value + room
        yield CellChange(left, Interval(right.number.value + low, right.number.value + high))
        yield CellChange(right, Interval(left.number.value - high, left.number.value - low))
    else:
        above = Interval(right.number.value + left.number.unit, Fraction(100))
        yield CellChange(left, above)
        yield CellChange(right, Interval(Fraction(0), left.number.value - right.number.unit))


def _check_data(claim: Claim, paper: Paper) -> Iterator[Problem]:
    """A claim about data sets, against the record; what is not on record cannot be checked."""
    for quantity, stated in claim.stated:
        known = _on_record(quantity, claim, paper)
        if known is None or _matches(quantity, stated, known):
            continue
        after = " to ".join(known) if quantity == "image_size" else " or ".join(known)
        new = tuple((q, after if q == quantity else s) for q, s in claim.stated)
        change = _rewrite([claim], quantity, stated, after, stated=new)
        place = PrintedCell("", ", ".join(claim.datasets), "", DATA, quantity, stated)
        yield Problem(
            kind="claim",
            severity=INCONSISTENT,
            cells=(place,),
            amount=_gap(quantity, stated, known),
            text=f"{claim.place}: {claim.says} On record: {after}.",
            atoms=frozenset({("claim", claim.id, quantity)}),
            suggest=lambda change=change: iter([change]),
            claims=(claim,),
        )


def _on_record(quantity: str, claim: Claim, paper: Paper) -> list[str] | None:
    """What the record says of a claim's data sets, as text; None if it does not know all."""
    records = [paper.record.get(name, DatasetRecord()) for name in claim.datasets]
    if quantity == "slices":
        known = [record.slices or (record.uniform or 0,) for record in records]
        different = sorted({count for counts in known for count in counts})
        return [str(count) for count in different] if all(different) else None
    if quantity == "volumes":
        counts = [len(record.slices) for record in records]
        return [str(sum(counts))] if all(counts) else None
    if quantity == "volume_parts":
        counts = [len(record.slices) for record in records]
        numbers = re.findall(r"\d+", dict(claim.stated)[quantity])
        if not all(counts) or len(numbers) != 3:
            return None
        # What is not public is taken as stated; the sum has to be right.
        first, other = sum(counts), int(numbers[2])
        return [f"{first + other} = {first} + {other}"]
    if quantity == "image_size":
        limits = [size for record in records for size in record.image_sizes]
        if len(limits) < 2 * len(records):
            return None
        widths, heights = zip(*limits, strict=True)
        return [f"{extreme(widths)}×{extreme(heights)}" for extreme in (min, max)]
    images = [dict(record.images).get(quantity, 0) for record in records]
    return [str(sum(images))] if all(images) else None


def _matches(quantity: str, stated: str, known: list[str]) -> bool:
    if quantity == "image_size":
        (small, large), named = (sizes(text)[0] for text in known), sizes(stated)
        return all(small[k] <= size[k] <= large[k] for size in named for k in (0, 1))
    return sorted(re.findall(r"\d+", stated)) == sorted(re.findall(r"\d+", " ".join(known)))


def _gap(quantity: str, stated: str, known: list[str]) -> Fraction:
    """How far a stated number is from the record; of a size, its narrower side's lack or excess."""
    if quantity == "image_size":
        (small, large), named = (sizes(text)[0] for text in known), sizes(stated)
        away = [max(small[k] - s[k], s[k] - large[k], 0) for s in named for k in (0, 1)]
        return Fraction(max(away))
    numbers = [int(text) for text in re.findall(r"\d+", stated)]
    if quantity == "volume_parts":
        right = [int(text) for text in re.findall(r"\d+", known[0])]
        return Fraction(max(abs(a - b) for a, b in zip(numbers, right, strict=True)))
    return Fraction(max(abs(int(text) - number) for text in known for number in numbers))
