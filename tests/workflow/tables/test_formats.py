"""CSV, Markdown, LaTeX and HTML of a table: round trip, layout, marks, notices, escaping."""

import csv
import io
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from tests.workflow.report.reporting_tree import (
    fake_results,
    paper_config,
    printed_results_frame,
    small_config,
    values_only,
)
from workflow.config.notices import DEMO, SELECTED_ON_TEST
from workflow.results.printed import printed_results
from workflow.tables.build import build_table
from workflow.tables.datasets import build_dataset_table
from workflow.tables.formats import WRITERS, InPage, to_html, to_markdown
from workflow.tables.latex import escape, to_latex
from workflow.tables.text import MINUS, signed
from workflow.tables.tidy import to_csv

EVIL = '<script>alert("x")</script> & *b* _i_ |p| $m$ #1 50% {c} ~ ^ \\input{/etc} [l](j) `c`'


class Cells(HTMLParser):
    """Rows of (tag, attributes, text) of an HTML table."""

    def __init__(self):
        super().__init__()
        self.rows, self.tags, self.inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([tag, dict(attrs), ""])
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1][2] += data


def parse(html):
    parser = Cells()
    parser.feed(html)
    return parser


def table_of(config, key, frame):
    return build_table(config, key, values_only(config, frame), printed_results())


@pytest.fixture(scope="module")
def table_viii():
    config = paper_config()
    return table_of(config, "VIII", printed_results_frame(config.seeds))


@pytest.fixture
def table_iv():
    config = small_config(seeds=[0, 1])
    results = fake_results(config, missing={("isic2017", "unetpp", 1)})
    results.loc[(results["method"] == "vit") & (results["metric"] == "sen"), "value"] = math.nan
    results.loc[results["method"] == "resformer_par", "value"] += 5
    return table_of(config, "IV", results)


def evil_table():
    config = small_config()
    raw = config.tables["IV"].model_dump()
    raw["caption"] = EVIL
    raw["columns"][0]["title"] = EVIL
    raw["rows"][0] |= {"title": EVIL, "group": EVIL}
    config = small_config(tables={"IV": raw})
    return table_of(config, "IV", fake_results(config))


def test_csv_round_trip(table_viii):
    frame = pd.read_csv(io.StringIO(to_csv(table_viii)), keep_default_na=False, na_values=[""])
    assert len(frame) == 18 * 5
    cells = [cell for row in table_viii.rows for cell in row.cells]
    machines = [row.machine for row in table_viii.rows for _ in row.cells]
    assert frame["machine"].tolist() == machines
    for (_, line), cell in zip(frame.iterrows(), cells, strict=True):
        assert (line["method"], line["metric"]) == (cell.run.method, cell.metric)
        assert line["state"] == cell.state
        for name in ("mean", "sd", "difference"):
            value = getattr(cell, name)
            assert math.isnan(line[name]) if value is None else line[name] == value
        assert math.isnan(line["printed"]) if cell.printed is None else True
        assert cell.printed is None or line["printed"] == float(cell.printed)
        assert (line["mark"] if isinstance(line["mark"], str) else None) == cell.mark


def test_csv_counts_seeds(table_iv):
    lines = list(csv.DictReader(io.StringIO(to_csv(table_iv))))
    unetpp = next(x for x in lines if x["method"] == "unetpp" and x["metric"] == "ji")
    assert (unetpp["seeds"], unetpp["expected_seeds"], unetpp["missing_seeds"]) == ("1", "2", "1")
    vit = next(x for x in lines if x["method"] == "vit" and x["metric"] == "sen")
    assert (vit["state"], vit["mean"], vit["undefined_seeds"]) == ("undefined", "", "0 1")
    assert all(x["notice"] == DEMO and x["preset"] == "everything" for x in lines)


def test_markdown_layout(table_viii):
    lines = [line for line in to_markdown(table_viii).splitlines() if line.startswith("|")]
    assert (
        lines[0]
        == "| Method | Machine | Recipe, weights | Segmentation |  | Classification |  |  |"
    )
    assert lines[2] == "|  |  |  | **JI** | **DSC** | **Acc** | **Sen** | **Spe** |"
    assert lines[3] == "| **Sequential** |  |  |  |  |  |  |  |"
    assert lines[4] == (
        r"| Cls. only | Cirrus | unified, random | - | - | 98.1 ± 0.0 \[98.1\] "
        r"| 97.1 ± 0.0 \[97.1\] | 98.6 ± 0.0 \[98.6\] |"
    )
    assert lines[5].startswith("|  | Spectralis |")
    assert "**73.4** ± 0.0" in lines[10]
    assert len(lines) == 3 + 2 + 18
    assert {line.count("|") for line in lines} == {9}


def test_latex_layout(table_viii):
    text = to_latex(table_viii)
    lines = text.splitlines()
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    rows = [line for line in body if line.endswith(r"\\")]
    assert r"\begin{tabular}{lllccccc}" in lines
    assert r"\cmidrule(lr){4-5}\cmidrule(lr){6-8}" in lines
    assert rows[0] == r"\multicolumn{8}{l}{\textit{Sequential}} \\"
    assert {row.count(" & ") for row in rows if "multicolumn" not in row} == {7}
    assert r"\textbf{73.4}\,{\scriptsize$\pm$\,0.0}" in text
    assert r"\textcolor{gray}{[73.4]}" in text
    assert "textcolor{red}" not in text
    assert text.count("{") == text.count("}")


