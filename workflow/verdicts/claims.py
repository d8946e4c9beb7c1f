"""A verdict on each claim of the paper's text, from this run's own results.

A claim is a set of comparisons, each of one data set and metric (`auditing.claims`). A side of a
comparison is a set of methods that its best one represents: "our method" is the better of its two
variants, in each data set and metric. The methods of a side are those that the paper prints there.

One method beats another if their paired difference (common groups and seeds) is above 0 by a test.
A comparison
  holds           if some method of the left side beats every one of the right;
  does not hold   if some method of the right side beats every one of the left;
  is not testable if a pair that could have decided was not tested: a run is missing;
  is not resolvable otherwise.
Which method is a side's best is not known beforehand, so a side's tests are at 1 - level over the
number of its methods. A claim holds if all its comparisons hold, and does not hold if any does not;
tests against it are for that reason also divided by the number of comparisons. So a claim that is
false is said to hold, and one that is true is said not to, each with a chance of (1 - level) / 2 at
most. Where neither is so, a claim is not testable if any comparison is not, else not resolvable.

A claim that states a margin says two things, its direction and its size, and each is a finding of
its own. The size is the difference of the sides' best held against the stated one as a printed
number is. Such a claim holds only if direction and size do; "direction holds, size differs" and its
like say the rest. The best of a side of several methods is chosen by the same noisy numbers, which
makes a difference of two bests smaller where the right side has more methods than the left.

A claim that states a value holds where the value is reproduced, does not hold where this run
differs, and is not resolvable where this run cannot tell at the margin; of several values each is
tested at 1 - level over their number. Claims about the data are no matter of results, nor are those
on which the tables hold nothing. With one seed, or where a notice says that runs cannot be compared
with the paper, nothing is testable.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from workflow.audit.claims import Claim, Comparison
from workflow.audit.rounding import printed
from workflow.config.cells import Run, made_tables, table_cells
from workflow.config.model import Config
from workflow.metrics.against import ONE_SEED, Printing, Verdict, against
from workflow.metrics.intervals import Design, Difference, MeanEstimate, differences
from workflow.results.missing import missing_of
from workflow.results.printed import printed_results
from workflow.results.printing import printing
from workflow.results.read import Results
from workflow.verdicts.values import DEMO

ClaimWord = Literal[
    "holds",
    "direction holds, size differs",
    "direction holds, size open",
    "direction open, size differs",
    "does not hold",
    "not resolvable",
    "not testable",
    "demo",
]
ABOUT_DATA = "about the data, not about results: the audit holds it against the record"
NO_NUMBERS = "the paper prints no number for it, and no table of this run has one"
_OF_VALUES: dict[Verdict, ClaimWord] = {
    "reproduced": "holds",
    "cannot tell at this margin": "not resolvable",
    "differs": "does not hold",
    "not testable": "not testable",
}


@dataclass(frozen=True)
class ComparisonVerdict:
    """A comparison of a claim, made with this run's results.

    Attributes:
        comparison: what is compared.
        left: the method with the highest mean of the left side; None where none has one.
        right: the same of the right side; None also for a claim that states a value.
        measured: left minus right, or for a claim that states a value, left; None where not both
            are there.
        beaten: how many methods of the right side `left` beats.
        of: how many there are.
        verdict: the verdict on this comparison; of a margin, on its direction.
        stated: the verdict on `measured` by a margin that the claim states, its size; None for
            other claims.
        remark: which runs are missing, and why.
    """

    comparison: Comparison
    left: str | None
    right: str | None
    measured: Difference | MeanEstimate | None
    beaten: int
    of: int
    verdict: ClaimWord
    stated: Verdict | Literal["demo"] | None
    remark: str


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim of the text.

    Attributes:
        verdict: the verdict by this run's results, on direction and size together.
        direction: of a claim of a margin, the verdict on its direction; None for other claims.
        size: of a claim of a margin, the verdict on its size; None for other claims.
        audit: what the printed cells say of it: agrees, contradicted or unchecked.
        comparisons: those whose left side has a method in this configuration's tables.
    """

    claim: Claim
    verdict: ClaimWord
    audit: str
    comparisons: tuple[ComparisonVerdict, ...]
    remark: str = ""
    direction: ClaimWord | None = None
    size: Verdict | Literal["demo"] | None = None


