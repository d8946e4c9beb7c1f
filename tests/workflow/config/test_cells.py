"""Cells and runs: exactly those that the paper prints for the methods that are configured."""

import csv
from collections import Counter

import pytest

from workflow.config import cells
from workflow.config.cells import Run
from workflow.config.load import load_config
from workflow.config.metrics import METRIC_TASK

PRINTED_TABLES = ("II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
EXTRA_TABLES = ("efficiency", "lesions", "labels", "further", "rules", "decisions")
# 22 methods and their variants, over the data sets that the paper shows each on.
PAIRS_OF_THE_PAPER = 93


@pytest.fixture(scope="module")
def printed(repo):
    with (repo / "workflow/results/published/tables.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def paper(repo):
    """What the paper prints: its tables without the controls at the foot of ours."""
    return preset(repo, "paper", tables={key: {"controls": []} for key in PRINTED_TABLES})


def preset(repo, name, **changes):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)
        return load_config(overrides={"preset": name, **changes})


def test_the_printed_numbers_are_those_of_93_pairs(printed):
    assert len({(row["dataset"], row["method"]) for row in printed}) == PAIRS_OF_THE_PAPER


@pytest.mark.parametrize("key", PRINTED_TABLES)
def test_each_printed_number_of_a_configured_method_has_one_cell(paper, printed, key):
    made = Counter(cell[2:] for cell in cells.table_cells(paper, key))
    expected = Counter(
        (row["dataset"], row["method"], row["metric"])
        for row in printed
        if row["table"] == key and row["method"] in paper.methods
    )
    assert set(expected.values()) == {1}
    assert made == expected


@pytest.mark.parametrize("key", PRINTED_TABLES)
def test_at_the_foot_stand_three_controls_below_each_column(repo, paper, key):
    whole = preset(repo, "paper")
    above, made = set(cells.table_cells(paper, key)), set(cells.table_cells(whole, key))
    assert above < made
    columns = {(cell.column, cell.dataset, cell.metric) for cell in above}
    foot = Counter((cell.column, cell.dataset, cell.metric) for cell in made - above)
    assert foot == Counter(dict.fromkeys(columns, 3))
    assert all(cells.is_control(whole, cell.method) for cell in made - above)
    assert min(cell.row for cell in made - above) > max(cell.row for cell in above)


def test_controls_at_the_foot_add_no_run(repo, paper):
    assert set(cells.runs(preset(repo, "paper"))) == set(cells.runs(paper))


def test_no_results_table_of_the_paper_is_missing(paper, printed):
    assert {row["table"] for row in printed} == set(PRINTED_TABLES)
    assert cells.made_tables(paper) == ["I", *PRINTED_TABLES, "controls", *EXTRA_TABLES]


def test_the_runs_are_the_printed_pairs_of_the_configured_methods(paper, printed):
    pairs = {(row["dataset"], row["method"]) for row in printed}
    expected = {pair for pair in pairs if pair[1] in paper.methods}
    runs = [run for run in cells.runs(paper) if not run.method.startswith("control_")]
    assert len(runs) == len(set(runs)) == len(expected) == PAIRS_OF_THE_PAPER
    assert set(runs) == expected


def test_every_printed_method_is_configured(paper, printed):
    assert {row["method"] for row in printed} <= set(paper.methods)


def test_four_controls_are_made_on_every_data_set(paper):
    names = [name for name in paper.methods if name.startswith("control_")]
    assert set(cells.table_runs(paper, "controls")) == {
        Run(dataset, name) for dataset in paper.datasets for name in names
    }
    assert len(names) == 4


def test_each_tables_runs_are_those_of_its_cells(paper, printed):
    for key in PRINTED_TABLES:
        expected = {
            (row["dataset"], row["method"])
            for row in printed
            if row["table"] == key and row["method"] in paper.methods
        }
        assert set(cells.table_runs(paper, key)) == expected
        assert len(cells.table_runs(paper, key)) == len(expected)


def test_cells_are_of_tasks_that_the_method_does(paper, printed):
    tasks = {(row["method"], row["metric"]): row["task"] for row in printed}
    for key in PRINTED_TABLES:
        for cell in cells.table_cells(paper, key):
            assert METRIC_TASK[cell.metric] == tasks[cell.method, cell.metric]
            assert METRIC_TASK[cell.metric] in paper.methods[cell.method].tasks


def test_row_and_column_numbers_point_at_the_definition(paper):
    for key in PRINTED_TABLES:
        table = paper.tables[key]
        columns = [(group, metric) for group in table.columns for metric in group.metrics]
        for cell in cells.table_cells(paper, key):
            row, (group, metric) = table.rows[cell.row], columns[cell.column]
            assert cell.metric == metric
            assert cell.dataset in {row.dataset, group.dataset}
            assert cell.method in {row.method, *(row.methods or {}).values()}


def test_table_ix_takes_the_method_from_the_column(paper):
    made = {
        (cell.row, cell.column): (cell.dataset, cell.method)
        for cell in cells.table_cells(paper, "IX")
    }
    assert made[0, 0] == ("retouch_cirrus", "resformer_seq_no_dfe")
    assert made[0, 3] == ("retouch_cirrus", "resformer_par_no_dfe")
    assert made[5, 1] == ("retouch_topcon", "resformer_seq")
    assert made[5, 2] == ("retouch_topcon", "resformer_par")
    assert len(made) == 6 * 4


def test_everything_makes_every_cell_of_the_paper_preset(repo):
    everything, paper = preset(repo, "everything"), preset(repo, "paper")
    assert cells.runs(everything) == cells.runs(paper)
    for key in PRINTED_TABLES:
        assert list(cells.table_cells(everything, key)) == list(cells.table_cells(paper, key))


def test_the_default_run_keeps_every_table_and_figure_of_the_paper(repo):
    demo = load_config(repo / "config.yaml")
    assert {"I", *PRINTED_TABLES} <= set(cells.made_tables(demo))
    assert set(cells.made_figures(demo)) == {"5", "6", "7", "8"}
    learned = {run for run in cells.runs(demo) if not run.method.startswith("control_")}
    tasks = {tuple(demo.methods[run.method].tasks) for run in learned}
    assert tasks == {
        ("segmentation", "classification"), ("segmentation",), ("classification",)
    }  # fmt: skip
    for dataset in cells.chosen_datasets(demo):
        methods = {run.method for run in cells.runs(demo) if run.dataset == dataset}
        assert {"resformer_seq", "resformer_par"} <= methods
        # What brackets every learned method.
        assert {f"control_{c}" for c in ("oracle", "shuffled", "prior", "background")} <= methods
    assert len(cells.chosen_datasets(demo)) == len(demo.seeds) == 2
    assert demo.training.keep_weights


def test_released_adds_its_two_networks_on_four_data_sets(repo, paper):
    released = preset(repo, "released")
    assert set(cells.runs(released)) - set(cells.runs(paper)) == {
        Run(dataset, f"resformer_{mode}_released")
        for dataset in released.datasets
        for mode in ("seq", "par")
    }
    assert "released" in cells.made_tables(released)
    assert "released" not in cells.made_tables(paper)


def test_select_drops_rows_tables_figures_and_data_sets(repo):
    select = {"datasets": ["retouch_cirrus", "isic2017"], "methods": ["unetpp", "vit"]}
    config = preset(repo, "paper", select=select)
    assert set(cells.runs(config)) == {
        Run("retouch_cirrus", "unetpp"),
        Run("isic2017", "unetpp"),
        Run("isic2017", "vit"),
    }
    assert cells.made_tables(config) == ["I", "VI", "VII", *EXTRA_TABLES]
    assert cells.dataset_rows(config, "I") == ["retouch_cirrus"]
    assert cells.chosen_datasets(config) == ["retouch_cirrus", "isic2017"]
    assert cells.made_figures(config) == ["7", "8"]
    assert cells.figure_runs(config, "7") == [Run("retouch_cirrus", "unetpp")]
    assert [cell[2:] for cell in cells.table_cells(config, "VI")] == [
        ("retouch_cirrus", "unetpp", "ji"),
        ("retouch_cirrus", "unetpp", "dsc"),
    ]


def test_selecting_one_data_set_leaves_the_others_tables_out(repo):
    config = preset(repo, "paper", select={"datasets": ["isic2017"]})
    assert cells.made_tables(config) == ["IV", "VII", "controls", *EXTRA_TABLES]
    assert {run.dataset for run in cells.runs(config)} == {"isic2017"}


def test_what_is_not_enabled_is_not_made(repo):
    config = preset(
        repo,
        "paper",
        tables={"VII": {"enabled": False}},
        figures={"8": {"enabled": False}},
    )
    assert "VII" not in cells.made_tables(config)
    assert "8" not in cells.made_figures(config)
    # Table VII is the only place of ViT and SwinT on ISIC 2017.
    assert not {Run("isic2017", "vit"), Run("isic2017", "swint")} & set(cells.runs(config))


def test_extra_tables_show_what_results_tables_show_and_add_no_run(paper):
    of_results = {run for key in PRINTED_TABLES for run in cells.table_runs(paper, key)}
    for key in EXTRA_TABLES:
        assert set(cells.table_runs(paper, key)) <= of_results, key
    assert set(cells.table_runs(paper, "efficiency")) == of_results
    segmented = {run for run in of_results if "segmentation" in paper.methods[run.method].tasks}
    ablations = ("_seg_only", "_no_dfe")
    assert set(cells.table_runs(paper, "rules")) == {
        run for run in segmented if not run.method.endswith(ablations)
    }


def test_extra_rows_are_each_method_once_in_the_order_of_the_tables(paper):
    rows = cells.table_rows(paper, "lesions")
    of_iii = [row.method for row in paper.tables["III"].rows]
    assert [row.method for row in rows][: len(of_iii)] == of_iii
    assert len({row.method for row in rows}) == len(rows)
    assert all(row.title == paper.methods[row.method].title for row in rows)


def test_an_added_method_gets_its_row_in_the_extra_tables_too(repo):
    added = {"tiny": {"title": "Tiny", "module": "baselines.unetpp", "tasks": ["segmentation"]}}
    added["tiny"]["tables"] = ["VII"]
    config = preset(repo, "paper", methods=added)
    assert Run("isic2017", "tiny") in cells.table_runs(config, "lesions")
    assert Run("isic2017", "tiny") in cells.table_runs(config, "efficiency")
    assert "tiny" not in {run.method for run in cells.table_runs(config, "labels")}
    assert Run("retouch_cirrus", "tiny") not in cells.runs(config)


def test_a_figure_alone_needs_its_runs(repo):
    none = {key: {"enabled": False} for key in ("III", "VI", "VIII", "IX", "II", "V", "I")}
    config = preset(repo, "paper", tables=none)
    assert Run("retouch_cirrus", "unetpp") in cells.runs(config)
    assert Run("retouch_cirrus", "efficientnet") not in cells.runs(config)
    assert cells.chosen_datasets(config) == list(config.datasets)
