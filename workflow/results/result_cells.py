"""One number of the paper and what this run has in its place: seeds, interval, verdict.

A cell knows which seeds it rests on. A seed without a result, or whose metric is undefined, is
kept in the cell and shown; it is never averaged away.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.metrics.against import Verdict
from workflow.metrics.failures import failure
from workflow.metrics.intervals import Difference, MeanEstimate
from workflow.metrics.statistics import Standing

if TYPE_CHECKING:
    import pandas as pd

Mark = Literal["best", "second"]


State = Literal["value", "undefined", "missing", "failed", "not_done", "not_run"]


@dataclass(frozen=True)
class Versus:
    """A cell and the best other cell of its compared set.

    Attributes:
        method: the other one's.
        difference: this one minus the other, on common groups and seeds; None without common seeds.
        p: the p value of the difference, corrected for all tests of the table; None without a test.
    """

    method: str
    difference: Difference | None
    p: float | None


@dataclass(frozen=True)
class ResultCell:
    """One number of a table and what it rests on.

    Attributes:
        run: the (data set, method) behind it; None where the table has no such combination.
        metric: ji, dsc, acc, sen, spe or auc, per cent; or a fact of a training run.
        state: `value`; `undefined` if no seed gave a number although some were evaluated;
            `missing` if no seed gave a result, `failed` if all failed; `not_done` if the method
            does not do the task, or is in no table of results with this data set; `not_run` if the
            configuration's `select` leaves it out.
        values: seed -> value of the seeds that gave a number.
        missing: expected seeds without a result.
        failed: those of them whose run failed.
        undefined: seeds that were evaluated but whose metric is undefined.
        spread_ddof: n minus this is the denominator of the variance.
        printed: the paper's number as printed; None if it prints none here.
        facet: the lesion, label or rule that the number is of; None for the metric as configured.
        estimate: the mean with its interval; None where there is none.
        groups: how many groups (volumes, images) the interval rests on.
        verdict: the verdict on the printed number; `demo` on phantom data; None where nothing is
            printed.
        supports: the smallest margin in points at which the printed number would be reproduced;
            None where that is not testable.
        mark: best or second best of the cells it is compared with, by its mean.
        standing: its standing among them by the tests; None where there is no test.
        versus: the comparison with the best other cell among them.
        place: its rank in its column by its mean, in a table of rules.
        below: why its number says nothing, where a control does as well; empty elsewhere. Such a
            cell is neither marked nor compared, and has no interval and no verdict.
    """

    run: Run | None
    metric: str
    state: State
    values: Mapping[int, float]
    missing: tuple[int, ...] = ()
    undefined: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    spread_ddof: int = 1
    printed: str | None = None
    facet: str | None = None
    estimate: MeanEstimate | None = None
    groups: int | None = None
    verdict: Verdict | Literal["demo"] | None = None
    supports: float | None = None
    mark: Mark | None = None
    standing: Standing | None = None
    versus: Versus | None = None
    place: int | None = None
    below: str = ""

    @property
    def expected(self) -> int:
        """How many seeds the configuration asks for."""
        return len(self.values) + len(self.missing) + len(self.undefined)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that gave a number."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds; None for fewer than two seeds."""
        mean, n = self.mean, len(self.values)
        if mean is None or n < 2:
            return None
        squares = math.fsum((value - mean) ** 2 for value in self.values.values())
        return math.sqrt(squares / (n - self.spread_ddof))

    @property
    def difference(self) -> float | None:
        """This run minus paper, percentage points."""
        if self.mean is None or self.printed is None:
            return None
        return self.mean - float(self.printed)

    @property
    def alike(self) -> bool:
        """Whether it is not the best, and the tests leave open that it is."""
        return self.standing is not None and self.standing.with_best and self.mark != "best"


class Place(NamedTuple):
    """What a value is of; the facet is a class or a rule, None for the metric as configured."""

    dataset: str
    method: str
    metric: str
    facet: str | None = None


# place -> seed -> value, NaN where undefined
Values = dict[Place, dict[int, float]]


def values_by_cell(results: "pd.DataFrame", facet: str | None = None) -> Values:
    """Results in the form that cells are made from.

    Args:
        results: columns dataset, method, metric, seed, value.
        facet: the column that says which class or rule a value is of, if any.

    Raises:
        ValueError: one place and seed has two values.
    """
    values: Values = {}
    columns = [*("dataset", "method", "metric"), *([facet] if facet else []), "seed", "value"]
    for *parts, seed, value in zip(*(results[c] for c in columns), strict=True):
        place = Place(*parts)
        seeds = values.setdefault(place, {})
        if int(seed) in seeds:
            of = f" ({place.facet})" if place.facet else ""
            raise ValueError(
                f"results: {place.metric}{of} of {place.method} on {place.dataset}, seed {seed}, "
                "is there twice; expected one value each"
            )
        seeds[int(seed)] = float(value)
    return values


def result_cell(
    config: Config,
    run: Run,
    metric: str,
    values: Values,
    printed: str | None = None,
    facet: str | None = None,
    below: str = "",
) -> ResultCell:
    """The cell of a run and metric, with its missing and undefined seeds; not yet marked."""
    found = values.get(Place(*run, metric, facet), {})
    evaluated = {seed: found[seed] for seed in config.seeds if seed in found}
    defined = {seed: value for seed, value in evaluated.items() if not math.isnan(value)}
    missing = tuple(seed for seed in config.seeds if seed not in found)
    failed = tuple(seed for seed in missing if failure(config, run, seed))
    without = "undefined" if evaluated else "failed" if len(failed) == len(missing) else "missing"
    return ResultCell(
        run=run,
        metric=metric,
        state="value" if defined else without,
        values=defined,
        missing=missing,
        failed=failed,
        undefined=tuple(seed for seed in evaluated if seed not in defined),
        spread_ddof=config.statistics.spread_ddof,
        printed=printed,
        facet=facet,
        below=below,
    )
