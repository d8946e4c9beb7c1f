"""The pages that the report's navigation leads to, in its order, and what each of them shows.

A page is a template of `templates/` and an entry of `PAGES` here: navigation, frame and file follow
from the entry. The pages of tables and of runs are no entries; `site.py` writes these.
"""

import shutil
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from workflow.base.digests import intact
from workflow.config import paths
from workflow.config.cells import made_figures
from workflow.config.metrics import METRIC_TASK, title_of
from workflow.figures.plots import PLOTS, made_plots, plot_runs
from workflow.report import overview
from workflow.report.browser.cases import shown_datasets
from workflow.report.browser.write import write_microscope
from workflow.report.content import Content, address
from workflow.report.data import dataset_entries
from workflow.report.decisions import decision_tables, document, plain, read_decisions
from workflow.report.pages import Pages
from workflow.report.samples import write_thumbnail
from workflow.verdicts.formats import files
from workflow.verdicts.sheets import PROSE


class Material:
    """What pages are made of: the report's content, and the folder that their files go to."""

    def __init__(self, content: Content, pages: Pages) -> None:
        self.content, self.config, self.pages = content, content.config, pages
        self.folder = pages.folder
        self.browsed = shown_datasets(self.config)

    @cached_property
    def pictures(self) -> dict[str, Any]:
        """The figures, whose files are copied once."""
        return {"figures": self._figures(), "plots": self._plots()}

    def named(self, key: str) -> str:
        """The title of a data set or a method of the audit; others are called by their key."""
        entry = self.config.datasets.get(key) or self.config.methods.get(key)
        return entry.title if entry else key

    def _figures(self) -> list[dict[str, Any]]:
        """Copy the pictures; a figure that was not made keeps its place, without one."""
        entries = []
        for key in made_figures(self.config):
            name = address("figures", f"figure_{key}")
            made = self._copied(name, partial(paths.figure, self.config, key))
            if "png" in made:
                write_thumbnail(self.folder / f"{name}.png", self.folder / f"{name}_small.webp")
            entries.append(
                {"key": key, "name": name, "made": made, "figure": self.config.figures[key]}
            )
        return entries

    def _plots(self) -> dict[str, dict[str, Any]]:
        """Copy the larger figures; one that was not made keeps its place, without its picture."""
        entries = {}
        for key in made_plots(self.config):
            name = address("figures", key)
            made = self._copied(name, partial(paths.plot, self.config, key))
            runs = plot_runs(self.config, key)
            entries[key] = {"name": name, "made": made, "plot": PLOTS[key], "runs": runs}
        return entries

    def _copied(self, name: str, source: Callable[[str], Path]) -> list[str]:
        """Copy a picture in the formats that it was made in, and say which these are."""
        made = [suffix for suffix in ("png", "pdf") if source(suffix).is_file()]
        for suffix in made:
            target = self.folder / f"{name}.{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(intact(source(suffix)), target)
        return made


def _overview(material: Material) -> dict[str, Any]:
    tables = material.content.tables.values()
    told = overview.told_apart(material.config, material.browsed, tables)
    return {**material.pictures, "overview": overview, "told": told}


def _verdicts(material: Material) -> dict[str, Any]:
    """The verdicts, with files of them to take away."""
    for name, text in files(material.config, material.content.verdicts).items():
        material.pages.write(f"verdicts/{name}", text)
    return {"prose": PROSE}


def _images(material: Material) -> dict[str, Any]:
    write_microscope(material.config, material.pages)
    return {}


def _runs(_: Material) -> dict[str, Any]:
    return {"metrics": {name: title_of(name) for name in METRIC_TASK}}


def _data(material: Material) -> dict[str, Any]:
    manifests, samples = material.content.manifests, material.folder / "samples"
    return {"datasets": dataset_entries(material.config, manifests, samples)}


def _fidelity(material: Material) -> dict[str, Any]:
    """The decisions and the audit."""
    decisions = read_decisions()
    tables = decision_tables(decisions)
    return {
        "audit": material.content.verdicts.audit,
        "decisions": tables,
        "decided": sum(len(table.open_rows) for table in tables),
        "plain": plain,
        "named": material.named,
        "document": document(decisions),
    }


class NavigationPage(NamedTuple):
    """A page of the navigation.

    Attributes:
        title: the title of the page, and of the link to it.
        template: its template and its file.
        shows: what its template is given beyond what every page has.
    """

    title: str
    template: str
    shows: Callable[[Material], Mapping[str, Any]] = lambda _: {}


PAGES: dict[str, NavigationPage] = {
    "overview": NavigationPage("Overview", "index.html", _overview),
    "tables": NavigationPage("Tables", "tables.html"),
    "verdicts": NavigationPage("Verdicts", "verdicts.html", _verdicts),
    "figures": NavigationPage("Figures", "figures.html", lambda material: material.pictures),
    "images": NavigationPage("Images", "images.html", _images),
    "runs": NavigationPage("Runs", "runs.html", _runs),
    "data": NavigationPage("Data", "data.html", _data),
    "fidelity": NavigationPage("Fidelity", "fidelity.html", _fidelity),
    "provenance": NavigationPage("Provenance", "provenance.html"),
}
