"""Tables beyond the paper's: costs of runs, results by class, and by other conventions."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from tests.workflow.report.reporting_tree import (
    ROOT,
    small_config,
    small_raw,
    write_run,
    write_tree,
)
from workflow.base.errors import ConfigError
from workflow.base.files import read_json
from workflow.config import paths
from workflow.config.cells import Run, table_runs
from workflow.config.load import load_config
from workflow.config.notices import DEMO
from workflow.metrics.metrics import alternative_rules, collect, per_class
from workflow.results.result_cells import ResultCell
from workflow.tables.content import FactCell, TableRow
from workflow.tables.extra import agreement_row, costs, tau_b, with_places
from workflow.tables.formats import to_html, to_markdown
from workflow.tables.latex import to_latex
from workflow.tables.make import load_table, make_table
from workflow.tables.text import decimals, footnotes, show
from workflow.tables.tidy import to_arrow, to_csv

ALL = ["parameters", "gflops", "hours", "memory", "images_per_second"]


def extra(kind, *groups, **changes):
    """A table of every method of Tables IV and VIII."""
    columns = [{"title": t, "dataset": d, "metrics": metrics} for t, d, metrics in groups]
    return {
        "kind": kind,
        "caption": kind,
        "methods_of": ["IV", "VIII"],
        "columns": columns,
        **changes,
    }


TABLES = {
    "costs": extra(
        "efficiency", ("Cirrus", "retouch_cirrus", ALL), ("ISIC", "isic2017", ["hours"])
    ),
    "lesions": extra(
        "classes", ("Cirrus", "retouch_cirrus", ["dsc"]), ("ISIC", "isic2017", ["ji"]), mark="color"
    ),
    "labels": extra("classes", ("ISIC", "isic2017", ["auc", "sen"])),
    "rules": extra(
        "rules", ("Cirrus", "retouch_cirrus", ["dsc"]), ("ISIC", "isic2017", ["ji"]), mark="color"
    ),
    "decisions": extra("rules", ("ISIC", "isic2017", ["acc"])),
}  # fmt: skip


def config_with_extra(**changes):
    raw = small_raw(**changes)
    raw["tables"] |= TABLES
    return small_config(tables=raw["tables"], **changes)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A finished run; seed 1 of ViT is missing, and so is its record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("extra"))
        config = config_with_extra()
        write_tree(config, missing={("isic2017", "vit", 1)})
        yield config


def by_place(table):
    return {
        (cell.run.dataset, cell.run.method, cell.metric, cell.facet): cell
        for cell in table.result_cells
        if cell.run
    }


def test_costs_are_what_runs_recorded(tree):
    table = load_table(tree, "costs")
    cells = by_place(table)
    cell = cells["retouch_cirrus", "unetpp", "parameters", None]
    assert cell.mean == pytest.approx(29.201675)
    means = {fact: cells["retouch_cirrus", "unetpp", fact, None].mean for fact in ALL}
    assert means == pytest.approx(
        {
            "parameters": 29.201675,
            "gflops": 11.552352144,
            "hours": 0.5,
            "memory": 1.5,
            "images_per_second": 20.0,
        }
    )
    assert [(span.title, span.columns) for span in table.spans] == [
        ("Cirrus", ("Param. (M)", "GFLOPs", "Hours", "Memory (GB)", "Images/s")),
        ("ISIC", ("Hours",)),
    ]
    assert show(cell, table).text == "29.2"
    assert show(cells["retouch_cirrus", "unetpp", "hours", None], table)[:2] == ("0.500", "")
    assert [row.title for row in table.rows] == ["Ours - Seq.", "Ours - Par.", "UNet++", "ViT"]
    assert all(row.setup == "unified, random" for row in table.rows)


def test_a_missing_record_is_shown_and_a_method_of_another_data_set_is_not_run(tree):
    table = load_table(tree, "costs")
    cells = by_place(table)
    vit = cells["isic2017", "vit", "hours", None]
    assert (vit.values.keys(), vit.missing) == ({0}, (1,))
    assert show(vit, table).remark == "1 of 2"
    assert cells["retouch_cirrus", "vit", "hours", None].state == "not_done"
    assert "-: the method does not do this task, or no other table has it" in " ".join(
        footnotes(table)
    )
    assert "per cent" not in footnotes(table)[0]


def test_what_no_run_records_is_said_once_and_not_in_every_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_with_extra()
    for run in table_runs(config, "costs"):
        for seed in config.seeds:
            write_run(config, *run, seed)
            file = paths.run(config, *run, seed) / "run.json"
            record = read_json(file)
            del record["flops"], record["configuration"]
            if seed:
                del record["peak_memory_bytes"]
            file.write_text(json.dumps(record))
    table = load_table(config, "costs")
    assert table.spans[0].columns == ("Param. (M)", "Hours", "Memory (GB)")
    assert "Recorded by no run: GFLOPs, Images/s." in footnotes(table)
    memory = by_place(table)["retouch_cirrus", "unetpp", "memory", None]
    assert (dict(memory.values), memory.undefined) == ({0: 1.5}, (1,))


def test_without_any_record_every_cost_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_with_extra()
    assert costs(config, table_runs(config, "costs")) == {}
    table = load_table(config, "costs")
    assert {cell.state for cell in table.result_cells} == {"missing", "not_done"}
    assert not any("Recorded by no run" in note for note in footnotes(table))


def test_controls_have_no_costs():
    raw = small_raw()
    control = {"title": "Oracle", "control": "oracle", "tasks": ["segmentation", "classification"]}
    raw["methods"]["control_oracle"] = control
    row = {"title": "Oracle", "method": "control_oracle"}
    raw["tables"]["IV"]["rows"].append(row)
    config = small_config(methods=raw["methods"], tables={**raw["tables"], **TABLES})
    run = Run("isic2017", "control_oracle")
    assert run in table_runs(config, "lesions")
    assert run not in table_runs(config, "costs")


def test_classes_are_those_of_per_class(tree):
    for key, metrics in (("lesions", {"dsc", "ji"}), ("labels", {"auc", "sen"})):
        frame = per_class(tree, table_runs(tree, key))
        cells = by_place(load_table(tree, key))
        assert {metric for _, _, metric, _ in cells} == metrics
        filled = {place: cell for place, cell in cells.items() if cell.state != "not_done"}
        for (dataset, method, metric, name), cell in filled.items():
            found = frame[
                (frame["dataset"] == dataset) & (frame["method"] == method)
                & (frame["metric"] == metric) & (frame["class"] == name)
            ].set_index("seed")["value"].dropna()  # fmt: skip
            assert dict(cell.values) == found.to_dict()
        assert any(cell.values for cell in filled.values())


def test_class_columns_are_named_by_lesion_and_label(tree):
    lesions, labels = load_table(tree, "lesions"), load_table(tree, "labels")
    assert [(span.title, span.columns) for span in lesions.spans] == [
        ("Cirrus, DSC", ("IRF", "SRF", "PED")),
        ("ISIC, JI", ("lesion",)),
    ]
    assert [span.title for span in labels.spans] == ["ISIC, AUC", "ISIC, Sen"]
    assert labels.spans[0].columns == ("melanoma", "seborrheic keratosis", "nevus")
    assert any(cell.mark == "best" for cell in lesions.result_cells)
    assert not any(cell.mark for cell in labels.result_cells)


def test_rules_are_those_of_alternative_rules_and_the_configured_one_that_of_the_tables(tree):
    for key, rule in (("rules", "per_image"), ("decisions", "sigmoid")):
        runs = table_runs(tree, key)
        frame = alternative_rules(tree, runs)
        columns = ["dataset", "method", "metric", "rule", "seed"]
        values = frame.set_index(columns)["value"]
        cells = by_place(load_table(tree, key))
        for (dataset, method, metric, name), cell in cells.items():
            for seed, value in cell.values.items():
                assert value == values[dataset, method, metric, name, seed]
        usual = collect(tree, runs).set_index(["dataset", "method", "metric", "seed"])["value"]
        of_rule = [cell for (*_, name), cell in cells.items() if name == rule and cell.values]
        assert of_rule
        for cell in of_rule:
            for seed, value in cell.values.items():
                assert value == pytest.approx(usual[*cell.run, cell.metric, seed])


def test_rules_that_say_the_same_are_shown_once(tree):
    table = load_table(tree, "rules")
    assert [(span.title, span.columns) for span in table.spans] == [
        ("Cirrus, DSC", ("per image", "pooled", "per volume", "empty = 1")),
        ("ISIC, JI", ("per image", "pooled", "empty = 1")),
    ]
    challenge = {**tree.evaluation.model_dump(), "rule": "challenge"}
    spans = load_table(config_with_extra(evaluation=challenge), "rules").spans
    assert all(span.columns[-1] == "challenge" for span in spans)


def test_ranks_and_agreement_are_under_each_rule(tree):
    table = load_table(tree, "rules")
    *rows, last = table.rows
    assert last.title == "τ"
    columns = list(zip(*(row.cells for row in rows), strict=True))
    for column in columns:
        means = sorted((cell.mean for cell in column if cell.mean is not None), reverse=True)
        for cell in column:
            assert cell.place == (None if cell.mean is None else means.index(cell.mean) + 1)
    assert {cell.text for cell in (last.cells[0], last.cells[4])} <= {"1.00", ""}
    text = to_markdown(table)
    assert " (1)" in text
    assert "In parentheses the rank in the column" in text
    assert "| τ |  | " in text


def one_row(*means):
    cells = (
        ResultCell(Run("d", "m"), "dsc", "value" if m else "missing", {0: m} if m else {})
        for m in means
    )
    return TableRow("m", None, None, None, tuple(cells), setup="")


def test_places_share_ties_and_skip_what_is_missing():
    rows = with_places([one_row(3.0), one_row(5.0), one_row(None), one_row(5.0 + 1e-12)])
    assert [row.cells[0].place for row in rows] == [3, 1, None, 1]


def test_agreement_of_a_reversed_order_is_minus_one(tree):
    def row(a, b):
        cells = (
            ResultCell(Run("isic2017", "vit"), "ji", "value", {0: value}, facet=rule)
            for value, rule in ((a, "per_image"), (b, "pooled"))
        )
        return TableRow("m", None, None, None, tuple(cells), setup="")

    found = agreement_row(tree, [row(1, 9), row(2, 8), row(3, 7)])
    assert found.cells == (FactCell("tau", "1.00", value=1.0), FactCell("tau", "-1.00", value=-1.0))


def test_tau_needs_two_rows_and_an_order():
    assert tau_b([1.0, None, 2.0], [5.0, 1.0, None]) is None
    assert tau_b([1.0, 2.0], [3.0, 3.0]) is None
    assert tau_b([1.0, 2.0, None], [3.0, 4.0, 1.0]) == 1.0


def test_tables_of_one_method_can_be_made(tree):
    alone = config_with_extra(select={"datasets": None, "methods": ["unetpp"]})
    for key in ("costs", "lesions", "rules"):
        table = load_table(alone, key)
        assert table.rows[0].title == "UNet++"
    with pytest.raises(ConfigError, match=r"tables\.labels: no cell is left"):
        load_table(alone, "labels")


@pytest.mark.parametrize("key", TABLES)
def test_every_format_carries_the_notice_and_the_missing_seed(tree, key):
    table = load_table(tree, key)
    for text in (to_html(table), to_markdown(table), to_latex(table), to_csv(table)):
        assert DEMO in text
    if key not in ("lesions", "rules"):  # ViT does not segment
        assert "1 of 2" in to_html(table)
    make_table(tree, key)
    assert all(paths.table(tree, key, suffix).is_file() for suffix in paths.TABLE_FORMATS)


def test_tidy_lines_say_which_class_or_rule(tree):
    table = load_table(tree, "rules")
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(lines) == sum(len(row.cells) for row in table.rows)
    assert {line["class_or_rule"] for line in lines if line["state"] == "value"} == {
        "per_image", "pooled", "per_volume", "empty_is_one",
    }  # fmt: skip
    tau = [line for line in lines if line["metric"] == "tau"]
    assert [line["mean"] != "" for line in tau] == [
        cell.value is not None for cell in table.rows[-1].cells
    ]
    frame = pd.DataFrame(to_arrow(table).to_pylist())
    assert frame["place"].max() == 3
    assert np.isfinite(frame.loc[frame["state"] == "value", "mean"]).all()


@pytest.mark.parametrize(
    ("value", "places"),
    [(0.0, 2), (0.00056, 6), (0.5, 3), (9.99, 2), (29.2, 1), (147.3, 0), (8e4, 0)],
)
def test_three_digits(value, places):
    assert decimals(value) == places


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"methods_of": ["XX"]}, "tables.lesions.methods_of: unknown name 'XX'"),
        ({"methods_of": []}, "tables.lesions: a classes table needs `methods_of`"),
        (
            {"kind": "results"},
            "`methods_of` goes with kinds efficiency, classes, rules and metrics only",
        ),
        (
            {"columns": [{"title": "x", "dataset": "isic2017", "metrics": ["hours"]}]},
            "tables.lesions.columns.0.metrics.0: found 'hours'; a table of kind classes has 'ji'",
        ),
        (
            {"columns": [{"title": "x", "metrics": ["dsc"]}]},
            "tables.lesions.columns.0: there is no `dataset`; a table of kind classes needs one",
        ),
    ],
)
def test_a_wrong_definition_is_refused(monkeypatch, table, expected):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=expected):
        load_config(overrides={"preset": "paper", "tables": {"lesions": table}})
