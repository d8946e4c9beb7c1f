"""Metrics against scikit-learn, hand-made cases and the identities that micro-averages obey."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from workflow import paths
from workflow.cells import Run
from workflow.config_sections import Evaluation
from workflow.evaluation.counts import jaccard_where_present, pixel_counts
from workflow.evaluation.evaluate import SCHEMA
from workflow.evaluation.metrics import (
    COLUMNS,
    classification_metrics,
    collect,
    decide,
    metrics,
    segmentation_metrics,
)

LESIONS = ("irf", "srf", "ped")
SIGMOID = Evaluation(batch_size=1, decision="sigmoid", threshold=0.5)
SOFTMAX = Evaluation(batch_size=1, decision="softmax", threshold=0.5)


def counted(predicted, reference, lesions=LESIONS):
    """The table that evaluation saves, of masks `[N, H, W]`."""
    counts = pixel_counts(torch.as_tensor(predicted), torch.as_tensor(reference), len(lesions))
    table = pd.DataFrame(counts.reshape(-1, 4).numpy(), columns=["tp", "fp", "fn", "tn"])
    table["id"] = np.repeat([f"i{k}" for k in range(len(predicted))], len(lesions))
    table["name"] = list(lesions) * len(predicted)
    return table.assign(task="segmentation", group="g")


def scored(logits, targets):
    """The table that evaluation saves, of `[N, n]` logits and labels."""
    logits, targets = np.asarray(logits, np.float32), np.asarray(targets, np.int8)
    images, labels = logits.shape
    return pd.DataFrame(
        {
            "id": np.repeat([f"i{k}" for k in range(images)], labels),
            "name": [f"l{k}" for k in range(labels)] * images,
            "target": targets.ravel(),
            "logit": logits.ravel(),
            "task": "classification",
            "group": "g",
        }
    )


def by_scikit_learn(predicted, reference, lesions=LESIONS):
    """(JI, DSC) by the paper's rule, and the number of pairs."""
    means, pairs = {"ji": [], "dsc": []}, 0
    for k in range(1, len(lesions) + 1):
        rows = [(r.ravel() == k, p.ravel() == k) for p, r in zip(predicted, reference, strict=True)]
        held = [row for row in rows if row[0].any()]
        pairs += len(held)
        if held:
            means["ji"].append(np.mean([jaccard_score(*row) for row in held]))
            means["dsc"].append(np.mean([f1_score(*row) for row in held]))
    return {m: 100 * np.mean(v) if v else math.nan for m, v in means.items()}, pairs


masks = st.integers(0, 10**6).map(
    lambda seed: np.random.default_rng(seed).choice(
        4, size=(2, 5, 4, 4), p=np.random.default_rng(seed + 1).dirichlet([1, 0.3, 0.3, 0.3])
    )
)


@settings(max_examples=60, deadline=None)
@given(masks)
def test_segmentation_is_scikit_learns_by_the_papers_rule(both):
    predicted, reference = both
    found = segmentation_metrics(counted(predicted, reference))
    expected, pairs = by_scikit_learn(predicted, reference)
    for metric in ("ji", "dsc"):
        value, n = found[metric]
        assert value == pytest.approx(expected[metric], nan_ok=True)
        assert n == pairs


@settings(max_examples=30, deadline=None)
@given(masks)
def test_training_and_evaluation_compute_the_same_jaccard(both):
    predicted, reference = (torch.as_tensor(m) for m in both)
    chosen_by = jaccard_where_present(pixel_counts(predicted, reference, 3)).item()
    value, _ = segmentation_metrics(counted(*both))["ji"]
    assert value / 100 == pytest.approx(chosen_by, nan_ok=True)