def claim_verdicts(
    config: Config, results: Results, claims: Sequence[Claim], audit: Mapping[str, str]
) -> Iterator[ClaimVerdict]:
    """A verdict on every claim that is about something in the configuration's tables.

    Args:
        config: the resolved configuration.
        results: the results of its runs.
        claims: the claims of the paper.
        audit: id of each claim -> what the audit of the printed cells says of it.
    """
    cells = [cell for table in made_tables(config) for cell in table_cells(config, table)]
    shown = {(cell.dataset, cell.method, cell.metric) for cell in cells}
    datasets = {cell.dataset for cell in cells}
    for claim in claims:
        if claim.kind in ("data", "words"):
            if datasets & set(claim.datasets):
                word = DEMO if config.demo else "not testable"
                remark = ABOUT_DATA if claim.kind == "data" else NO_NUMBERS
                yield ClaimVerdict(claim, word, audit[claim.id], (), remark)
            continue
        comparisons = list(claim.comparisons())
        judged = [_compare(config, results, claim, one, len(comparisons)) for one in comparisons]
        seen = tuple(found for found in judged if _places(found.comparison) & shown)
        if seen:
            yield _claim_verdict(claim, judged, audit[claim.id], seen)


def _claim_verdict(
    claim: Claim,
    judged: Sequence[ComparisonVerdict],
    audit: str,
    seen: tuple[ComparisonVerdict, ...],
) -> ClaimVerdict:
    """A claim's verdict; `seen` are those of its comparisons that are in the tables here."""
    word = _together(judged)
    if claim.kind != "margin" or word == DEMO:
        return ClaimVerdict(claim, word, audit, seen)
    sizes = [found.stated for found in judged]
    size: Verdict = "reproduced"
    worst_last: tuple[Verdict, ...] = ("cannot tell at this margin", "not testable", "differs")
    for word_of_size in worst_last:
        if word_of_size in sizes:
            size = word_of_size
    return ClaimVerdict(claim, _of_margin(word, size), audit, seen, direction=word, size=size)


def _of_margin(direction: ClaimWord, size: Verdict) -> ClaimWord:
    """The verdict on a claim of a margin, from those on its direction and its size."""
    if direction == "holds":
        words: dict[Verdict, ClaimWord] = {
            "reproduced": "holds",
            "differs": "direction holds, size differs",
        }
        return words.get(size, "direction holds, size open")
    if direction == "not resolvable" and size == "differs":
        return "direction open, size differs"
    return direction


def _places(comparison: Comparison) -> set[tuple[str, str, str]]:
    """(data set, method, metric) of the methods that a comparison is about."""
    return {(comparison.dataset, method, comparison.metric) for method in comparison.left}


def _together(judged: Sequence[ComparisonVerdict]) -> ClaimWord:
    """The verdict on a claim from those on its comparisons."""
    words = [found.verdict for found in judged]
    decisive: tuple[ClaimWord, ...] = (DEMO, "does not hold", "not testable", "not resolvable")
    for word in decisive:
        if word in words:
            return word
    return "holds"


def _compare(
    config: Config, results: Results, claim: Claim, comparison: Comparison, count: int
) -> ComparisonVerdict:
    """One of the `count` comparisons of a claim."""
    left, right = (
        _printed(claim, comparison, side) for side in (comparison.left, comparison.right)
    )
    best_left, best_right = (_best(results, comparison, side) for side in (left, right))
    runs = {method: Run(comparison.dataset, method) for method in (*left, *right)}
    stated: Verdict | None = None
    won = 0
    if claim.kind == "value":
        run = Run(comparison.dataset, best_left or "")
        measured = results.estimates.get((run, comparison.metric))
        design = _shared(results.design, count)
        word = _OF_VALUES[_against(config, measured, comparison, left, design)]
    else:
        pairs = _pairs(results, comparison, left, right)
        word = decide(pairs, left, right, results.design, count)
        measured = pairs.get((best_left or "", best_right or ""))
        won = beaten(pairs, best_left or "", right, levels(left, right, results.design, count)[0])
        if comparison.stated is not None:
            design = _shared(results.design, count)
            design = replace(design, margin=design.gain_margin)
            stated = _against(config, measured, comparison, (*left, *right), design)
    notice = "; ".join(
        filter(None, dict.fromkeys(printing(config, run).reason for run in runs.values()))
    )
    if notice:
        word, won = "not testable", 0
    remarks = [
        f"not comparable: {notice}" if notice and not config.demo else "",
        ONE_SEED if measured is not None and measured.n == 1 else "",
        missing_of(config, results, runs.values(), comparison.metric),
    ]
    return ComparisonVerdict(
        comparison=comparison,
        left=best_left,
        right=best_right,
        measured=measured,
        beaten=won,
        of=len(right),
        verdict=DEMO if config.demo else word,
        stated=DEMO if config.demo and stated else stated,
        remark="; ".join(filter(None, remarks)),
    )


