"""Failed runs in tables, verdicts, figures and the report: said everywhere, counted nowhere."""

import csv
import io
import json

import numpy as np
import pytest

from tests.workflow.report.reporting_tree import small_config, small_raw, write_tree
from workflow.config import paths
from workflow.config.cells import Run, made_figures, made_tables, runs, table_runs
from workflow.figures.paper import figure
from workflow.metrics.counts_file import write_failed_counts_file
from workflow.report.run_facts import fact_groups
from workflow.report.runs import chart_rows, metric_rows
from workflow.report.site import build_report
from workflow.results.missing import what_is_missing
from workflow.results.printed import printed_results
from workflow.results.read import read_results
from workflow.results.records import read_records
from workflow.tables.build import build_table
from workflow.tables.formats import to_markdown
from workflow.tables.latex import to_latex
from workflow.tables.make import load_table
from workflow.tables.text import footnotes, show
from workflow.tables.tidy import to_csv
from workflow.verdicts.judge import judge
from workflow.verdicts.make import write_verdicts

WHY = "diverged at epoch 1, step 2: the loss is not finite"
ISIC_VIT = [("isic2017", "vit", 1)]
ALL_OF_ONE = [("isic2017", "resformer_seq", 0), ("isic2017", "resformer_seq", 1)]
COSTS = {
    "kind": "efficiency",
    "caption": "Costs.",
    "methods_of": ["IV", "VIII"],
    "columns": [{"title": "ISIC", "dataset": "isic2017", "metrics": ["parameters", "hours"]}],
}


def fail(config, dataset, method, seed, *, in_training=True):
    """Leave what training and evaluation leave of a run that failed in one of the two."""
    folder = paths.run(config, dataset, method, seed)
    if in_training:
        record = json.loads((folder / "run.json").read_text())
        del record["best_epoch"], record["best_validation"]
        record["failure"] = {"kind": "diverged", "message": WHY, "loss": None, "tensors": ["loss"]}
        (folder / "run.json").write_text(json.dumps(record))
        heading = (folder / "history.csv").read_text().splitlines()[0]
        (folder / "history.csv").write_text(f"{heading}\n")
    folder = paths.evaluation(config, dataset, method, seed)
    write_failed_counts_file(folder / "counts.parquet", WHY)
    np.savez_compressed(folder / "masks.npz")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Makes a finished tree in which some runs failed."""
    monkeypatch.chdir(tmp_path)
    raw = small_raw()
    config = small_config(tables={**raw["tables"], "efficiency": COSTS})
    write_tree(config)

    def make(failed, **how):
        for run in failed:
            fail(config, *run, **how)
        return config

    return make


def everything(config):
    """Make all that is made from a run, and give the report's pages by their file names."""
    results = read_results(config, runs(config))
    for key in made_tables(config):
        table = load_table(config, key, results)
        for form in (to_csv, to_markdown, to_latex):
            assert form(table)
    write_verdicts(config, judge(config, results))
    for key in made_figures(config):
        figure(config, key)
    build_report(config, results)
    pages = paths.report(config).parent
    return {page.name: page.read_text() for page in pages.rglob("*.html")}


def cells_of(config, key, run):
    table = load_table(config, key)
    return table, [cell for cell in table.result_cells if cell.run == run]


@pytest.mark.parametrize("in_training", [True, False])
def test_one_failed_seed_of_several_is_out_of_the_mean_and_named(tree, in_training):
    config = tree(ISIC_VIT, in_training=in_training)
    run = Run("isic2017", "vit")
    table, cells = cells_of(config, "IV", run)
    found = {cell.metric: cell for cell in cells if cell.state != "not_done"}
    assert set(found) == {"acc", "sen"}
    for metric, cell in found.items():
        assert (cell.state, cell.missing, cell.failed) == ("value", (1,), (1,))
        assert list(cell.values) == [0]
        shown = show(cell, table)
        assert (shown.remark, shown.detail) == ("1 of 2", "seed 1 failed")
        assert shown.spread == ""
        results = read_results(config, table_runs(config, "IV"))
        assert what_is_missing(config, results, run, metric).startswith(f"seed 1 failed: {WHY}")
        assert results.estimates[run, metric].n == 1
    assert any(line.startswith("failed: ") for line in footnotes(table))
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    (line,) = (x for x in lines if (x["method"], x["metric"]) == ("vit", "acc"))
    assert (line["seeds"], line["missing_seeds"], line["failed_seeds"]) == ("1", "1", "1")
    others = [c for c in table.result_cells if c.run != run and c.state == "value"]
    assert others
    assert not any(cell.failed or cell.missing for cell in others)


