"""What the report says, gathered before any page is written: runs, tables, figures, data sets."""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

import yaml

from workflow.config import paths
from workflow.config.cells import Run, chosen_datasets, made_figures, made_tables, table_runs
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.figures.plots import PLOTS, made_plots
from workflow.results.controls import ControlRange, control_ranges
from workflow.results.read import Results
from workflow.results.records import RunRecord, distinct, read_records, total
from workflow.tables.content import ReportTable
from workflow.tables.datasets import read_manifests
from workflow.tables.make import load_table
from workflow.verdicts.judge import Verdicts, judge
from workflow.verdicts.sheets import Sheet, sheets


class Trouble(NamedTuple):
    """Something missing from the report, and the seed or the file it is missing for."""

    what: str
    why: str
    run: Run | None


@dataclass(frozen=True)
class Content:
    """Everything the pages draw on; see `gather`."""

    config: Config
    records: list[RunRecord]
    tables: dict[str, ReportTable]
    manifests: dict[str, dict[str, Any]]
    control_ranges: list[ControlRange]
    verdicts: Verdicts

    @cached_property
    def sheets(self) -> list[Sheet]:
        """The verdicts on values, claims and rankings, as they read."""
        return sheets(self.config, self.verdicts)

    @property
    def outside(self) -> list[ControlRange]:
        """The learned methods that do not lie between their controls, the lowest first."""
        return sorted(
            (b for b in self.control_ranges if not b.inside), key=lambda b: b.score - b.floor
        )

    @cached_property
    def notices(self) -> tuple[str, ...]:
        """The warnings that hold for the whole report."""
        return notices(self.config, [record.run for record in self.records])

    @cached_property
    def trouble(self) -> list[Trouble]:
        """What is missing: seeds, those that failed first, then figures and data sets."""
        found = [
            Trouble(f"{self.title(record.run)}, seed {seed.seed}", seed.trouble, record.run)
            for record in self.records
            for seed in record.seeds
            if seed.trouble
        ]
        found.sort(key=lambda item: not item.why.startswith("failed"))
        found += self._other_data()
        for key in made_figures(self.config):
            if not paths.figure(self.config, key, "png").is_file():
                found.append(Trouble(f"Figure {key}", "the picture was not made", None))
        for key in made_plots(self.config):
            if not paths.plot(self.config, key, "png").is_file():
                title = f"Figure “{PLOTS[key].title}”"
                found.append(Trouble(title, "the picture was not made", None))
        for name in chosen_datasets(self.config):
            if name not in self.manifests:
                title = self.config.datasets[name].title
                found.append(Trouble(f"Data set {title}", "the data was not prepared", None))
        return found

    @property
    def failed(self) -> int:
        """How many (run, seed) failed."""
        return sum(
            seed.trouble.startswith("failed") for record in self.records for seed in record.seeds
        )

    def _other_data(self) -> list[Trouble]:
        """Runs whose data manifest is not the one that the report shows."""
        return [
            Trouble(
                f"{self.title(record.run)}, seed {seed.seed}",
                f"trained on other data (manifest {str(made_from)[:12]}) than is prepared now",
                record.run,
            )
            for record in self.records
            for seed in record.seeds
            if (made_from := seed.facts.get("data_hash")) is not None
            and (manifest := self.manifests.get(record.run.dataset)) is not None
            and made_from != manifest["hash"]
        ]

    @property
    def done(self) -> int:
        """How many (run, seed) were trained and evaluated."""
        return sum(record.done for record in self.records)

    @property
    def expected(self) -> int:
        """How many (run, seed) the configuration asks for."""
        return len(self.records) * len(self.config.seeds)

    @property
    def seconds(self) -> float:
        """Training time of all runs together."""
        return total(self.records, "wall_seconds")

    def distinct(self, fact: str) -> list[str]:
        """The different values of a fact of run.json, the most frequent first."""
        return distinct(self.records, fact)

    @cached_property
    def versions(self) -> dict[str, list[str]]:
        """Library -> the versions that the runs used."""
        recorded = [v for record in self.records for v in record.values("versions")]
        names = dict.fromkeys(name for versions in recorded for name in versions)
        return {
            name: sorted({str(versions[name]) for versions in recorded if name in versions})
            for name in names
        }

    @cached_property
    def configuration(self) -> str:
        """The resolved configuration as YAML; the presets it was merged from are left out."""
        resolved = self.config.model_dump(mode="json", exclude={"presets"})
        return yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=100)

    def title(self, run: Run) -> str:
        """`UNet++ on Cirrus`, with the titles of the configuration."""
        method, dataset = self.config.methods[run.method], self.config.datasets[run.dataset]
        return f"{method.title} on {dataset.title}"

    @cached_property
    def tables_of(self) -> dict[Run, list[str]]:
        """Run -> the tables that show it."""
        shown: dict[Run, list[str]] = {record.run: [] for record in self.records}
        for key in self.tables:
            for run in table_runs(self.config, key):
                shown[run].append(key)
        return shown


def gather(config: Config, results: Results) -> Content:
    """Read what the runs and the data steps left, and build the tables and verdicts.

    Args:
        config: the resolved configuration.
        results: of all its runs.
    """
    return Content(
        config=config,
        records=read_records(config, results.values),
        tables={key: load_table(config, key, results) for key in made_tables(config)},
        manifests=read_manifests(config, chosen_datasets(config)),
        control_ranges=control_ranges(config, results.values),
        verdicts=judge(config, results),
    )


def incomplete_cells(table: ReportTable) -> int:
    """How many cells of a table rest on fewer seeds than the configuration asks for."""
    return sum(bool(cell.missing or cell.undefined) for cell in table.result_cells)


def slug(name: str) -> str:
    """A safe file name for a key of the configuration; the same key always gives the same one."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return safe if safe == name else f"{safe}-{sha256(name.encode()).hexdigest()[:8]}"


def address(kind: str, *names: str) -> str:
    """Where a page or file of the report lies, relative to the report's folder."""
    return f"{kind}/{'--'.join(slug(name) for name in names)}"
