"""A verdict on each claim of the paper's text, from our own results.

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

For a claim that states a margin this is about the direction; the margin itself is held against the
difference of the sides' best as a printed number is, and that is told beside it. A claim that
states a value holds where the value is reproduced, does not hold where ours differs, and is not
resolvable where ours is within noise. Claims about the data are no matter of results.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workflow.audit.claims import Claim, Comparison
from workflow.audit.rounding import printed
from workflow.config.cells import Run, made_tables, table_cells
from workflow.config.model import Config
from workflow.metrics.intervals import Design, Difference, Estimate, differences
from workflow.metrics.statistics import Verdict, verdict
from workflow.results.missing import missing_of
from workflow.results.printed import printed_results
from workflow.results.read import Results
from workflow.verdicts.values import DEMO

ClaimWord = Literal["holds", "does not hold", "not resolvable", "not testable", "demo"]
ABOUT_DATA = "about the data, not about results: the audit holds it against the record"
_OF_VALUES: dict[Verdict, ClaimWord] = {
    "reproduced": "holds",
    "within noise": "not resolvable",
    "differs": "does not hold",
    "not testable": "not testable",
}


@dataclass(frozen=True)
class ComparisonVerdict:
    """A comparison of a claim, made with our results.

    Attributes:
        comparison: what is compared.
        left: the method with the highest mean of the left side; None where none has one.
        right: of the right side, likewise; None also for a claim that states a value.
        ours: left less right, or for a claim that states a value, left; None where not both are
            there.
        beaten: how many methods of the right side `left` beats.
        of: how many there are.
        verdict: on this comparison.
        stated: of a claim that states a margin, how `ours` stands to it; None for others.
        remark: which runs are missing, and why.
    """

    comparison: Comparison
    left: str | None
    right: str | None
    ours: Difference | Estimate | None
    beaten: int
    of: int
    verdict: ClaimWord
    stated: Verdict | Literal["demo"] | None
    remark: str


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim of the text.

    Attributes:
        verdict: by our results.
        audit: what the printed cells say of it: agrees, contradicted or unchecked.
        comparisons: those whose left side has a method in this configuration's tables.
    """

    claim: Claim
    verdict: ClaimWord
    audit: str
    comparisons: tuple[ComparisonVerdict, ...]
    remark: str = ""


def claim_verdicts(
    config: Config, results: Results, claims: Sequence[Claim], audit: Mapping[str, str]
) -> Iterator[ClaimVerdict]:
    """A verdict on every claim that is about something in the configuration's tables.

    Args:
        config: the resolved configuration.
        results: of its runs.
        claims: of the paper.
        audit: id of each claim -> what the audit of the printed cells says of it.
    """
    cells = [cell for table in made_tables(config) for cell in table_cells(config, table)]
    shown = {(cell.dataset, cell.method, cell.metric) for cell in cells}
    datasets = {cell.dataset for cell in cells}
    for claim in claims:
        if claim.kind == "data":
            if datasets & set(claim.datasets):
                word = DEMO if config.demo else "not testable"
                yield ClaimVerdict(claim, word, audit[claim.id], (), ABOUT_DATA)
            continue
        comparisons = list(claim.comparisons())
        judged = [_compare(config, results, claim, one, len(comparisons)) for one in comparisons]
        seen = tuple(found for found in judged if _places(found.comparison) & shown)
        if seen:
            yield ClaimVerdict(claim, _together(judged), audit[claim.id], seen)


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
        ours = results.estimates.get((Run(comparison.dataset, best_left or ""), comparison.metric))
        word = _OF_VALUES[_against(ours, comparison, results.design)]
    else:
        column = {
            method: results.ratios[run][comparison.metric]
            for method, run in runs.items()
            if comparison.metric in results.ratios.get(run, {})
        }
        pairs = {
            pair: found
            for method in left
            if method in column
            for pair, found in differences(column, results.design, of=method).items()
        }
        word = decide(pairs, left, right, results.design, count)
        ours = pairs.get((best_left or "", best_right or ""))
        won = beaten(pairs, best_left or "", right, levels(left, right, results.design, count)[0])
        if comparison.stated is not None:
            stated = _against(ours, comparison, results.design)
    return ComparisonVerdict(
        comparison=comparison,
        left=best_left,
        right=best_right,
        ours=ours,
        beaten=won,
        of=len(right),
        verdict=DEMO if config.demo else word,
        stated=DEMO if config.demo and stated else stated,
        remark=missing_of(config, results, runs.values(), comparison.metric),
    )


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
        method: that may be better.
        others: that it is compared with.
        level: of each test.
        sign: -1 where `pairs` has the others less the method.
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
    """The method of a side with our highest mean."""
    estimates = {
        method: found
        for method in side
        if (found := results.estimates.get((Run(comparison.dataset, method), comparison.metric)))
    }
    return max(estimates, key=lambda method: estimates[method].value, default=None)


def _against(ours: Difference | Estimate | None, comparison: Comparison, design: Design) -> Verdict:
    """How ours stands to the number that a claim states."""
    number = printed(comparison.stated or "")
    return verdict(ours, float(number.value), design, number.decimals)
