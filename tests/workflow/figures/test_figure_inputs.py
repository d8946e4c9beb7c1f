"""What the larger figures are made from."""

import pytest

from tests.workflow.config.config_changes import changed
from workflow.figures.inputs import read_for_plot
from workflow.figures.plots import PLOTS, plot_runs

FILES = {"counts": "counts.parquet", "records": "run.json"}


@pytest.mark.parametrize("key", PLOTS)
def test_a_larger_figure_reads_what_its_entry_says_of_every_run_and_seed(key):
    config = changed({"evaluation": {"drop_duplicates": False}})
    names = [file.name for file in read_for_plot(config, key)]
    assert set(names) == {FILES[what] for what in PLOTS[key].reads}
    assert len(names) == len(plot_runs(config, key)) * len(config.seeds) * len(PLOTS[key].reads)


def test_duplicates_are_read_where_they_are_left_out():
    config = changed({"evaluation": {"drop_duplicates": True}})
    gates = [file for file in read_for_plot(config, "ranking") if file.name == "gates.json"]
    assert len(gates) == len({run.dataset for run in plot_runs(config, "ranking")})