def test_latex_colours(table_iv):
    text = to_latex(table_iv)
    assert r"\textcolor{red}{55.5}" in text
    assert r"\textcolor{blue}{50.5}" in text
    assert r"Best in \textcolor{red}{red}, second best in \textcolor{blue}{blue}." in text


def test_html_layout(table_viii):
    html = parse(to_html(table_viii))
    first, second, group, row, continued = html.rows[:5]
    assert [(c[2], c[1].get("colspan"), c[1].get("rowspan")) for c in first] == [
        ("Method", None, "2"),
        ("Machine", None, "2"),
        ("Recipe, weights", None, "2"),
        ("Segmentation", "2", None),
        ("Classification", "3", None),
    ]
    assert [c[2] for c in second] == ["JI", "DSC", "Acc", "Sen", "Spe"]
    assert (group[0][2], group[0][1]["colspan"]) == ("Sequential", "8")
    assert (row[0][2], row[0][1]["rowspan"]) == ("Cls. only", "3")
    assert [c[2] for c in continued[:2]] == ["Spectralis", "unified, random"]
    assert all(c[1].get("scope") for r in html.rows for c in r if c[0] == "th")
    assert html.tags.count("caption") == html.tags.count("thead") == html.tags.count("tfoot") == 1


def test_html_marks_are_not_by_colour_alone(table_iv):
    html = parse(to_html(table_iv))
    best = [c for r in html.rows for c in r if "best" in c[1].get("class", "").split()]
    second = [c for r in html.rows for c in r if "second" in c[1].get("class", "").split()]
    assert [c[2].split()[0] for c in best] == ["55.5", "55.5", "55.5", "55.5"]
    assert all("(best)" in c[2] for c in best)
    assert all("(second best)" in c[2] for c in second)
    style = to_html(table_iv)
    assert re.search(r"\.best \.ours \{ font-weight: 700", style)
    assert re.search(r"\.second \.ours \{ text-decoration: underline", style)


def test_missing_and_undefined_are_said_in_each_format(table_iv):
    markdown, latex, html = to_markdown(table_iv), to_latex(table_iv), to_html(table_iv)
    for text in (markdown, latex, html):
        assert "1 of 2" in text
        assert "undefined" in text
        assert "only k of the n expected seeds" in text
    assert "seed 1 missing" in html
    assert "seeds 0, 1 undefined" in html
    assert "50.0 (1 of 2)" in markdown
    row = next(line for line in markdown.splitlines() if line.startswith("| UNet++"))
    assert row.count(" - ") == 2, "UNet++ does not classify"


@pytest.mark.parametrize("suffix", WRITERS)
def test_notices_and_preset_are_on_the_face(suffix):
    config = small_config()
    training = {**config.training.model_dump(), "validation": "test"}
    config = small_config(training=training)
    table = table_of(config, "IV", fake_results(config))
    text = WRITERS[suffix](table)
    assert DEMO in text
    assert SELECTED_ON_TEST in text
    assert "everything" in text.replace(DEMO, "")
    facts = build_dataset_table(config, "I", {})
    assert DEMO in WRITERS[suffix](facts)
    real = paper_config()
    table = table_of(real, "II", printed_results_frame([0]))
    assert DEMO not in WRITERS[suffix](table)
    assert "paper" in WRITERS[suffix](table)


def test_printed_values_stand_beside_ours_and_differences_only_where_comparable():
    config = small_config()
    results = fake_results(config)
    demo = to_html(table_of(config, "IV", results))
    assert "[78.6]" in demo
    assert '<span class="difference">' not in demo
    real = paper_config()
    frame = printed_results_frame([0])
    frame["value"] -= 1.3
    html = to_html(table_of(real, "IV", frame))
    assert f'<span class="difference">{MINUS}1.3</span>' in html
    markdown = to_markdown(table_of(real, "IV", frame))
    assert r"73.7 (1 of 5) \[75.0\]" in markdown


def test_numbers_link_to_their_run(table_iv):
    html = to_html(table_iv, InPage(lambda run: f"runs/{run.dataset}--{run.method}.html"))
    assert html.count('href="runs/isic2017--unetpp.html"') == 2
    assert html.count('href="runs/isic2017--resformer_seq.html"') == 4
    assert "<a " not in to_html(table_iv)


def test_html_obeys_no_markup():
    html = to_html(evil_table())
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "script" not in parse(html).tags


def test_markdown_obeys_no_markup():
    text = to_markdown(evil_table())
    assert "<" not in text.replace("&lt;", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert unescaped == {7}, "a bar in a title must not make a column"
    assert r"\[l\](j)" in text
    assert r"\`c\`" in text


def test_latex_obeys_no_markup():
    text = to_latex(evil_table())
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc\}" in text
    assert r"\$m\$ \#1 50\%" in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")


def test_latex_escapes_what_ends_a_row():
    assert escape("[2pt] *x*") == "{[}2pt] {*}x{*}"
    assert escape("a\nb\t c") == "a b c"
    assert escape(f"{MINUS}1 ± 2×3") == r"$-$1 $\pm$ 2$\times$3"


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.26, 1, "+0.3"),
        (-1.0, 1, f"{MINUS}1.0"),
        (-0.04, 1, "0.0"),
        (0.0, 2, "0.00"),
        (None, 1, ""),
    ],
)
def test_signed(value, places, text):
    assert signed(value, places) == text
