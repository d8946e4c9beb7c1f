"""Runs the rules, and proves each correction: the changed paper has one problem less and none more.

A change mends a problem if all rules, run again, report nothing of what the problem was about and
nothing that was not reported before. So a number that would satisfy one rule and break another, or
another table, or a claim of the text, is never offered.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from workflow.audit.claim_check import check_claims, infer_significance, is_checkable
from workflow.audit.counts import check_counts, infer_split
from workflow.audit.findings import (
    IMPOSSIBLE,
    Atom,
    AuditFinding,
    CellChange,
    Correction,
    Inference,
    Problem,
    TextChange,
)
from workflow.audit.overlap import check_overlap, infer_averaging
from workflow.audit.paper import Paper
from workflow.audit.prevalence import check_prevalence, infer_prevalence
from workflow.audit.repeats import check_ranges, check_repeats
from workflow.audit.rounding import Printed, printed, show

_RULES = (
    check_ranges,
    check_repeats,
    check_prevalence,
    check_overlap,
    check_counts,
    check_claims,
)
_INFERENCES = (infer_prevalence, infer_averaging, infer_split, infer_significance)
# Where the nearest number breaks another rule, so many further on are tried; and among so many a
# typo is looked for, because among many more there would be one by chance.
_STEPS = 10


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit.

    Attributes:
        findings: what is wrong, the impossible first, else in the order of rules and tables.
        inferences: what the numbers let conclude.
        cells: how many printed cells were read.
        claims: id of each claim -> agrees, contradicted, or unchecked (neither tables nor record
            can say that it is so).
    """

    findings: tuple[AuditFinding, ...]
    inferences: tuple[Inference, ...]
    cells: int
    claims: dict[str, str]


def find_problems(paper: Paper) -> list[Problem]:
    """What all rules report, without corrections."""
    return [problem for rule in _RULES for problem in rule(paper)]


def audit(paper: Paper) -> AuditReport:
    """Run all rules, and prove corrections for what they report.

    Raises:
        AuditError: a claim names cells that the tables do not have.
    """
    problems = find_problems(paper)
    contradicted = {claim.id for problem in problems for claim in problem.claims}
    return AuditReport(
        findings=tuple(
            _finding(problem, corrections(paper, problem, problems))
            for problem in sorted(problems, key=lambda problem: problem.severity != IMPOSSIBLE)
        ),
        inferences=tuple(found for infer in _INFERENCES for found in infer(paper)),
        cells=len(paper.cells),
        claims={
            claim.id: "contradicted"
            if claim.id in contradicted
            else "agrees"
            if is_checkable(claim, paper)
            else "unchecked"
            for claim in paper.claims
        },
    )


def corrections(paper: Paper, problem: Problem, problems: list[Problem]) -> tuple[Correction, ...]:
    """The single changes that mend a problem: typos first, then the nearest.

    Args:
        paper: the paper, its numbers as printed.
        problem: the one to mend.
        problems: all that `find_problems` reports of the paper.
    """
    proven: dict[tuple[str, str], Correction] = {}
    for change in problem.suggest():
        if isinstance(change, CellChange):
            part = paper.only(change.cell.dataset)
            correction = _prove_cell(change, part, _mended(problem, find_problems(part)))
        else:
            correction = _prove_text(change, paper, _mended(problem, problems))
        if correction is not None:
            proven.setdefault((correction.place, correction.nearest), correction)
    return tuple(sorted(proven.values(), key=_rank))


def _mended(problem: Problem, problems: list[Problem]) -> Callable[[Paper], bool]:
    """Whether a changed paper has nothing of a problem any more, and no new one."""
    before = _atoms(problems)

    def mends(changed: Paper) -> bool:
        after = _atoms(find_problems(changed))
        return after < before and not after & problem.atoms

    return mends


def _atoms(problems: list[Problem]) -> frozenset[Atom]:
    return frozenset(atom for problem in problems for atom in problem.atoms)


def _prove_text(
    change: TextChange, paper: Paper, mends: Callable[[Paper], bool]
) -> Correction | None:
    if not mends(change.apply(paper)):
        return None
    return Correction(change.place, change.before, change.after, change.after, change.after)


def _prove_cell(
    change: CellChange, paper: Paper, mends: Callable[[Paper], bool]
) -> Correction | None:
    """The part of an interval that mends; it begins near the end closer to what is printed."""
    ends = change.texts()
    if ends is None:
        return None
    cell = change.cell

    def does(text: str) -> bool:
        return text != cell.text and mends(paper.with_cell(cell, text))

    near, far = sorted(map(printed, ends), key=lambda end: abs(end.value - cell.number.value))
    texts = _texts(near, far)
    first = next((k for k, text in enumerate(texts[:_STEPS]) if does(text)), None)
    if first is None:
        return None
    last = first + _last_that_does(texts[first:], does)
    typos = (text for text in texts[first : last + 1][:_STEPS] if _is_typo(cell.text, text))
    low, high = sorted((texts[first], texts[last]), key=float)
    typo = next(filter(does, typos), "")
    return Correction(cell.place, cell.text, texts[first], low, high, typo)


def _last_that_does(texts: list[str], does: Callable[[str], bool]) -> int:
    """The last position that does, where the first does and what does is in one piece."""
    good, bad = 0, len(texts)
    if does(texts[-1]):
        return bad - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if does(texts[middle]) else (good, middle)
    return good


def _texts(start: Printed, end: Printed) -> list[str]:
    """The printed numbers from one to another, both included, upwards or downwards."""
    count = abs(end.value - start.value) / start.unit
    step = start.unit if end.value >= start.value else -start.unit
    return [show(start.value + k * step, start.decimals) for k in range(int(count) + 1)]


def _is_typo(text: str, other: str) -> bool:
    """Whether one typo makes one text of the other: a wrong digit, or two swapped."""
    if len(text) != len(other):
        return False
    odd = [(a, b) for a, b in zip(text, other, strict=True) if a != b]
    return len(odd) == 1 or (len(odd) == 2 and Counter(text) == Counter(other))


def _rank(correction: Correction) -> tuple[bool, float]:
    try:
        away = abs(float(correction.nearest) - float(correction.before))
    except ValueError:  # words have no distance; they keep their order, before any cell
        return (False, 0.0)
    return (not correction.typo, away)


def _finding(problem: Problem, proven: tuple[Correction, ...]) -> AuditFinding:
    cells = problem.cells
    decimals = len(cells[0].text.partition(".")[2]) + 1
    amount = show(problem.amount, decimals).rstrip("0").rstrip(".")
    return AuditFinding(
        kind=problem.kind,
        severity=problem.severity,
        table=", ".join(dict.fromkeys(cell.table for cell in cells if cell.table)),
        dataset=cells[0].dataset,
        method=", ".join(dict.fromkeys(cell.method for cell in cells if cell.method)),
        metric=", ".join(dict.fromkeys(cell.metric for cell in cells)),
        amount=amount or "0",
        text=problem.text,
        corrections=proven,
        claims=tuple(claim.id for claim in problem.claims),
    )