def test_a_run_of_which_all_seeds_failed_is_called_failed(tree):
    config = tree(ALL_OF_ONE)
    table, cells = cells_of(config, "IV", Run("isic2017", "resformer_seq"))
    assert len(cells) == 4
    for cell in cells:
        assert (cell.state, cell.values, cell.mark) == ("failed", {}, None)
        shown = show(cell, table)
        assert (shown.text, shown.remark) == ("failed", "0 of 2")
        assert shown.detail == "seeds 0, 1 failed"
    assert to_markdown(table).count("failed") >= 4
    assert "failed" in to_latex(table)


def test_failed_and_never_run_seeds_are_told_apart(tree):
    config = tree(ALL_OF_ONE[:1])
    for folder in (paths.run, paths.evaluation):
        for file in folder(config, *ALL_OF_ONE[1]).iterdir():
            file.unlink()
    table, cells = cells_of(config, "IV", Run("isic2017", "resformer_seq"))
    assert {cell.state for cell in cells} == {"missing"}
    assert {show(cell, table).detail for cell in cells} == {"seed 0 failed; seed 1 missing"}


def test_hours_are_those_of_whole_trainings(tree):
    config = tree([("isic2017", "vit", 1)])
    _, cells = cells_of(config, "efficiency", Run("isic2017", "vit"))
    parameters, hours = cells
    assert list(parameters.values) == [0, 1]  # known of a failed run, too
    assert (list(hours.values), hours.failed) == ([0], (1,))


def test_the_records_say_what_failed(tree):
    config = tree(ALL_OF_ONE)
    fail(config, *ISIC_VIT[0], in_training=False)
    results = read_results(config, runs(config))
    records = {record.run: record for record in read_records(config, results.values)}
    failed = records[Run("isic2017", "resformer_seq")]
    assert failed.done == 0
    assert [seed.trouble for seed in failed.seeds] == [f"failed: {WHY}"] * 2
    assert [seed.trouble for seed in records[Run("isic2017", "vit")].seeds] == [
        "",
        f"failed: {WHY}",
    ]
    facts = {row.label: row.texts for group in fact_groups(failed) for row in group.rows}
    assert facts["Epoch kept"] == ["not recorded"]
    assert metric_rows(failed, 1)[0].texts == ["failed", "failed"]
    assert chart_rows(failed) == []  # no epoch was finished


def test_a_figure_says_failed_where_there_is_no_mask(tree):
    config = tree([("isic2017", "resformer_seq", 0)])
    (paths.evaluation(config, "isic2017", "unetpp", 0) / "masks.npz").unlink()
    drawn = figure(config, "8")
    words = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert (words.count("failed"), words.count("missing"), len(words)) == (2, 2, 4)


@pytest.mark.parametrize("in_training", [True, False])
def test_the_report_is_made_when_some_runs_failed(tree, in_training):
    config = tree([*ISIC_VIT, *ALL_OF_ONE], in_training=in_training)
    pages = everything(config)
    page = next(text for name, text in pages.items() if "isic2017" in name and "seq" in name)
    assert page.count(f"failed: {WHY}") >= 2
    assert f"failed: {WHY}" in pages["index.html"]


def test_the_report_is_made_when_every_run_failed(tree):
    config = tree([])
    for run in runs(config):
        for seed in config.seeds:
            fail(config, *run, seed)
    pages = everything(config)
    assert "failed" in pages["index.html"]
    for key in ("IV", "VIII"):
        results = read_results(config, table_runs(config, key))
        table = build_table(config, key, results, printed_results())
        assert {cell.state for cell in table.result_cells} <= {"failed", "not_done"}
        assert table.sets == ()
