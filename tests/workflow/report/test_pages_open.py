"""Every page of a report in a browser: it opens without errors, and axe-core finds nothing bad."""

import pytest

from tests.workflow.report.browsing import chromium, report, serious_findings, visit

__all__ = ["chromium", "report"]  # fixtures


def test_every_page_opens_without_errors(chromium, report):
    pages = sorted(report.folder.rglob("*.html"))
    assert len(pages) > 15
    found = {}
    for file in pages:
        with visit(chromium, file) as opened:
            if opened.problems:
                found[file.relative_to(report.folder).as_posix()] = opened.problems
    assert found == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_kind_of_page(chromium, report, scheme):
    kinds = [*report.folder.glob("*.html")]
    kinds += [report.folder / "tables" / name for name in ("I.html", "IV.html", "VIII.html")]
    kinds += [report.folder / "runs" / name for name in ("isic2017--vit.html",)]
    found = {}
    for file in kinds:
        with visit(chromium, file, scheme=scheme) as opened:
            if said := serious_findings(opened.page) + opened.problems:
                found[file.name] = said
    assert found == {}
