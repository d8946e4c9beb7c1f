"""Intervals, tests and verdicts as they are written: below each table, in CSV and in parquet."""

import csv
import io
import math
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.workflow.report.reporting_tree import (
    fake_results,
    paper_config,
    results_of_groups,
    small_config,
    values_only,
)
from workflow.config import paths
from workflow.config.cells import table_runs
from workflow.metrics.intervals import ROUNDING, SEEDS_UNKNOWN
from workflow.results.printed import printed_results
from workflow.tables import standings
from workflow.tables.build import build_table
from workflow.tables.datasets import build_dataset_table
from workflow.tables.formats import WRITERS, save, to_html, to_markdown
from workflow.tables.latex import to_latex
from workflow.tables.standings import probability
from workflow.tables.text import footnotes
from workflow.tables.tidy import FACT_COLUMNS, RESULT_COLUMNS, to_arrow, to_csv

MEANS = {
    "he": 69.1, "gende": 69.0, "hervella": 55.0, "tang": 40.0,
    "resformer_seq": 73.0, "resformer_par": 73.4,
}  # fmt: skip


def build(config):
    """Table III with two leaders that do not differ significantly, and one method far behind."""
    spread = np.linspace(-6, 6, 4)
    numbers = {}
    for i, run in enumerate(table_runs(config, "III")):
        for metric in ("ji", "dsc"):
            noise = np.random.default_rng(i).normal(0, 0.8, (len(config.seeds), 4))
            numbers[(*run, metric)] = MEANS[run.method] + spread + noise
    return build_table(config, "III", results_of_groups(config, numbers), printed_results())


@pytest.fixture(scope="module")
def table():
    return build(paper_config(select={"datasets": ["retouch_cirrus"]}))


def test_the_best_comes_first_and_says_what_it_is_set_against(table):
    ji, dsc = standings.blocks(table)
    assert (ji.title, dsc.title) == ("Cirrus, JI, 4 groups", "Cirrus, DSC, 4 groups")
    order = [line.title for line in ji.lines]
    assert set(order[:2]) == {"Ours - Par.", "Ours - Seq."}
    assert order[-1] == "Tang et al."
    heads = standings.headings(table)
    assert heads == (
        "Place", "This run", "95 % interval", "Seeds", "Difference to best other", "95 % interval",
        "p (Holm)", "Smallest detectable difference (80 % power)", "Paper", "Verdict",
        "Equal within",
    )  # fmt: skip
    first, second, last = (dict(zip(heads, ji.lines[i].texts, strict=True)) for i in (0, 1, -1))
    cells = {row.title: row.cells[0] for row in table.rows}
    best = cells[order[0]]
    assert ji.lines[0].texts[:4] == (
        f"1 (1–{best.standing.last})",
        f"{best.mean:.1f}",
        f"{best.estimate.low:.1f} to {best.estimate.high:.1f}",
        "5 of 5",
    )
    assert (
        first["Difference to best other"].removeprefix("+")
        == second["Difference to best other"][1:]
    )
    assert first["p (Holm)"] == second["p (Holm)"]
    assert last["Place"] == "6"
    assert (last["p (Holm)"], last["Paper"], last["Verdict"]) == ("< 0.001", "69.1", "differs")
    lowest = cells[order[-1]]
    assert last["Equal within"] == f"±{lowest.supports:.1f}"
    assert lowest.supports > 2


def test_a_block_in_which_nothing_is_told_apart_says_so():
    config = paper_config(select={"datasets": ["retouch_cirrus"], "methods": ["he", "gende"]})
    flat = build(config)
    assert [block.title for block in standings.blocks(flat)] == [
        f"Cirrus, {metric}, 4 groups: no significant differences (too few seeds or volumes)"
        for metric in ("JI", "DSC")
    ]
    note = "No significant differences (too few seeds or volumes) in any column."
    for text in (to_markdown(flat), to_latex(flat), to_html(flat)):
        assert note in text
        assert text.count("no significant differences (too few seeds or volumes)") == 2


def test_an_interval_that_leaves_nothing_out_is_not_written_as_one():
    config = paper_config(select={"datasets": ["retouch_cirrus"]}, seeds=[0, 1])
    apart = np.array([[-25.0], [25.0]])  # two seeds of one volume
    numbers = {
        (*run, metric): 50 + apart * (1 if run.method == "he" else -1)
        for run in table_runs(config, "III")
        for metric in ("ji", "dsc")
    }
    found = build_table(config, "III", results_of_groups(config, numbers), printed_results())
    text = to_markdown(found)
    lines = [line for block in standings.blocks(found) for line in block.lines]
    he = next(line for line in lines if line.title == "He et al.")
    assert he.texts[2] == he.texts[5] == "not estimable"
    assert he.texts[7] == "none"
    assert "not estimable" in text
    ends = [float(x.replace("−", "-")) for x in re.findall(r"([+−-]?\d+\.\d) to", text)]
    assert all(abs(end) <= 100 for end in ends)


def test_notes_say_what_an_interval_lacks():
    config = paper_config(seeds=[0], select={"datasets": ["retouch_cirrus"]})
    notes = standings.notes(build(config))
    count = 6 * 2
    assert f"{SEEDS_UNKNOWN[0].upper()}{SEEDS_UNKNOWN[1:]} ({count} of {count} intervals)." in notes


