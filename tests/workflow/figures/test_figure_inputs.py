"""What the larger figures are made from."""

import pytest

from tests.workflow.config.config_changes import changed
from workflow.config.cells import with_controls
from workflow.figures.inputs import read_for_plot
from workflow.figures.plots import PLOTS, plot_runs

FILES = {"counts": "counts.parquet", "records": "run.json"}


@pytest.mark.parametrize("key", PLOTS)
def test_a_larger_figure_reads_what_its_entry_says_of_every_run_and_seed(key):
    """Of counts, those of the controls too: what does no better than they is not tested."""
    config = changed({"evaluation": {"drop_duplicates": False}})
    names = [file.name for file in read_for_plot(config, key)]
    assert set(names) == {FILES[what] for what in PLOTS[key].reads}
    runs = {"records": plot_runs(config, key)}
    runs["counts"] = with_controls(config, runs["records"])
    assert len(names) == sum(len(runs[what]) for what in PLOTS[key].reads) * len(config.seeds)


def test_duplicates_are_read_where_they_are_left_out():
    config = changed({"evaluation": {"drop_duplicates": True}})
    gates = [file for file in read_for_plot(config, "ranking") if file.name == "gates.json"]
    assert len(gates) == len({run.dataset for run in plot_runs(config, "ranking")})
