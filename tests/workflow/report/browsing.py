"""A report in a real browser: pages are opened from disk, and what goes wrong in them is kept.

Import the fixtures that a test module uses: `from browsing import chromium, report, visit`. Each
module has its own browser, because Playwright runs one at a time.
"""

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from tests.workflow.report.reporting_tree import small_config, write_tree
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.figures.make import make_figure
from workflow.report.site import build_report
from workflow.results.read import read_results

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
MISSING = {("isic2017", "vit", 1)}
SERIOUS = ("serious", "critical")
# Style sheets are not loaded a second time: a browser refuses that for pages from disk.
AXE = {"resultTypes": ["violations"], "preload": False}
# Of the image browser: all panels are painted; and the bytes of a canvas, four a pixel.
READY = "#grid[aria-busy='false']"
PIXELS = """canvas => Array.from(
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)"""


@dataclass
class Visit:
    """One open page; `problems` are its errors, failed requests and dialogs, in order."""

    page: Page
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A report on disk and the configuration that it was made from."""

    config: Config
    folder: Path


@pytest.fixture(scope="module")
def chromium():
    """The browser of the system; skips without one, unless everything has to be tested."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        if os.environ.get("RESFORMER_TEST_EVERYTHING"):
            pytest.fail(f"no browser: none of {', '.join(PROGRAMS)} is on the path")
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a small tree: two data sets, four methods, two seeds, one of them missing."""
    root = tmp_path_factory.mktemp("browsed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        config = small_config()
        build_small_report(config, MISSING)
        yield Report(config, paths.report(config).absolute())


def build_small_report(config, missing=()):
    """Write a tree of runs and its report into the working folder."""
    write_tree(config, missing=missing)
    for key in config.figures:
        if not any(dataset in config.figures[key].datasets for dataset, *_ in missing):
            make_figure(config, key)
    build_report(config, read_results(config, runs(config)))


@contextmanager
def visit(
    browser: Browser,
    file: Path,
    fragment: str = "",
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
    scripts: bool = True,
):
    """Open a page of a report from disk, in a fresh profile.

    Args:
        browser: from the fixture `chromium`.
        file: the page.
        fragment: of the address, without `#`.
        scheme: `light` or `dark`, what the system prefers.
        width: of the window, CSS pixels; its height is 900.
        scripts: whether JavaScript is on.
    """
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    opened = Visit(page)
    note = opened.problems.append

    def refuse(dialog: Dialog) -> None:
        note(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda m: note(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: note(f"error: {error}"))
    page.on("requestfailed", lambda request: note(f"not loaded: {request.url}"))
    page.on("dialog", refuse)
    address = file.resolve().as_uri() + (f"#{fragment}" if fragment else "")
    try:
        page.goto(address)
        yield opened
    finally:
        context.close()


def serious_findings(page: Page) -> list[str]:
    """What axe-core finds serious or critical in a page, each with the places it is found at."""
    found = Axe().run(page, options=AXE).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']][:5]}"
        for one in found
        if one["impact"] in SERIOUS
    ]