def test_the_second_mark_is_in_every_format_and_explained(table):
    alike = [cell for cell in table.result_cells if cell.alike]
    assert {cell.run.method for cell in alike} >= {"resformer_seq"} or {
        cell.run.method for cell in alike
    } >= {"resformer_par"}
    assert any(
        note.startswith("≈: not significantly different from the best") for note in footnotes(table)
    )
    assert to_html(table).count('class="alike"') == len(alike)
    assert to_latex(table).count(r"$^{\approx}$") == len(alike)
    body = [line for line in to_markdown(table).splitlines() if line.startswith("|")]
    assert "\n".join(body).count(" ≈") == len(alike)


def test_markdown_and_html_hold_every_line(table):
    markdown, html, latex = to_markdown(table), to_html(table), to_latex(table)
    assert html.count("<table") == 2
    assert '<th scope="rowgroup" colspan="12">Cirrus, JI, 4 groups</th>' in html
    for block in standings.blocks(table):
        for line in block.lines:
            assert f"| {line.title} | " in markdown
            assert f'<th scope="row" class="stub">{line.title}</th>' in html
            assert f"{line.title} & {line.texts[0].replace('–', '--')} & {line.texts[1]}" in latex
            for text in line.texts:
                assert f"<td>{text.replace('<', '&lt;')}</td>" in html


def test_values_without_intervals_have_no_second_table():
    config = small_config()
    bare = build_table(config, "IV", values_only(config, fake_results(config)), printed_results())
    assert standings.blocks(bare) == []
    assert to_html(bare).count("<table") == to_latex(bare).count(r"\begin{table*}") == 1
    assert "intervals and tests" not in to_markdown(bare)


def test_csv_has_every_number_unrounded(table):
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert list(lines[0]) == list(RESULT_COLUMNS)
    assert len(lines) == len(table.result_cells) == 12
    for line, cell in zip(lines, table.result_cells, strict=True):
        found = cell.versus.difference
        expected = {
            "mean": cell.mean,
            "low": cell.estimate.low,
            "high": cell.estimate.high,
            "groups": cell.groups,
            "printed": float(cell.printed),
            "difference": cell.difference,
            "place": cell.standing.place,
            "first_place": cell.standing.first,
            "last_place": cell.standing.last,
            "to_best_other": found.value,
            "to_best_other_low": found.low,
            "to_best_other_high": found.high,
            "p": cell.versus.p,
            "smallest_detectable_difference": found.detectable,
        }
        assert {name: float(line[name]) for name in expected} == expected
        assert line["verdict"] == cell.verdict
        assert line["best_other"] == cell.versus.method
        assert line["may_be_best"] == str(cell.standing.with_best)


def test_parquet_is_the_csv_with_types(table, tmp_path):
    save(table, tmp_path / "table_III.parquet")
    read = pq.read_table(tmp_path / "table_III.parquet")
    assert {name: read.schema.field(name).type for name in read.column_names} == RESULT_COLUMNS
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    for record, line in zip(read.to_pylist(), lines, strict=True):
        texts = {name: "" if value is None else value for name, value in record.items()}
        for name in ("printed",):
            assert texts[name] == float(line[name])
            del texts[name]
        assert {name: str(value) for name, value in texts.items()} == {
            name: line[name] for name in texts
        }


def test_parquet_of_cells_without_numbers_has_nulls(tmp_path):
    config = small_config()
    bare = build_table(
        config, "IV", values_only(config, fake_results(config).iloc[:0]), printed_results()
    )
    records = to_arrow(bare).to_pylist()
    assert {record["state"] for record in records} == {"missing", "not_done"}
    assert {record[name] for record in records for name in ("mean", "low", "p", "mark")} == {None}
    facts = to_arrow(build_dataset_table(config, "I", {}))
    assert facts.column_names == list(FACT_COLUMNS)
    assert facts["this_run"].to_pylist() == ["missing"] * 4


def test_every_format_of_the_rule_can_be_written(table, tmp_path):
    assert {*WRITERS, "parquet"} == set(paths.TABLE_FORMATS)
    for suffix in paths.TABLE_FORMATS:
        save(table, tmp_path / f"table.{suffix}")
    assert len(list(tmp_path.iterdir())) == len(paths.TABLE_FORMATS)


@pytest.mark.parametrize(
    ("p", "text"),
    [(None, ""), (0.0, "< 0.001"), (0.0009, "< 0.001"), (0.0314, "0.031"), (1.0, "1.000")],
)
def test_probability(p, text):
    assert probability(p) == text


def test_a_difference_without_spread_is_certain():
    config = paper_config(select={"datasets": ["retouch_cirrus"], "methods": ["he", "gende"]})
    numbers = {("retouch_cirrus", m, "ji"): [v] * 4 for m, v in (("he", 70.0), ("gende", 69.0))}
    table = build_table(config, "III", results_of_groups(config, numbers), printed_results())
    he = table.rows[0].cells[0].versus
    assert (he.p, he.difference.error) == (0.0, 0.0)
    assert math.isclose(he.difference.low, 1.0, abs_tol=ROUNDING)