ADVERSARIAL = {  # predicted, reference on 2 x 2 pixels -> JI, DSC of one lesion, pairs
    "empty prediction": ([[0, 0, 0, 0]], [[1, 0, 0, 0]], 0, 0, 1),
    "empty reference is left out": ([[1, 1, 1, 1], [1, 0, 0, 0]], [[0] * 4, [1, 0, 0, 0]], 1, 1, 1),
    "both empty is left out": ([[0] * 4, [1, 1, 0, 0]], [[0] * 4, [1, 0, 0, 0]], 1 / 2, 2 / 3, 1),
    "one pixel": ([[0, 0, 0, 1]], [[0, 0, 0, 1]], 1, 1, 1),
    "all pixels": ([[1, 1, 1, 1]], [[1, 1, 1, 1]], 1, 1, 1),
    "all where one is": ([[1, 1, 1, 1]], [[0, 1, 0, 0]], 1 / 4, 2 / 5, 1),
    "nothing to find": ([[1, 0, 0, 0]], [[0, 0, 0, 0]], math.nan, math.nan, 0),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_masks(name):
    predicted, reference, jaccard, dice, pairs = ADVERSARIAL[name]
    shape = (len(predicted), 2, 2)
    table = counted(np.reshape(predicted, shape), np.reshape(reference, shape), ["lesion"])
    found = segmentation_metrics(table)
    assert found["ji"] == (pytest.approx(100 * jaccard, nan_ok=True), pairs)
    assert found["dsc"] == (pytest.approx(100 * dice, nan_ok=True), pairs)


def test_the_papers_rule_by_hand():
    #                tp  fp  fn          JI    DSC
    rows = [
        ("a", "irf", 6, 2, 2),  #       .6    .75
        ("b", "irf", 1, 0, 3),  #       .25   .4
        ("c", "irf", 0, 9, 0),  #       not held
        ("a", "srf", 0, 5, 0),  #       not held
        ("b", "srf", 9, 1, 0),  #       .9    18/19
        ("c", "srf", 0, 0, 0),  #       not held
        ("a", "ped", 0, 4, 0),  #       held by no image: the class is left out
        ("b", "ped", 0, 0, 0),
        ("c", "ped", 0, 1, 0),
    ]
    table = pd.DataFrame(rows, columns=["id", "name", "tp", "fp", "fn"])
    found = segmentation_metrics(table)
    assert found["ji"] == (pytest.approx(100 * ((0.6 + 0.25) / 2 + 0.9) / 2), 3)
    assert found["dsc"] == (pytest.approx(100 * ((0.75 + 0.4) / 2 + 18 / 19) / 2), 3)
    # Pooled over all images and classes it would be another number.
    assert found["ji"][0] != pytest.approx(100 * 16 / (16 + 22 + 5))


def test_the_order_of_rows_does_not_matter():
    both = np.random.default_rng(0).integers(0, 4, (2, 5, 4, 4))
    table = counted(*both)
    shuffled = table.sample(frac=1, random_state=1)
    expected, found = segmentation_metrics(table), segmentation_metrics(shuffled)
    assert {k: pytest.approx(v) for k, v in expected.items()} == found


# ---- classification


# Eighths, because the sigmoid of a logit as small as 1e-30 rounds to one half.
logit = st.integers(-40, 40).map(lambda eighths: eighths / 8)
decisions = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(logit, logit, logit), min_size=n, max_size=n),
        st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=n, max_size=n),
    )
)


@settings(max_examples=80, deadline=None)
@given(decisions)
def test_classification_is_scikit_learns_over_pooled_decisions(case):
    logits, targets = (np.array(values) for values in case)
    found = classification_metrics(scored(logits, targets), SIGMOID)
    called, true = (logits > 0).ravel(), targets.ravel() == 1
    positive, negative = int(true.sum()), int((~true).sum())
    assert found["acc"] == (pytest.approx(100 * accuracy_score(true, called)), len(true))
    sensitivity = 100 * recall_score(true, called) if positive else math.nan
    specificity = 100 * recall_score(~true, ~called) if negative else math.nan
    assert found["sen"] == (pytest.approx(sensitivity, nan_ok=True), positive)
    assert found["spe"] == (pytest.approx(specificity, nan_ok=True), negative)


@settings(max_examples=60, deadline=None)
@given(decisions, st.sampled_from([SIGMOID, SOFTMAX]))
def test_accuracy_is_the_mix_of_sensitivity_and_specificity(case, evaluation):
    """Acc = p Sen + (1 - p) Spe, by which the paper's own rows can be checked."""
    logits, targets = (np.array(values) for values in case)
    found = classification_metrics(scored(logits, targets), evaluation)
    share = targets.mean()
    if 0 < share < 1:
        mixed = share * found["sen"][0] + (1 - share) * found["spe"][0]
        assert found["acc"][0] == pytest.approx(mixed)


def test_a_missing_kind_of_label_has_no_value():
    for target, undefined, defined in ((0, "sen", "spe"), (1, "spe", "sen")):
        found = classification_metrics(scored([[1.0, -1.0]], [[target] * 2]), SIGMOID)
        assert math.isnan(found[undefined][0])
        assert found[undefined][1] == 0
        assert found[defined] == (50.0, 2)
        assert found["acc"] == (50.0, 2)


def test_sigmoid_decides_each_label_by_itself():
    table = scored([[2.0, 1.0, -1.0], [-1.0, -2.0, -3.0]], np.zeros((2, 3)))
    assert decide(table, SIGMOID).tolist() == [True, True, False, False, False, False]


