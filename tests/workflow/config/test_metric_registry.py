"""The registry of metrics: what each entry promises is what is computed, allowed and refused."""

import numpy as np
import pytest

from tests.workflow.config.config_changes import changed
from tests.workflow.metrics.evaluation_cases import labels, pixels, settings
from workflow.base.errors import ConfigError
from workflow.config.metrics import (
    FACTS,
    LEADING,
    METRIC_TASK,
    METRICS,
    columns_of,
    sign,
    title_of,
)
from workflow.metrics.metrics import metrics, ratios
from workflow.metrics.saved import Counts
from workflow.running.fingerprint import closure

COUNTS = np.array([[[5, 1, 2, 8]], [[3, 3, 0, 10]]])


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


def scored():
    """Counts of both tasks, with distances."""
    found = pixels(COUNTS, ["lesion"], hd95=[[3], [5]], asd=[[1], [2]])
    return Counts(found, labels([[1, -1], [-2, 2], [3, 1]], [[1, 0], [0, 1], [1, 1]]))


def test_every_metric_is_computed_and_tested_only_where_it_is_a_ratio_of_sums():
    found = metrics(scored(), settings(), also=METRICS)
    assert set(found) == set(METRICS)
    assert all(np.isfinite(value) for value, _ in found.values())
    tested = {name for name, metric in METRICS.items() if metric.tested}
    assert set(ratios({0: scored()}, settings(), also=METRICS)) == tested


def test_what_no_rule_brings_is_there_where_it_is_asked_for_and_does_not_depend_on_the_rule():
    assert not {"avd", "ji_65"} & set(metrics(scored(), settings()))
    for metric, rule in (("avd", "per_volume"), ("ji_65", "challenge")):
        asked = metrics(scored(), settings(), also=[metric])[metric]
        assert METRICS[metric].rule == rule
        assert asked == metrics(scored(), settings(rule=rule))[metric]


def test_kinds_of_tables_have_the_columns_they_had_and_one_has_all():
    assert columns_of("results") == ("ji", "dsc", "acc", "sen", "spe") == tuple(METRIC_TASK)
    assert columns_of("rules") == (*METRIC_TASK, "auc")
    assert columns_of("metrics") == columns_of("classes") == tuple(METRICS)
    assert columns_of("efficiency") == tuple(FACTS)
    assert columns_of("datasets") == ()


def test_the_smallest_is_best_of_distances_errors_and_costs():
    smallest = {name for name in (*METRICS, *FACTS) if sign(name) < 0}
    assert smallest == {*("hd95", "asd", "avd", "ece"), *set(FACTS) - {"images_per_second"}}
    assert {METRICS[name].unit for name in ("hd95", "asd")} == {"px"}
    assert title_of("ece") == "ECE"
    assert title_of("hours") == "Hours"
    assert all(METRICS[name].task == task for task, name in LEADING.items())


def test_a_distance_that_is_not_measured_is_refused_until_it_is():
    tables = {"tables": {"boundary": {"enabled": True}}}
    with pytest.raises(ConfigError) as caught:
        changed(tables)
    assert (
        "tables.boundary.columns.0.metrics.0: found 'hd95', which is measured only with "
        "evaluation.boundary: true; set it, or leave the column out" in str(caught.value)
    )
    assert changed({**tables, "evaluation": {"boundary": True}}).tables["boundary"].enabled


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    columns = [{"title": "x", "dataset": "isic2017", "metrics": ["ppv"]}]
    with pytest.raises(ConfigError, match=r"found 'ppv'; Input should be 'ji', 'dsc', .*'hd95'"):
        changed({"tables": {"further": {"columns": columns}}})


def test_the_registry_decides_tables_and_no_run():
    registry = "workflow.config.metrics"
    assert registry in closure("workflow.tables.make")
    assert registry in closure("workflow.report.make")
    assert registry not in closure("workflow.training.train")
    assert registry not in closure("workflow.evaluation.evaluate")
