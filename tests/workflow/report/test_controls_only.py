"""A configuration that trains nothing: controls alone have tables, and a report of them."""

import pytest

from tests.conftest import ROOT, TINY
from workflow.config.cells import made_figures, made_tables, runs
from workflow.config.load import load_config
from workflow.evaluation.controls import control_seeds
from workflow.figures.plots import made_plots
from workflow.report.make import make_report
from workflow.tables.make import make_table
from workflow.verdicts.make import make_verdicts


@pytest.mark.parametrize("datasets", [["isic2017"], ["retouch_spectralis"]])
@pytest.mark.parametrize(
    "methods", [["control_oracle"], ["control_oracle", "control_prior", "control_background"]]
)
def test_controls_alone_end_with_a_report(tiny_config, datasets, methods):
    chosen = {"datasets": datasets, "methods": methods}
    config = load_config(ROOT / "config.yaml", {**TINY, "select": chosen})
    for run in runs(config):
        control_seeds(config, *run, *map(str, config.seeds))
    for key in made_tables(config):
        make_table(config, key)
    assert not made_figures(config)
    assert not made_plots(config)
    make_verdicts(config)
    make_report(config)
    page = (config.results / "report" / "index.html").read_text(encoding="utf-8")
    assert "controls.html" in page
    assert "No figure has a panel left" in (config.results / "report/figures.html").read_text()