def test_softmax_shares_one_probability_among_an_images_labels():
    table = scored([[2.0, 1.0, -1.0], [-1.0, -2.0, -3.0], [0.0, 0.0, 0.0]], np.zeros((3, 3)))
    # exp(2) / (exp(2) + exp(1) + exp(-1)) = .71; exp(0) / (1 + exp(-1) + exp(-2)) = .67; a third.
    assert decide(table, SOFTMAX).tolist() == [True, False, False] * 2 + [False] * 3


@settings(max_examples=40, deadline=None)
@given(decisions)
def test_softmax_at_one_half_calls_at_most_one_label(case):
    logits = np.array(case[0], np.float32)
    called = decide(scored(logits, np.zeros_like(logits)), SOFTMAX).reshape(logits.shape)
    shares = torch.softmax(torch.tensor(logits, dtype=torch.float64), dim=1).numpy()
    np.testing.assert_array_equal(called, shares > 0.5)
    assert (called.sum(axis=1) <= 1).all()


@pytest.mark.parametrize("evaluation", [SIGMOID, SOFTMAX])
def test_decisions_survive_extreme_logits_and_any_order_of_rows(evaluation):
    table = scored([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], np.zeros((2, 3)))
    called = decide(table, evaluation)
    assert called.tolist() == [True] + [False] * 5
    shuffled = table.sample(frac=1, random_state=3)
    assert decide(shuffled, evaluation).tolist() == called[shuffled.index].tolist()


def test_a_probability_at_the_threshold_is_not_above_it():
    table = scored([[0.0, 1e-3]], [[0, 0]])
    assert decide(table, SIGMOID).tolist() == [False, True]
    # sigmoid(log 4) = 0.8
    table = scored([[math.log(4) - 1e-3, math.log(4) + 1e-3]], [[0, 0]])
    strict = SIGMOID.model_copy(update={"threshold": 0.8})
    assert decide(table, strict).tolist() == [False, True]


# ---- metrics and collect


def saved(*tables):
    """What counts.parquet holds of these tables, as evaluation writes and pandas reads it."""
    whole = pd.concat(tables, ignore_index=True)
    columns = {
        name: pa.array(
            whole[name] if name in whole else [None] * len(whole),
            SCHEMA.field(name).type,
            from_pandas=True,
        )
        for name in SCHEMA.names
    }
    return pa.table(columns, schema=SCHEMA)


def test_both_tasks_come_out_of_one_table_whose_other_columns_are_empty(tmp_path):
    both = np.random.default_rng(0).integers(0, 4, (2, 5, 4, 4))
    logits = np.random.default_rng(1).normal(size=(5, 3))
    targets = np.random.default_rng(2).integers(0, 2, (5, 3))
    pixels, labels = counted(*both), scored(logits, targets)
    pq.write_table(saved(pixels, labels), tmp_path / "counts.parquet")
    read = pd.read_parquet(tmp_path / "counts.parquet")
    assert read["logit"].isna().sum() == len(pixels)
    found = metrics(read, SIGMOID)
    assert found == {
        **{k: pytest.approx(v) for k, v in segmentation_metrics(pixels).items()},
        **classification_metrics(labels, SIGMOID),
    }
    assert list(found) == ["ji", "dsc", "acc", "sen", "spe"]


def test_a_task_without_rows_has_no_metric():
    both = np.random.default_rng(0).integers(0, 4, (2, 5, 4, 4))
    assert set(metrics(saved(counted(*both)).to_pandas(), SIGMOID)) == {"ji", "dsc"}
    labels = scored([[1.0]], [[1]])
    assert set(metrics(saved(labels).to_pandas(), SIGMOID)) == {"acc", "sen", "spe"}


def test_collect_reads_the_seeds_that_are_there(tiny_config):
    runs = [Run("isic2017", "efficientnet"), Run("isic2017", "unetpp")]
    labels = scored([[1.0, -1.0]], [[1, 1]])
    file = paths.evaluation(tiny_config, *runs[0], 1) / "counts.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(saved(labels), file)
    table = collect(tiny_config, runs)
    assert table.columns.tolist() == COLUMNS
    assert tiny_config.seeds == [0, 1]
    rows = {tuple(row[:4]): tuple(row[4:]) for row in table.itertuples(index=False)}
    assert set(rows) == {("isic2017", "efficientnet", 1, m) for m in ("acc", "sen", "spe")}
    assert rows["isic2017", "efficientnet", 1, "acc"] == (50.0, 2)
    assert collect(tiny_config, runs[1:]).columns.tolist() == COLUMNS
    assert collect(tiny_config, []).empty
