"""A table's page in a browser: views, sorting within groups, links to both, and copying."""

import pytest

from tests.workflow.report.browsing import chromium, report, visit

__all__ = ["chromium", "report"]  # fixtures

# What a reader sees of the first table: the texts of its rows, hidden parts left out.
SEEN = """() => Array.from(document.querySelectorAll("table[data-view] tbody tr"), row =>
  Array.from(row.cells, cell => cell.innerText.trim().replace(/\\s+/g, " ")))"""


@pytest.fixture
def table_iv(chromium, report):
    with visit(chromium, report.folder / "tables" / "IV.html") as opened:
        yield opened.page
        assert opened.problems == []


def choose(page, view):
    page.locator(".segmented").get_by_text(view, exact=True).click()


def test_views_show_their_numbers_and_nothing_else(table_iv):
    both = table_iv.evaluate(SEEN)
    assert any("[78.6]" in text for row in both for text in row)
    choose(table_iv, "Paper")
    printed = table_iv.evaluate(SEEN)
    assert any("[78.6]" in text for row in printed for text in row)
    assert not any("±" in text for row in printed for text in row)
    choose(table_iv, "Interval")
    between = table_iv.evaluate(SEEN)
    assert any(" to " in text for row in between for text in row)
    assert not any("[" in text for row in between for text in row)
    choose(table_iv, "Side by side")
    assert table_iv.evaluate(SEEN) == both
    assert "Difference" not in table_iv.locator(".segmented").inner_text(), "phantoms have none"


def test_sorting_follows_the_numbers_and_can_be_undone(table_iv):
    before = table_iv.evaluate(SEEN)
    heading = table_iv.locator("table[data-view] button.sort", has_text="JI")
    numbers = "cells => cells.map(cell => cell.dataset.run ?? null)"
    for order, wanted in (("descending", True), ("ascending", False)):
        heading.focus()
        table_iv.keyboard.press("Enter")
        assert heading.locator("..").get_attribute("aria-sort") == order
        said = table_iv.locator(".tools [role=status]").inner_text()
        assert said.endswith(f"Sorted by JI, {order}.")
        found = table_iv.locator("table[data-view] tbody td:nth-child(3)").evaluate_all(numbers)
        valued = [float(value) for value in found if value is not None]
        assert len(valued) > 2
        assert valued == sorted(valued, reverse=wanted)
        assert found[len(valued) :] == [None] * (len(found) - len(valued)), "missing comes last"
    assert table_iv.evaluate(SEEN) != before
    table_iv.locator("button.reset").click()
    assert table_iv.evaluate(SEEN) == before
    assert table_iv.locator("table[data-view] [aria-sort]").count() == 0


def test_view_and_order_are_in_the_address(chromium, report, table_iv):
    choose(table_iv, "Paper")
    table_iv.locator("table[data-view] button.sort", has_text="DSC").click()
    fragment = table_iv.url.partition("#")[2]
    assert fragment == "view=printed&sort=4&order=down"
    with visit(chromium, report.folder / "tables" / "IV.html", fragment) as again:
        assert again.page.evaluate(SEEN) == table_iv.evaluate(SEEN)
    with visit(chromium, report.folder / "tables" / "IV.html", "view=no&sort=99") as wrong:
        assert wrong.page.locator("table[data-view=all]").count() == 1
        assert wrong.page.locator("table[data-view] [aria-sort]").count() == 0
        assert wrong.problems == []


def test_rows_stay_in_their_group_and_keep_their_titles(chromium, report):
    address = report.folder / "tables" / "VIII.html"
    with visit(chromium, address) as plain, visit(chromium, address, "sort=4&order=up") as opened:
        rows, before = opened.page.evaluate(SEEN), plain.page.evaluate(SEEN)
        assert rows[0] == before[0] == ["One"], "the group's heading stays first"
        assert sorted(rows) == sorted(before)


@pytest.mark.parametrize("suffix", ["tex", "csv"])
def test_what_is_copied_is_the_file(table_iv, report, suffix):
    table_iv.locator(f"button[data-copy={suffix}]").click()
    assert "copied" in table_iv.locator(".tools [role=status]").inner_text()
    table_iv.evaluate("document.body.append(document.createElement('textarea'))")
    table_iv.locator("textarea").focus()
    table_iv.keyboard.press("Control+V")
    file = report.folder / "tables" / f"table_IV.{suffix}"
    assert table_iv.locator("textarea").input_value() == file.read_text(encoding="utf-8")


def test_without_scripts_the_page_reads_as_the_paper_has_it(chromium, report):
    with visit(chromium, report.folder / "tables" / "IV.html", scripts=False) as opened:
        text = opened.page.locator("table[data-view]").inner_text()
        assert "[78.6]" in text
        assert " to " not in text.partition("Best red")[0]
        assert not opened.page.locator(".tools").is_visible()


def test_the_choice_of_dark_is_remembered(table_iv):
    button, paint = table_iv.locator("button.theme"), "getComputedStyle(document.body)"
    light = table_iv.evaluate(f"{paint}.backgroundColor")
    button.click()
    dark = table_iv.evaluate(f"{paint}.backgroundColor")
    assert light != dark
    table_iv.reload()
    assert table_iv.evaluate(f"{paint}.backgroundColor") == dark
    assert button.get_attribute("aria-pressed") == "true"
