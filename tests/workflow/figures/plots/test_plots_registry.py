"""The registry of larger figures: which are made, of which runs, and when they are made anew."""

import pytest

from tests.workflow.report.reporting_tree import paper_config, small_config, small_raw
from workflow.config.cells import Run, runs, table_runs
from workflow.config.model import Config
from workflow.figures.plots import (
    PLOTS,
    ablation_tables,
    made_plots,
    plot_fingerprint,
    plot_runs,
    whole_methods,
)
from workflow.figures.plots.drawing import DRAW
from workflow.results.families import CLASSIFICATION, CONTROL, MULTI_TASK, RESFORMER, family
from workflow.results.printed import printed_results


def test_every_figure_of_the_registry_is_made_and_drawn():
    assert made_plots(paper_config()) == list(PLOTS)
    assert set(DRAW) == set(PLOTS)
    for plot in PLOTS.values():
        assert plot.title
        assert plot.caption.endswith(".")


def test_the_runs_of_each_figure():
    config = paper_config()
    known = set(runs(config))
    for key in PLOTS:
        found = plot_runs(config, key)
        assert len(found) == len(set(found))
        assert set(found) <= known
        assert not [run for run in found if family(config, run.method) == CONTROL]
    printed = {Run(key.dataset, key.method) for key in printed_results()}
    assert set(plot_runs(config, "published")) == printed & known
    for task in ("segmentation", "classification"):
        for run in plot_runs(config, f"seeds_{task}"):
            assert task in config.methods[run.method].tasks
    ablated = {run for key in ("VIII", "IX") for run in table_runs(config, key)}
    assert ablation_tables(config) == ["VIII", "IX"]
    assert set(plot_runs(config, "ablation")) == ablated
    assert whole_methods(config) & ablated == {
        run for run in ablated if run.method in ("resformer_seq", "resformer_par")
    }


def test_what_select_leaves_decides_what_is_made():
    config = paper_config(select={"methods": ["vit"], "datasets": ["isic2017"]})
    assert {run for key in PLOTS for run in plot_runs(config, key)} == {Run("isic2017", "vit")}
    made = made_plots(config)
    assert "seeds_classification" in made
    assert not {"seeds_segmentation", "efficiency_segmentation", "ablation"} & set(made)


def test_a_figure_of_the_configuration_takes_the_place_of_one_with_its_key():
    raw = small_raw()
    raw["figures"]["ranking"] = raw["figures"]["5"]
    assert "ranking" not in made_plots(Config.model_validate(raw))
    assert "ranking" in made_plots(small_config())


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, False),
        ({"training": {"threads": 1}}, False),
        ({"seeds": [0, 1, 2]}, True),
        ({"notice": "careful"}, True),
        ({"statistics": {"margin": 3.0}}, True),
        ({"methods": {"unetpp": {"title": "Another"}}}, True),
    ],
)
def test_a_figure_is_made_anew_when_what_it_shows_changes(change, changed):
    raw = small_raw()
    before = plot_fingerprint(Config.model_validate(raw), "seeds_segmentation")
    for key, value in change.items():
        if key == "methods":
            raw["methods"]["unetpp"] |= value["unetpp"]
        elif isinstance(value, dict):
            raw[key] = {**raw[key], **value}
        else:
            raw[key] = value
    after = plot_fingerprint(Config.model_validate(raw), "seeds_segmentation")
    assert (after != before) is changed


def test_families_follow_from_the_tasks_and_the_network():
    config = paper_config()
    of = {name: family(config, name) for name in config.methods}
    assert of["resformer_seq"] == of["resformer_par_no_dfe"] == RESFORMER
    assert of["he"] == MULTI_TASK
    assert of["vit"] == CLASSIFICATION
    assert of["control_oracle"] == of["control_shuffled"] == CONTROL
    assert len({one.colour for one in of.values()}) == len({one.marker for one in of.values()}) == 5
