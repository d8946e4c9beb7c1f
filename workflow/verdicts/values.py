"""A verdict on each printed number: does our interval say the same?

`workflow.metrics.statistics.verdict` decides, from the interval over seeds and groups and the
margin of the configuration. A number without an interval is not testable, and why is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from workflow.audit.rounding import printed
from workflow.config.cells import Run, made_tables, table_cells
from workflow.config.model import Config
from workflow.metrics.intervals import Estimate
from workflow.metrics.statistics import Verdict, verdict
from workflow.results.missing import what_is_missing
from workflow.results.printed import PrintedKey, printed_results
from workflow.results.read import Results

# What stands in place of every verdict on phantom data.
DEMO: Final = "demo"


@dataclass(frozen=True)
class ValueVerdict:
    """A printed number and ours.

    Attributes:
        printed: as printed.
        estimate: ours; None where no seed gave a number.
        expected: how many seeds the configuration asks for.
        verdict: what ours says of the printed number.
        remark: which seeds are missing and why, and what the interval stands on.
    """

    key: PrintedKey
    printed: str
    estimate: Estimate | None
    expected: int
    verdict: Verdict | Literal["demo"]
    remark: str

    @property
    def run(self) -> Run:
        """The run behind our number."""
        return Run(self.key.dataset, self.key.method)

    @property
    def difference(self) -> float | None:
        """Ours less the printed number, in points; None where they are not comparable."""
        if self.estimate is None or self.verdict == DEMO:
            return None
        return self.estimate.value - float(self.printed)


def value_verdicts(config: Config, results: Results) -> Iterator[ValueVerdict]:
    """A verdict on every printed number that the configuration's tables hold, table by table."""
    published = printed_results()
    for table in made_tables(config):
        cells = table_cells(config, table)
        for key in dict.fromkeys(PrintedKey(table, c.dataset, c.method, c.metric) for c in cells):
            if key in published:
                yield _verdict(config, results, key, published[key])


def _verdict(config: Config, results: Results, key: PrintedKey, text: str) -> ValueVerdict:
    run = Run(key.dataset, key.method)
    estimate = results.estimates.get((run, key.metric))
    notes = estimate.notes if estimate else ()
    number = printed(text)
    found = verdict(estimate, float(number.value), results.design, number.decimals)
    return ValueVerdict(
        key=key,
        printed=text,
        estimate=estimate,
        expected=len(config.seeds),
        verdict=DEMO if config.demo else found,
        remark="; ".join(filter(None, (what_is_missing(config, results, run, key.metric), *notes))),
    )
