"""A number that a control reaches as well is dressed as no result, in any format."""

import csv
import io

import numpy as np
import pytest

from tests.workflow.report.reporting_tree import paper_config, results_of_groups
from workflow.base.errors import ConfigError
from workflow.config.cells import Run, is_control, table_runs
from workflow.config.load import load_config
from workflow.results.missing import what_is_missing
from workflow.results.printed import printed_results
from workflow.tables import standings
from workflow.tables.build import build_table
from workflow.tables.formats import WRITERS, to_html, to_markdown
from workflow.tables.latex import to_latex
from workflow.tables.text import BELOW, footnotes, show
from workflow.tables.tidy import to_csv
from workflow.verdicts.rankings import ranking_verdicts
from workflow.verdicts.values import value_verdicts

MEANS = {
    "he": 60.0, "gende": 55.0, "hervella": 19.0, "tang": 20.0, "resformer_seq": 71.0,
    "resformer_par": 73.0,
    "control_shuffled": 20.0, "control_prior": 5.0, "control_background": 0.0,
}  # fmt: skip
LOST = {"hervella", "tang"}  # tang is as good as the control, and no better


@pytest.fixture(scope="module")
def config():
    return paper_config(controls=True, select={"datasets": ["retouch_cirrus"]})


@pytest.fixture(scope="module")
def results(config):
    spread, numbers = np.linspace(-3, 3, 4), {}
    for i, run in enumerate(table_runs(config, "III")):
        noise = np.random.default_rng(i).normal(0, 0.3, (len(config.seeds), 4))
        noise -= noise.mean()
        for metric in ("ji", "dsc"):
            numbers[(*run, metric)] = MEANS[run.method] + spread + noise
    return results_of_groups(config, numbers)


@pytest.fixture(scope="module")
def table(config, results):
    return build_table(config, "III", results, printed_results())


def of_method(table):
    return {cell.run.method: (row, cell) for row in table.rows for cell in row.cells if cell.run}


def test_it_says_so_and_has_no_mark_interval_test_or_verdict(table):
    for method, (_, cell) in of_method(table).items():
        lost = method in LOST
        assert bool(cell.below) is lost
        assert (show(cell, table).remark == BELOW) is lost
        assert (cell.estimate is None) is lost
        if lost:
            assert (cell.mark, cell.standing, cell.versus, cell.verdict) == (None,) * 4
            assert cell.mean == pytest.approx(MEANS[method])
            assert "where shuffled labels has 20.0" in show(cell, table).detail


def test_a_lost_method_cannot_be_second_best(config):
    """Of two methods, the better one is not marked either: it is compared with nothing."""
    means = MEANS | dict.fromkeys(("he", "gende", "resformer_seq"), 1.0)
    numbers = {
        (*run, metric): means[run.method] + np.linspace(-0.5, 0.5, 4)
        for run in table_runs(config, "III")
        for metric in ("ji", "dsc")
    }
    built = build_table(config, "III", results_of_groups(config, numbers), printed_results())
    assert built.sets == ()
    assert not [cell for _, cell in of_method(built).values() if cell.mark]
    assert standings.blocks(built) == []


def test_every_format_says_it_and_explains_it(table):
    assert set(WRITERS) >= {"csv", "md", "tex", "html"}
    for text in (to_markdown(table), to_html(table), to_latex(table)):
        assert text.count(BELOW) >= len(LOST) * 2 + 1
    assert [line for line in footnotes(table) if line.startswith(f"{BELOW}:")]
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert {row["method"] for row in rows if row["below_control"]} == LOST
    for row in rows:
        if row["below_control"]:
            assert {row[name] for name in ("p", "low", "mark", "verdict")} == {""}


def test_controls_stand_at_the_foot_and_are_compared_with_nothing(config, table):
    foot = [row for row in table.rows if row.control]
    assert foot == list(table.rows[-3:])
    assert {row.group for row in foot} == {"Controls"}
    for row in foot:
        for cell in row.cells:
            assert (cell.mark, cell.standing, cell.printed) == (None, None, None)
    compared = {index for one in table.sets for index in one.rows}
    assert not [index for index in compared if table.rows[index].control]


def test_tables_by_machine_have_a_control_row_for_each_machine():
    config = paper_config(controls=True)
    rows = {
        (run.dataset, run.method)
        for run in table_runs(config, "VIII")
        if is_control(config, run.method)
    }
    assert len(rows) == 3 * 3


def test_a_table_in_which_controls_alone_are_left_is_not_made():
    config = paper_config(controls=True, select={"methods": ["control_prior", "unetpp"]})
    assert table_runs(config, "II") == []
    assert Run("retouch_cirrus", "control_prior") in table_runs(config, "VI")


def test_verdicts_name_the_reason(config, results):
    assert what_is_missing(config, results, Run("retouch_cirrus", "tang"), "dsc").startswith(BELOW)
    found = [v for v in value_verdicts(config, results) if v.key.method in LOST]
    found = [v for v in found if v.key.table == "III"]
    assert {v.verdict for v in found} == {"not testable"}
    assert all(BELOW in v.remark for v in found)
    rankings = [v for v in ranking_verdicts(config, results) if v.block.table == "III"]
    assert rankings
    for verdict in rankings:
        assert not LOST & set(verdict.ours)
        assert BELOW in verdict.remark


def test_a_control_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"tables\.IV\.controls: 'unetpp' is no control"):
        load_config(overrides={"preset": "paper", "tables": {"IV": {"controls": ["unetpp"]}}})
