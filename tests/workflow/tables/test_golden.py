"""The printed numbers, fed through as if they were results, give the paper's tables cell by cell.

`paper_tables.txt` has what the paper prints, with what its captions say is red, blue or bold.
"""

import math
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.workflow.report.reporting_tree import paper_config, printed_rows, results_of_groups
from workflow.results.printed import printed_datasets, printed_results
from workflow.tables import standings
from workflow.tables.build import build_table
from workflow.tables.formats import to_html, to_latex, to_markdown
from workflow.tables.text import NO_DIFFERENCES, footnotes, number_text

KEYS = ("II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
MARKS = {"r": "best", "b": "second", "*": "best", "": None}


class Printed(NamedTuple):
    """A table of the paper: rows of (group, method, machine), numbers and marks."""

    caption: str
    columns: list[tuple[str, tuple[str, ...]]]
    rows: list[tuple[str | None, str, str | None]]
    numbers: list[list[str]]
    marks: list[list[str | None]]


@cache
def paper():
    """Table -> what the paper prints."""
    text = (Path(__file__).parent / "paper_tables.txt").read_text(encoding="utf-8")
    captions = re.split(r"^TABLE ([IVX]+)\. ", text, flags=re.MULTILINE)[1:]
    return dict(zip(captions[::2], map(read, captions[1::2]), strict=True))


def read(text):
    caption, head, *lines = text.strip().splitlines()
    spans = [part.split(": ") for part in head.split("|")]
    columns = [(title, tuple(titles.split())) for title, titles in spans]
    width = sum(len(titles) for _, titles in columns)
    found, group = Printed(caption, columns, [], [], []), None
    for line in lines:
        *stub, method = reversed(line.split("|")[:-width] or [line])
        cells = line.split("|")[-width:]
        if len(cells) < width:
            group = line
            continue
        found.rows.append((group, method, stub[0] if stub else None))
        found.numbers.append([cell.rstrip("rb*") for cell in cells])
        found.marks.append([MARKS[cell.lstrip("0123456789.-")] for cell in cells])
    return found


@pytest.fixture(scope="module")
def made():
    """Every table from five equal seeds that each measured the printed number in four groups."""
    config = paper_config()
    numbers = {
        (row["dataset"], row["method"], row["metric"]): [float(row["value"])] * 4
        for row in printed_rows()
    }
    results = results_of_groups(config, numbers)
    return {key: build_table(config, key, results, printed_results()) for key in KEYS}


def grid(table):
    return [
        ["-" if c.state == "not_done" else f"{c.mean:.1f}" for c in row.cells] for row in table.rows
    ]


@pytest.mark.parametrize("key", KEYS)
def test_captions_columns_rows_and_numbers_are_the_papers(made, key):
    printed, table = paper()[key], made[key]
    assert table.caption == printed.caption
    assert number_text(table) == f"Table {key}"
    assert [(span.title, span.columns) for span in table.spans] == printed.columns
    rows = [(row.group, row.title, row.machine) for row in table.rows]
    # The paper's Table III alone calls them Hervella.
    assert rows == [(g, {"Hervella": "Hervella et al."}.get(m, m), v) for g, m, v in printed.rows]
    assert grid(table) == printed.numbers
    assert table.stub == ("Method", *(["Machine"] if rows[0][2] else []), "Recipe, weights")


@pytest.mark.parametrize("key", KEYS)
def test_marks_are_the_papers(made, key):
    assert [[cell.mark for cell in row.cells] for row in made[key].rows] == paper()[key].marks


class HtmlMarks(HTMLParser):
    """The classes of the first table's cells of numbers, row by row."""

    def __init__(self, html):
        super().__init__()
        self.rows = []
        self.feed(html.split("</table>")[0])

    def handle_starttag(self, tag, attrs):
        name = dict(attrs).get("class") or ""
        if tag == "tr":
            self.rows.append([])
        elif tag == "td" and "state-" in name:
            self.rows[-1].append({"plain": None}.get(mark := name.split()[0], mark))


@pytest.mark.parametrize("key", KEYS)
def test_every_format_marks_the_same_cells(made, key):
    table, expected = made[key], paper()[key]
    html = [row for row in HtmlMarks(to_html(table)).rows if row]
    assert html == expected.marks
    signs = {"best": "**", "second": "*", None: ""}
    width = len(expected.marks[0])
    body = [line for line in to_markdown(table).splitlines() if r"\[" in line or "| - " in line]
    cells = [[cell.strip().split(" ")[0] for cell in line.split("|")[1:-1]] for line in body]
    wanted = [
        ["-" if n == "-" else f"{signs[m]}{n}{signs[m]}" for n, m in zip(*row, strict=True)]
        for row in zip(expected.numbers, expected.marks, strict=True)
    ]
    assert [row[-width:] for row in cells] == wanted
    commands = {"best": r"\textcolor{red}{%s}", "second": r"\textcolor{blue}{%s}", None: "%s"}
    if table.mark == "bold":
        commands["best"] = r"\textbf{%s}"
    lines = to_latex(table).split(r"\begin{table*}")[1].splitlines()
    rows = [line.removesuffix(r" \\").split(" & ")[-width:] for line in lines if " & " in line]
    rows = [row for row in rows if any(r"\pm" in cell for cell in row)]
    assert [[cell.partition(r"\,")[0] for cell in row] for row in rows] == [
        [commands[m] % n for n, m in zip(*row, strict=True)]
        for row in zip(expected.numbers, expected.marks, strict=True)
    ]


def test_the_papers_numbers_reproduce_themselves(made):
    cells = [cell for table in made.values() for cell in table.result_cells if cell.printed]
    assert len(cells) == len(printed_rows()) == len(printed_results()) == 365
    assert {cell.verdict for cell in cells} == {"reproduced"}
    assert all(abs(cell.difference) < 1e-9 and cell.sd < 1e-9 for cell in cells)
    assert all(cell.groups == 4 for cell in cells)


def test_without_noise_exactly_the_ties_are_not_told_apart(made):
    for table in made.values():
        for one in table.sets:
            cells = [table.rows[row].cells[one.column] for row in one.rows]
            best = max(cell.mean for cell in cells)
            assert [cell.standing.with_best for cell in cells] == [
                math.isclose(cell.mean, best) for cell in cells
            ]
            assert not any(cell.alike for cell in cells), "a tie shares the mark"
            assert one.resolvable == (len({cell.printed for cell in cells}) > 1)


def test_marks_read_from_the_paper_by_hand(made):
    ii, v, viii = (
        [[c.mark for c in r.cells] for r in made[key].rows] for key in ("II", "V", "VIII")
    )
    # Table II, Topcon Spe: Seq. 98.5 is best; He et al. and Par. share 98.3.
    assert [row[8] for row in ii] == ["second", None, None, None, "best", "second"]
    # Table V, Topcon Acc: MSL-SRN and Seq. share 98.0; OCTNet and Par. share 97.9.
    assert [row[6] for row in v] == [None, None, None, "second", "best", "best", "second"]
    # Table VIII, Sequential on Topcon, Spe: "Cls. only" and "Both" share 98.5.
    assert [viii[i][4] for i in (2, 5, 8)] == ["best", None, "best"]


def test_what_is_not_resolvable_is_named(made):
    # Both rows of Table VIII on Topcon, sequential, print a specificity of 98.5.
    text = "No significant differences (too few seeds or volumes): "
    assert f"{text}Sequential, Topcon, Classification Spe." in footnotes(made["VIII"])
    titles = [block.title for block in standings.blocks(made["VIII"])]
    assert titles[0] == "Sequential, Cirrus, Segmentation, JI, 4 groups"
    marked = [title for title in titles if title.endswith(NO_DIFFERENCES)]
    assert marked == [
        "Sequential, Topcon, Classification, Spe, 4 groups: "
        "no significant differences (too few seeds or volumes)"
    ]
    assert not any("No significant" in note for note in footnotes(made["VI"]))


def test_table_I_as_printed():
    facts = {name: list(row.values())[1:] for name, row in printed_datasets().items()}
    assert facts == {
        "retouch_cirrus": ["24", "512×1024", "2560", "512"],
        "retouch_spectralis": ["24", "512×496", "980", "198"],
        "retouch_topcon": ["22", "512×885", "2176", "512"],
    }
