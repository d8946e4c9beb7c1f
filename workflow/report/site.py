"""The HTML report: static pages that work from disk, with every number one click from its runs.

The folder holds all it shows: pages, style, scripts, tables in each format, figures and sample
images. It loads nothing from elsewhere, and every page reads without its scripts. Pages are written
to a temporary folder that takes the report's place at the end, so that a report is whole or not
there.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from workflow.base.folders import replacing_folder
from workflow.base.wording import table_name
from workflow.config import paths
from workflow.config.cells import Run, made_figures
from workflow.config.model import Config
from workflow.figures.plots import PLOTS, made_plots, plot_runs
from workflow.report import overview
from workflow.report.browser.cases import shown_datasets
from workflow.report.browser.links import case_link
from workflow.report.browser.write import write_microscope
from workflow.report.content import (
    Content,
    address,
    gather,
    incomplete_cells,
    slug,
)
from workflow.report.data import dataset_entries
from workflow.report.decisions import decision_tables, document, plain, read_decisions
from workflow.report.pages import TEMPLATES, Pages, template_of
from workflow.report.run_logs import log_tails
from workflow.report.runs import Link, RunInputs, run_content
from workflow.report.samples import write_thumbnail
from workflow.results.printed import dataset_notes
from workflow.results.read import Results
from workflow.results.records import RunRecord
from workflow.results.result_cells import ResultCell
from workflow.tables.build import METRIC_TITLES
from workflow.tables.content import ReportTable
from workflow.tables.formats import WRITERS, InPage, save, to_html
from workflow.tables.text import Shown, number_text, show_cell
from workflow.tables.views import printed_marks, views
from workflow.verdicts.formats import files
from workflow.verdicts.sheets import PROSE

NAVIGATION = (
    ("overview", "Overview", "index.html"),
    ("tables", "Tables", "tables.html"),
    ("verdicts", "Verdicts", "verdicts.html"),
    ("figures", "Figures", "figures.html"),
    ("images", "Images", "images.html"),
    ("runs", "Runs", "runs.html"),
    ("data", "Data", "data.html"),
    ("fidelity", "Fidelity", "fidelity.html"),
    ("provenance", "Provenance", "provenance.html"),
)
# Copied as they are.
ASSETS = (
    "style.css",
    "report.js",
    "tables.js",
    "microscope.css",
    "microscope.js",
    *(
        f"microscope_{part}.js"
        for part in ("store", "draw", "order", "address", "zoom", "list", "panels", "controls")
    ),
)


def build_report(config: Config, results: Results) -> None:
    """Write the report of a preset, in place of the one before.

    Args:
        config: the resolved configuration.
        results: of all its runs.
    """
    content = gather(config, results)
    with replacing_folder(paths.report(config)) as folder:
        pages = Pages(folder, paths.report_store(config))
        Site(content, pages).write()
        pages.close()


class Site:
    """Writes the pages of a report into a folder."""

    def __init__(self, content: Content, pages: Pages) -> None:
        self.content, self.config = content, content.config
        self.pages, self.folder = pages, pages.folder
        self._common = self.config.training.model_dump(mode="json")
        self._browsed = shown_datasets(self.config)

    def write(self) -> None:
        """Write every page and every file that pages show."""
        for name in ASSETS:
            self.pages.write(name, (TEMPLATES / name).read_text(encoding="utf-8"))
        pictures: dict[str, Any] = {"figures": self._figures(), "plots": self._plots()}
        told = overview.told_apart(self.config, self._browsed, self.content.tables.values())
        self._page("index.html", "overview", "Overview", **pictures, overview=overview, told=told)
        self._page("figures.html", "figures", "Figures", **pictures)
        self._page("provenance.html", "provenance", "Provenance")
        datasets = dataset_entries(self.config, self.content.manifests, self.folder / "samples")
        self._page("data.html", "data", "Data", datasets=datasets)
        self._page("runs.html", "runs", "Runs", metrics=METRIC_TITLES)
        self._page("tables.html", "tables", "Tables")
        self._page("images.html", "images", "Images")
        write_microscope(self.config, self.pages)
        self._verdicts()
        for key, table in self.content.tables.items():
            self._table(key, table)
        for record in self.content.records:
            self._run(record)

    def _page(
        self, template: str, active: str, title: str, at: str | None = None, **context: Any
    ) -> None:
        """Render a template to `at`, or to its own name; links start from the report's folder."""
        target = at or template
        text = template_of(template).render(
            **self._frame(target, active, title),
            content=self.content,
            config=self.config,
            run_page=run_page,
            slug=slug,
            table_page=table_page,
            incomplete=incomplete_cells,
            number_text=number_text,
            table_name=table_name,
            words=self._words,
            plot_alt=self._plot_alt,
            **context,
        )  # fmt: skip
        self.pages.write(target, text)

    def _frame(self, target: str, active: str, title: str) -> dict[str, Any]:
        """What surrounds the content of a page."""
        return {
            "title": title,
            "active": active,
            "navigation": NAVIGATION,
            "root": "../" * target.count("/"),
            "preset": self.config.preset,
            "notices": self.content.notices,
        }

    def _words(self, cell: ResultCell) -> Shown:
        """A metric of a run in words, as the tables write it."""
        return show_cell(cell, self.config.statistics.decimals, comparable=False)

    def _verdicts(self) -> None:
        """Write the page of verdicts with its downloads, and that of decisions and the audit."""
        for name, text in files(self.config, self.content.verdicts).items():
            self.pages.write(f"verdicts/{name}", text)
        self._page("verdicts.html", "verdicts", "Verdicts", prose=PROSE)
        decisions = read_decisions()
        tables = decision_tables(decisions)
        self._page(
            "fidelity.html",
            "fidelity",
            "Fidelity",
            audit=self.content.verdicts.audit,
            decisions=tables,
            decided=sum(len(table.open_rows) for table in tables),
            plain=plain,
            named=self._named,
            document=document(decisions),
        )

    def _named(self, key: str) -> str:
        """The title of a data set or a method of the audit; others are called by their key."""
        config = self.config
        entry = config.datasets.get(key) or config.methods.get(key)
        return entry.title if entry else key

    def _table(self, key: str, table: ReportTable) -> None:
        downloads = {}
        for suffix in paths.TABLE_FORMATS:
            file = self.folder / f"{address('tables', f'table_{key}')}.{suffix}"
            if suffix != "html":  # that is the page itself
                save(table, file)
                downloads[suffix] = file.name
        keys = list(self.content.tables)
        here = keys.index(key)
        self._page(
            "table.html",
            "tables",
            number_text(table),
            at=table_page(key),
            table=table,
            html=Markup(to_html(table, self._in_page(key, table))),
            views=views(table),
            texts=self._texts(table),
            downloads=downloads,
            notes=self._notes(key),
            before=keys[here - 1] if here > 0 else None,
            after=keys[here + 1] if here + 1 < len(keys) else None,
        )

    def _in_page(self, key: str, table: ReportTable) -> InPage:
        """What the page of a table shows beyond its file."""
        return InPage(
            link=lambda run: f"../{run_page(run)}",
            look=lambda run: f"../{self._images(run)}" if self._images(run) else "",
            name=self.content.title,
            marks=printed_marks(table, self.config.tables[key]),
        )

    def _texts(self, table: ReportTable) -> str:
        """Write what can be copied from the page of a table as a script; its name.

        A script, because pages from disk cannot read other files.
        """
        texts = json.dumps({name: WRITERS[name](table) for name in ("csv", "tex")})
        name = address("tables", f"table_{table.key}")
        self.pages.write(f"{name}.js", f"window.resformer.texts = {texts};\n")
        return f"{Path(name).name}.js"

    def _notes(self, key: str) -> list[tuple[str, str]]:
        """Under a summary of data sets: (title, what of the printed summary cannot be)."""
        return [
            (self.config.datasets[name].title, note)
            for name in self.config.tables[key].datasets
            for note in dataset_notes().get(name, [])
        ]

    def _run(self, record: RunRecord) -> None:
        """Write the page of a run, unless the one before was made from the same."""
        target = run_page(record.run)
        frame = self._frame(target, "runs", self.content.title(record.run))
        inputs = self._inputs(record)
        template = template_of("run.html")
        self.pages.render(
            target, (frame, inputs), lambda: template.render(**frame, **run_content(inputs))
        )

    def _inputs(self, record: RunRecord) -> RunInputs:
        run, tables = record.run, self.content.tables_of[record.run]
        title = self.config.datasets[run.dataset].title
        return RunInputs(
            record=record,
            method=self.config.methods[run.method],
            dataset=Link(title, f"runs.html#{slug(run.dataset)}"),
            tables=tuple(Link(table_name(key), table_page(key)) for key in tables),
            images=self._images(run),
            training=self.config.training_for(*run).model_dump(mode="json"),
            common=self._common,
            decimals=self.config.statistics.decimals,
            logs=log_tails(self.config, record),
        )

    def _images(self, run: Run) -> str:
        """Where the test images of a run are shown; empty if the report has none."""
        return case_link(run.dataset, method=run.method) if run.dataset in self._browsed else ""

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

    def _plot_alt(self, entry: dict[str, Any]) -> str:
        """A larger figure for those who cannot see it."""
        title, runs = entry["plot"].title, entry["runs"]
        methods = len({run.method for run in runs})
        datasets = dict.fromkeys(self.config.datasets[run.dataset].title for run in runs)
        return f"{title}: {methods} methods on {', '.join(datasets)}. The tables have its numbers."

    def _copied(self, name: str, source: Callable[[str], Path]) -> list[str]:
        """Copy a picture in the formats that it was made in, and say which these are."""
        made = [suffix for suffix in ("png", "pdf") if source(suffix).is_file()]
        for suffix in made:
            target = self.folder / f"{name}.{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source(suffix), target)
        return made


def run_page(run: Run) -> str:
    """Where the page of a (data set, method) lies."""
    return f"{address('runs', *run)}.html"


def table_page(key: str) -> str:
    """Where the page of a table lies."""
    return f"{address('tables', key)}.html"
