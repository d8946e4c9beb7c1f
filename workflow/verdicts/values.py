"""A verdict on each printed number: does this run's interval say the same?

`workflow.metrics.against` decides, from the doubt of both numbers and the margin of the
configuration. A number without an interval, of one seed, or of a run that a notice says cannot be
compared is not testable, and why is said.

So many numbers are tested that some differ by chance: beside the plain verdict stands the one that
remains when the share of false ones is kept small over all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from workflow.audit.rounding import printed
from workflow.config.cells import Run, made_tables, table_cells
from workflow.config.model import Config
from workflow.metrics.against import (
    CANNOT_TELL,
    ONE_SEED,
    Against,
    Printing,
    Verdict,
    against,
    corrected,
    enough,
    printed_doubt,
)
from workflow.metrics.intervals import Design, MeanEstimate
from workflow.results.missing import what_is_missing
from workflow.results.printed import PrintedKey, printed_results
from workflow.results.printing import printing
from workflow.results.read import Results

# What stands in place of every verdict on phantom data.
DEMO: Final = "demo"


@dataclass(frozen=True)
class ValueVerdict:
    """A printed number and this run's.

    Attributes:
        printed: the number as printed.
        estimate: this run's; None where no seed gave a number.
        expected: how many seeds the configuration asks for.
        against: the one held against the other.
        verdict: what this run says of the printed number.
        corrected: the same, if of all such verdicts few are to be false.
        could_tell: what would have to be larger to tell at the margin; empty where that is told.
        remark: which seeds are missing and why, and what the interval stands on.
    """

    key: PrintedKey
    printed: str
    estimate: MeanEstimate | None
    expected: int
    against: Against
    verdict: Verdict | Literal["demo"]
    corrected: Verdict | Literal["demo"]
    could_tell: str
    remark: str

    @property
    def run(self) -> Run:
        """The run behind this number."""
        return Run(self.key.dataset, self.key.method)

    @property
    def difference(self) -> float | None:
        """This run minus paper, in points; None where they are not comparable."""
        if self.estimate is None or self.verdict == DEMO:
            return None
        return self.estimate.value - float(self.printed)


def value_verdicts(config: Config, results: Results) -> Iterator[ValueVerdict]:
    """A verdict on every printed number that the configuration's tables hold, table by table."""
    published = printed_results()
    found = []
    for table in made_tables(config):
        cells = table_cells(config, table)
        for key in dict.fromkeys(PrintedKey(table, c.dataset, c.method, c.metric) for c in cells):
            if key in published:
                found.append(_verdict(config, results, key, published[key]))
    if config.demo:
        yield from found
        return
    for one, word in zip(found, corrected([v.against for v in found], results.design), strict=True):
        yield replace(one, corrected=word)


def expected_by_chance(found: Sequence[ValueVerdict], design: Design) -> tuple[int, float]:
    """How many values are tested, and of how many one would say `differs` if all were equal."""
    tested = sum(one.against.p is not None for one in found)
    return tested, tested * design.alpha


def _verdict(config: Config, results: Results, key: PrintedKey, text: str) -> ValueVerdict:
    run = Run(key.dataset, key.method)
    estimate = results.estimates.get((run, key.metric))
    number, how = printed(text), printing(config, run)
    found = against(estimate, float(number.value), how, results.design, number.decimals)
    notes = list(estimate.notes) if estimate else []
    if estimate is not None and estimate.n == 1:
        notes.insert(0, ONE_SEED)
    if how.reason and not config.demo:
        notes.insert(0, f"not comparable: {how.reason}")
    told = "" if config.demo else _could_tell(estimate, found, how, results.design, number.decimals)
    return ValueVerdict(
        key=key,
        printed=text,
        estimate=estimate,
        expected=len(config.seeds),
        against=found,
        verdict=DEMO if config.demo else found.verdict,
        corrected=DEMO if config.demo else found.verdict,
        could_tell=told,
        remark="; ".join(filter(None, (what_is_missing(config, results, run, key.metric), *notes))),
    )


def _could_tell(
    estimate: MeanEstimate | None, found: Against, how: Printing, design: Design, decimals: int
) -> str:
    """What it would take to tell at the margin, if the values were equal; or why nothing would."""
    if found.verdict != CANNOT_TELL or estimate is None:
        return ""
    kind = "seeds" if how.same_images else "groups"
    count = enough(estimate, how, design, decimals)
    if count is not None:
        return f"{count} {kind}"
    off = printed_doubt(estimate, how, design)
    return f"no number of {kind}: the printed value alone may be ±{off:.1f} off"
