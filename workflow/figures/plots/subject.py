"""What a larger figure is drawn from, and the sentences that each of them says below its panels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.config.notices import notices, seeds_text
from workflow.figures.plots import PLOTS
from workflow.figures.plots.page import Words
from workflow.metrics.failures import failure, training_failure
from workflow.results.families import FAMILIES, Family, family
from workflow.results.read import Results

# As many runs are named below a figure, and the others are counted.
NAMED = 8


@dataclass(frozen=True)
class Subject:
    """A larger figure and its material.

    Attributes:
        key: the plot's key in `PLOTS`.
        runs: those it is about.
        results: the results of these runs.
    """

    config: Config
    key: str
    runs: Sequence[Run]
    results: Results

    @property
    def datasets(self) -> list[str]:
        """The data sets, in the order of the runs."""
        return list(dict.fromkeys(run.dataset for run in self.runs))

    @cached_property
    def methods(self) -> list[str]:
        """The methods, family by family."""
        found = dict.fromkeys(run.method for run in self.runs)
        return sorted(found, key=lambda method: FAMILIES.index(self.family(method)))

    def family(self, method: str) -> Family:
        """The family of a method."""
        return family(self.config, method)

    def title(self, run: Run) -> str:
        """`UNet++ on Cirrus`."""
        config = self.config
        return f"{config.methods[run.method].title} on {config.datasets[run.dataset].title}"

    def absent(self, run: Run) -> str:
        """The word that stands in place of a run without a number: failed, or missing."""
        failed = all(self._failure(run, seed) for seed in self.config.seeds)
        return "failed" if failed else "missing"

    def words(self, *notes: str) -> Words:
        """The words around the panels: warnings, title, legend; below how to read it, and `notes`.

        Every figure ends with what was counted, and with the runs that failed or are missing.
        """
        plot = PLOTS[self.key]
        return Words(
            title=plot.title,
            notices=notices(self.config, self.runs),
            families={self.family(method) for method in self.methods},
            notes=[plot.caption, *filter(None, notes), self._counted(), *self._lacking()],
        )

    def _counted(self) -> str:
        groups = []
        for dataset in self.datasets:
            found = (
                ratios
                for run in self.runs
                if run.dataset == dataset
                for ratios in self.results.ratios.get(run, {}).values()
            )
            if (first := next(found, None)) is not None:
                unit = "volumes" if self.config.datasets[dataset].by_volume else "images"
                title = self.config.datasets[dataset].title
                groups.append(f"{title} {len(first.groups)} {unit}")
        tested = f", on the test sets: {', '.join(groups)}" if groups else ""
        seeds = seeds_text(self.config.seeds)
        return f"Preset {self.config.preset}, {seeds} (n = {len(self.config.seeds)}){tested}."

    def _lacking(self) -> list[str]:
        """Sentences on the runs of which some seeds failed, or are not there."""
        config = self.config
        failed: dict[Run, int] = {}
        missing: dict[Run, int] = {}
        for run in self.runs:
            for seed in config.seeds:
                if self._failure(run, seed):
                    failed[run] = failed.get(run, 0) + 1
                elif not self._read_file(run, seed).is_file():
                    missing[run] = missing.get(run, 0) + 1
        both = (("Failed", failed), ("Missing", missing))
        return [f"{word}: {self._named(found)}." for word, found in both if found]

    @property
    def _of_tests(self) -> bool:
        """Whether it is about test results; if not, these may not be there yet."""
        return "counts" in PLOTS[self.key].reads

    def _failure(self, run: Run, seed: int) -> str:
        why = failure if self._of_tests else training_failure
        return why(self.config, run, seed)

    def _read_file(self, run: Run, seed: int) -> Path:
        if self._of_tests:
            return paths.evaluation(self.config, *run, seed) / "counts.parquet"
        return paths.run(self.config, *run, seed) / "run.json"

    def _named(self, found: dict[Run, int]) -> str:
        of = len(self.config.seeds)
        names = [f"{self.title(run)} ({count} of {of} seeds)" for run, count in found.items()]
        return listed(names)


def listed(names: Iterable[str]) -> str:
    """`a, b, c`, and how many more there are where they are many."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