def _pairs(
    results: Results, comparison: Comparison, left: Sequence[str], right: Sequence[str]
) -> dict[tuple[str, str], Difference | None]:
    """(method of the left, other method) -> their difference, of those that were measured."""
    runs = {method: Run(comparison.dataset, method) for method in (*left, *right)}
    column = {
        method: results.ratios[run][comparison.metric]
        for method, run in runs.items()
        if comparison.metric in results.ratios.get(run, {})
    }
    return {
        pair: found
        for method in left
        if method in column
        for pair, found in differences(column, results.design, of=method).items()
    }


def _shared(design: Design, count: int) -> Design:
    """The design with its level shared by the comparisons of a claim, any of which may differ."""
    return replace(design, level=1 - design.alpha / count)


def decide(
    pairs: Mapping[tuple[str, str], Difference | None],
    left: Sequence[str],
    right: Sequence[str],
    design: Design,
    count: int = 1,
) -> ClaimWord:
    """Whether the best of the left side is above the best of the right.

    Args:
        pairs: (method of the left, method of the right) -> their difference; None, or not there,
            where a run is missing.
        left: the methods of the left side.
        right: those of the right.
        design: its level is that of the tests.
        count: how many comparisons the claim has.
    """
    for_it, against = levels(left, right, design, count)
    if any(beaten(pairs, a, right, for_it) == len(right) for a in left):
        return "holds"
    turned = {(b, a): found for (a, b), found in pairs.items()}
    if any(beaten(turned, b, left, against, sign=-1) == len(left) for b in right):
        return "does not hold"
    tested = [pairs.get((a, b)) for a in left for b in right]
    untested = any(found is None or found.p is None for found in tested)
    return "not testable" if untested else "not resolvable"


def levels(
    left: Sequence[str], right: Sequence[str], design: Design, count: int
) -> tuple[float, float]:
    """At what level the tests for a comparison are, and those against it."""
    alpha = 1 - design.level
    return alpha / len(left), alpha / (len(right) * count)


def beaten(
    pairs: Mapping[tuple[str, str], Difference | None],
    method: str,
    others: Sequence[str],
    level: float,
    sign: int = 1,
) -> int:
    """How many of some methods a method beats.

    Args:
        pairs: (method, other) -> their difference, times `sign`.
        method: the method that may be better.
        others: the methods that it is compared with.
        level: the level of each test.
        sign: -1 where `pairs` has the others minus the method.
    """
    tested = (found for other in others if (found := pairs.get((method, other))) is not None)
    return sum(d.p is not None and d.p < level and sign * d.value > 0 for d in tested)


def _printed(claim: Claim, comparison: Comparison, side: Sequence[str]) -> tuple[str, ...]:
    """The methods of a side that the paper prints there; the others have no part in the claim."""
    there = {
        key.method
        for key in printed_results()
        if (key.dataset, key.metric) == (comparison.dataset, comparison.metric)
        and (not claim.tables or key.table in claim.tables)
    }
    return tuple(method for method in side if method in there)


def _best(results: Results, comparison: Comparison, side: Sequence[str]) -> str | None:
    """The method of a side with this run's highest mean."""
    estimates = {
        method: found
        for method in side
        if (found := results.estimates.get((Run(comparison.dataset, method), comparison.metric)))
    }
    return max(estimates, key=lambda method: estimates[method].value, default=None)


def _against(
    config: Config,
    measured: Difference | MeanEstimate | None,
    comparison: Comparison,
    methods: Sequence[str],
    design: Design,
) -> Verdict:
    """How this run's number stands to the one that a claim states of some methods."""
    number = printed(comparison.stated or "")
    hows = [printing(config, Run(comparison.dataset, method)) for method in methods]
    how = next((one for one in hows if one.reason), hows[0] if hows else Printing(False))
    return against(measured, float(number.value), how, design, number.decimals).verdict
