"""The results that tables, verdicts and pages are made of, read once: values, and what tests need.

`values` has one number per run, seed and metric; `ratios` has the same metrics as sums over groups,
from which intervals, differences and ranks come.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from workflow.config.cells import Run, with_controls
from workflow.config.metrics import METRICS, Task
from workflow.config.model import Config
from workflow.metrics.intervals import Design, Estimate, estimate
from workflow.metrics.metrics import collect, collect_ratios
from workflow.metrics.ratios import Ratios
from workflow.results.controls import below_controls

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """What the evaluated runs gave.

    Attributes:
        values: columns dataset, method, seed, metric, value (in the metric's unit, as a rule per
            cent; NaN is undefined), n.
        ratios: run -> metric -> sums over groups; runs without any evaluated seed are not there,
            and metrics of tasks that a control does as well have none: nothing is tested of them.
        design: what is chosen about the statistics.
        below: (run, task) -> why its numbers say nothing, where a control does as well.
    """

    values: "pd.DataFrame"
    ratios: Mapping[Run, Mapping[str, Ratios]]
    design: Design
    below: Mapping[tuple[Run, Task], str] = field(default_factory=dict)

    @cached_property
    def estimates(self) -> dict[tuple[Run, str], Estimate]:
        """(run, metric) -> mean with its interval, of those that have a value."""
        found = {
            (run, metric): estimate(ratios, self.design)
            for run, metrics in self.ratios.items()
            for metric, ratios in metrics.items()
        }
        return {key: value for key, value in found.items() if value is not None}


def read_results(config: Config, runs: Iterable[Run], also: Collection[str] = ()) -> Results:
    """The results of some runs and of the controls on their data sets, of all seeds there are.

    Args:
        config: the resolved configuration.
        runs: whose results.
        also: names of metrics that the configured rule does not bring.
    """
    read = with_controls(config, runs)
    ratios = collect_ratios(config, read, also)
    return results_of(config, collect(config, read, also), ratios)


def results_of(
    config: Config, values: "pd.DataFrame", ratios: Mapping[Run, Mapping[str, Ratios]]
) -> Results:
    """Results from values and sums; what a control does as well is no longer tested."""
    below = below_controls(config, values)
    tested = {
        run: {name: of for name, of in metrics.items() if (run, METRICS[name].task) not in below}
        for run, metrics in ratios.items()
    }
    return Results(values, tested, design(config), below)


def design(config: Config) -> Design:
    """The design that the configuration's `statistics` section describes."""
    chosen = config.statistics.model_dump(exclude={"decimals"})
    return Design(**chosen)
