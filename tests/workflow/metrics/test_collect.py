"""What the tables read of many runs' files: metrics, sums for intervals, classes, conventions."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.workflow.metrics.evaluation_cases import FLUIDS, counted, labels, pixels, random_masks
from workflow.base.errors import DataError
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.load import load_config
from workflow.metrics.calibration import calibration, reliability
from workflow.metrics.counts_file import (
    classification_rows,
    segmentation_rows,
    write_counts_file,
)
from workflow.metrics.metrics import (
    alternative_rules,
    collect,
    collect_ratios,
    metrics,
    per_class,
)
from workflow.metrics.rules import RULES
from workflow.metrics.saved import Counts, read_runs
from workflow.metrics.scores import DECISIONS

NAN = math.nan
GROUPS = list("aabbbcc")
BOTH = Run("retouch_topcon", "resformer_par")
MASKS = Run("retouch_topcon", "unetpp")
LABELS = Run("isic2017", "efficientnet")
NEVER = Run("isic2017", "vit")
RUNS = [BOTH, MASKS, LABELS, NEVER]
IDS = [f"{volume}-{i}" for i, volume in enumerate(GROUPS)]
NAMES = ("l0", "l1", "l2")


def save(config, run, seed, *, distances=None):
    """A run's counts, as evaluation saves them; the same reference for every run and seed."""
    random = np.random.default_rng([seed, len(run.method)])
    truth = random_masks(5, count=7)[1]
    found = np.where(random.random(truth.shape) < 0.7, truth, random.integers(0, 4, truth.shape))
    targets = np.random.default_rng(6).integers(0, 2, (7, 3)).astype(np.uint8)
    logits = random.normal(0, 2, (7, 3)).astype(np.float32)
    tables = []
    if run != LABELS:
        counts = counted(found, truth)
        stacked = np.stack([counts.tp, counts.fp, counts.fn, counts.tn], axis=-1).astype(int)
        tables.append(segmentation_rows(IDS, GROUPS, FLUIDS, stacked, distances))
    if run != MASKS:
        tables.append(classification_rows(IDS, GROUPS, NAMES, targets, logits))
    file = paths.evaluation(config, *run, seed) / "counts.parquet"
    write_counts_file(file, tables)
    return file


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Counts of three runs and two seeds, one of them missing, in a folder of their own."""
    config = load_config(overrides={"preset": "paper", "seeds": [0, 1]})
    monkeypatch.chdir(tmp_path)
    for run, seed in ((BOTH, 0), (BOTH, 1), (MASKS, 1), (LABELS, 0), (LABELS, 1)):
        save(config, run, seed)
    return config


def with_evaluation(config, **changes):
    evaluation = config.evaluation.model_copy(update=changes)
    return config.model_copy(update={"evaluation": evaluation})


def by_key(table, *keys):
    """The rest of each row under its first columns, checked to be unique."""
    rows = {tuple(row[: len(keys)]): tuple(row[len(keys) :]) for row in table.to_numpy().tolist()}
    assert len(rows) == len(table)
    assert table.columns.tolist()[: len(keys)] == list(keys)
    return rows


PIXEL_METRICS, LABEL_METRICS = ("ji", "dsc"), ("acc", "sen", "spe", "auc", "ece")


def test_collect_has_a_row_per_run_seed_and_metric(config):
    table = collect(config, RUNS)
    assert table.columns.tolist() == ["dataset", "method", "seed", "metric", "value", "n"]
    expected = [
        (*run, seed, metric)
        for run, seeds, names in (
            (BOTH, (0, 1), PIXEL_METRICS + LABEL_METRICS),
            (MASKS, (1,), PIXEL_METRICS),
            (LABELS, (0, 1), LABEL_METRICS),
        )
        for seed in seeds
        for metric in names
    ]
    rows = by_key(table, "dataset", "method", "seed", "metric")
    assert list(rows) == expected
    for run, seeds in read_runs(config, RUNS):
        for seed, counts in seeds.items():
            for metric, found in metrics(counts, config.evaluation).items():
                assert rows[*run, seed, metric] == found


def test_collect_of_nothing_has_its_columns(config):
    for runs in ([], [NEVER]):
        table = collect(config, runs)
        assert table.empty
        assert table.columns.tolist() == ["dataset", "method", "seed", "metric", "value", "n"]


def test_collect_ratios_gives_what_collect_gives(config):
    for rule in RULES:
        changed = with_evaluation(config, rule=rule)
        found = collect_ratios(changed, RUNS)
        assert list(found) == [BOTH, MASKS, LABELS]
        rows = by_key(collect(changed, RUNS), "dataset", "method", "seed", "metric")
        without = {key for key in rows if key[3] not in ("auc", "ece")}
        values = {
            (*run, seed, metric): value
            for run, of_run in found.items()
            for metric, of_metric in of_run.items()
            for seed, value in zip(of_metric.seeds, of_metric.values().tolist(), strict=True)
        }
        assert values.keys() == without
        for key, value in values.items():
            assert value == pytest.approx(rows[key][0], rel=0, abs=0, nan_ok=True)
    assert found[BOTH]["ji"].groups == found[MASKS]["ji"].groups == ("a", "b", "c")
    assert found[MASKS]["ji"].seeds == (1,)


def test_runs_of_other_groups_are_refused_by_name(config):
    file = paths.evaluation(config, *MASKS, 1) / "counts.parquet"
    counts = np.ones((7, 3, 4), int)
    write_counts_file(file, [segmentation_rows(IDS, list("aabbccc"), FLUIDS, counts)])
    for read in (collect, collect_ratios, per_class, alternative_rules, calibration):
        with pytest.raises(DataError, match="unetpp on retouch_topcon, seed 1"):
            read(config, RUNS)


def test_duplicates_are_left_out_of_every_number(config):
    write_json(paths.gates(config, "isic2017"), {"dropped": IDS[:2]})
    dropping = with_evaluation(config, drop_duplicates=True)
    rows = by_key(collect(dropping, [LABELS]), "dataset", "method", "seed", "metric")
    assert rows[*LABELS, 0, "acc"][1] == 15
    assert collect_ratios(dropping, [LABELS])[LABELS]["acc"].groups == ("b", "c")


# ---- classes


def test_each_class_by_itself(config):
    table = per_class(config, RUNS)
    assert table.columns.tolist() == [
        *("dataset", "method", "seed", "metric", "class", "value", "n"),
    ]
    rows = by_key(table, "dataset", "method", "seed", "metric", "class")
    expected = {
        (*run, seed, metric, name)
        for run, seeds in read_runs(config, RUNS)
        for seed in seeds
        for names, metric_names, has in (
            (FLUIDS, PIXEL_METRICS, run != LABELS),
            (NAMES, LABEL_METRICS, run != MASKS),
        )
        if has
        for metric in metric_names
        for name in names
    }
    assert rows.keys() == expected
    ((_, seeds),) = read_runs(config, [BOTH])
    for seed, (found, said) in seeds.items():
        for c, name in enumerate(FLUIDS):
            one = pixels(
                np.stack([x[:, [c]] for x in (found.tp, found.fp, found.fn, found.tn)], axis=-1),
                [name],
            )
            alone = metrics(Counts(one, None), config.evaluation)
            for metric in PIXEL_METRICS:
                value, n = alone[metric]
                assert rows[*BOTH, seed, metric, name] == (pytest.approx(value, nan_ok=True), n)
        for c, name in enumerate(NAMES):
            alone = metrics(
                Counts(None, labels(said.logit[:, [c]], said.target[:, [c]])), config.evaluation
            )
            for metric in LABEL_METRICS:
                value, n = alone[metric]
                assert rows[*BOTH, seed, metric, name] == (pytest.approx(value, nan_ok=True), n)


def test_per_class_follows_the_rule(config):
    names = {
        rule: set(per_class(with_evaluation(config, rule=rule), [MASKS])["metric"])
        for rule in RULES
    }
    assert names["per_volume"] == {"ji", "dsc", "avd"}
    assert names["challenge"] == {"ji", "dsc", "ji_65"}
    assert names["pooled"] == {"ji", "dsc"}


def test_distances_of_each_class(config):
    distances = np.full((7, 3, 2), np.nan, np.float32)
    distances[0, 0], distances[3, 0], distances[3, 2] = (4, 1), (8, 2), (2.5, 0.5)
    save(config, MASKS, 1, distances=distances)
    rows = by_key(per_class(config, [MASKS]), "dataset", "method", "seed", "metric", "class")
    found = {key[3:]: value for key, value in rows.items() if key[3] in ("hd95", "asd")}
    assert found == {
        ("hd95", "irf"): (6, 2),
        ("hd95", "srf"): (pytest.approx(NAN, nan_ok=True), 0),
        ("hd95", "ped"): (2.5, 1),
        ("asd", "irf"): (1.5, 2),
        ("asd", "srf"): (pytest.approx(NAN, nan_ok=True), 0),
        ("asd", "ped"): (0.5, 1),
    }
    total = by_key(collect(config, [MASKS]), "dataset", "method", "seed", "metric")
    assert total[*MASKS, 1, "hd95"] == (4.25, 3)
    assert total[*MASKS, 1, "asd"] == (1, 3)
    assert set(collect_ratios(config, [MASKS])[MASKS]) == {"ji", "dsc"}


# ---- other conventions


def test_every_rule_and_decision_is_what_configuring_it_gives(config):
    table = alternative_rules(config, RUNS)
    assert table.columns.tolist() == [
        *("dataset", "method", "seed", "rule", "metric", "value", "n"),
    ]
    rows = by_key(table, "dataset", "method", "seed", "rule", "metric")
    expected = {}
    for key, names in (("rule", RULES), ("decision", DECISIONS)):
        for name in names:
            found = collect(with_evaluation(config, **{key: name}), RUNS)
            for *place, metric, value, n in found.to_numpy().tolist():
                of_labels = metric in LABEL_METRICS
                if metric != "ece" and of_labels == (key == "decision"):
                    expected[*place, name, metric] = (pytest.approx(value, nan_ok=True), n)
    assert rows == expected
    assert rows[*MASKS, 1, "pooled", "ji"] != rows[*MASKS, 1, "per_image", "ji"]
    assert rows[*LABELS, 0, "argmax", "acc"] != rows[*LABELS, 0, "sigmoid", "acc"]


def test_alternatives_keep_the_configured_threshold(config):
    strict = with_evaluation(config, threshold=0.9)
    rows = by_key(
        alternative_rules(strict, [LABELS]), "dataset", "method", "seed", "rule", "metric"
    )
    found = by_key(collect(strict, [LABELS]), "dataset", "method", "seed", "metric")
    assert rows[*LABELS, 0, "sigmoid", "acc"] == found[*LABELS, 0, "acc"]


# ---- calibration


def test_reliability_of_every_run_that_classifies(config):
    table = calibration(config, RUNS)
    assert table.columns.tolist() == [
        *("dataset", "method", "seed", "class", "low", "high", "images"),
        *("probability", "frequency"),
    ]
    assert len(table) == 2 * 2 * 3 * 10
    ((_, seeds),) = read_runs(config, [LABELS])
    expected = reliability(seeds[1].labels)
    for c, name in enumerate(NAMES):
        of_label = table[
            (table["method"] == LABELS.method) & (table["seed"] == 1) & (table["class"] == name)
        ]
        assert of_label["dataset"].unique().tolist() == ["isic2017"]
        assert of_label["low"].tolist() == pytest.approx([k / 10 for k in range(10)])
        assert of_label["high"].tolist() == pytest.approx([k / 10 for k in range(1, 11)])
        for values, column in zip(expected, ("images", "probability", "frequency"), strict=True):
            assert of_label[column].tolist() == pytest.approx(values[:, c].tolist(), nan_ok=True)
    assert calibration(config, [MASKS]).empty


def test_the_tables_hold_plain_numbers(config):
    for table in (collect(config, RUNS), per_class(config, RUNS), alternative_rules(config, RUNS)):
        assert table["value"].dtype == np.float64
        assert pd.api.types.is_integer_dtype(table["n"])
        assert pd.api.types.is_integer_dtype(table["seed"])
