"""The HTML report: static pages that work from disk, with every number one click from its runs.

The folder holds all it shows: pages, style, scripts, tables in each format, figures and sample
images. It loads nothing from elsewhere, and every page reads without its scripts. Pages are written
to a temporary folder that takes the report's place at the end, so that a report is whole or not
there.
"""

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from workflow.base.digests import record_folder
from workflow.base.folders import replacing_folder
from workflow.base.wording import table_name
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.report.browser.links import case_link
from workflow.report.content import (
    Content,
    address,
    gather,
    incomplete_cells,
    slug,
)
from workflow.report.navigation import PAGES, Material
from workflow.report.pages import TEMPLATES, Pages, template_of
from workflow.report.run_logs import log_tails
from workflow.report.run_use import Link, run_use
from workflow.report.runs import RunInputs, run_content
from workflow.results.printed import dataset_notes
from workflow.results.read import Results
from workflow.results.records import RunRecord
from workflow.results.result_cells import ResultCell
from workflow.tables.content import ReportTable
from workflow.tables.formats import WRITERS, InPage, save, to_html
from workflow.tables.text import Shown, number_text, show_cell
from workflow.tables.views import printed_marks, views

NAVIGATION = tuple((key, page.title, page.template) for key, page in PAGES.items())
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
        results: the results of all its runs.
    """
    content = gather(config, results)
    with replacing_folder(paths.report(config)) as folder:
        pages = Pages(folder, paths.report_store(config))
        ReportSite(content, pages).write()
        pages.close()
    record_folder(paths.report(config))


class ReportSite:
    """Writes the pages of a report into a folder."""

    def __init__(self, content: Content, pages: Pages) -> None:
        self.content, self.config = content, content.config
        self.pages, self.folder = pages, pages.folder
        self.material = Material(content, pages)
        self._common = self.config.training.model_dump(mode="json")

    def write(self) -> None:
        """Write every page and every file that pages show."""
        for name in ASSETS:
            self.pages.write(name, (TEMPLATES / name).read_text(encoding="utf-8"))
        for key, page in PAGES.items():
            self._page(page.template, key, page.title, **page.shows(self.material))
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
            use=run_use(self.config, run),
        )

    def _images(self, run: Run) -> str:
        """Where the test images of a run are shown; empty if the report has none."""
        return (
            case_link(run.dataset, method=run.method)
            if run.dataset in self.material.browsed
            else ""
        )

    def _plot_alt(self, entry: dict[str, Any]) -> str:
        """A larger figure for those who cannot see it."""
        title, runs = entry["plot"].title, entry["runs"]
        methods = len({run.method for run in runs})
        datasets = dict.fromkeys(self.config.datasets[run.dataset].title for run in runs)
        return f"{title}: {methods} methods on {', '.join(datasets)}. The tables have its numbers."


def run_page(run: Run) -> str:
    """Where the page of a (data set, method) lies."""
    return f"{address('runs', *run)}.html"


def table_page(key: str) -> str:
    """Where the page of a table lies."""
    return f"{address('tables', key)}.html"
