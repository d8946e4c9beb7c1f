"""The metrics of one run, and the sums that their intervals are computed from."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score, roc_auc_score

from tests.workflow.metrics.evaluation_cases import counted, labels, pixels, random_masks, settings
from workflow.metrics.calibration import expected_calibration_error
from workflow.metrics.counts import jaccard_where_present, pixel_counts
from workflow.metrics.metrics import metrics, ratios
from workflow.metrics.rules import RULES
from workflow.metrics.saved import Counts
from workflow.metrics.scores import DECISIONS

NAN = math.nan
GROUPS = list("aabbbcc")


def random_counts(seed, groups=GROUPS):
    """Both tasks, three classes each, as a file holds them."""
    random = np.random.default_rng(seed)
    logits, targets = random.normal(0, 2, (7, 3)), random.integers(0, 2, (7, 3))
    masks = random_masks(seed, count=7)
    return Counts(counted(*masks, groups=groups), labels(logits, targets, groups))


# ---- one seed


def test_metrics_of_each_task():
    both = random_counts(0)
    assert list(metrics(both, settings())) == ["ji", "dsc", "acc", "sen", "spe", "auc", "ece"]
    assert list(metrics(Counts(both.pixels, None), settings())) == ["ji", "dsc"]
    only_labels = metrics(Counts(None, both.labels), settings())
    assert list(only_labels) == ["acc", "sen", "spe", "auc", "ece"]
    assert metrics(Counts(None, None), settings()) == {}
    assert set(metrics(both, settings(rule="per_volume"))) > {"ji", "dsc", "avd"}
    assert set(metrics(both, settings(rule="challenge"))) > {"ji", "dsc", "ji_65"}


#                 TP FP FN TN
THREE_CLASSES = [
    [[6, 2, 2, 0], [0, 5, 0, 5], [0, 4, 0, 6]],
    [[1, 0, 3, 6], [0, 0, 0, 10], [0, 0, 0, 10]],
    [[0, 9, 0, 1], [9, 1, 0, 0], [0, 1, 0, 9]],
]


def test_the_rule_is_the_configured_one():
    found = Counts(pixels(THREE_CLASSES), None)
    per_image = 100 * ((0.6 + 0.25) / 2 + 0.9) / 2
    assert metrics(found, settings())["ji"] == (pytest.approx(per_image), 3)
    pooled = 100 * (7 / 23 + 9 / 15) / 2
    assert metrics(found, settings(rule="pooled"))["ji"] == (pytest.approx(pooled), 6)


def test_classification_by_hand():
    logits = [[2, -1, 1], [-3, 1, -1], [4, 2, -2], [-1, -2, -4]]
    targets = [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
    found = metrics(Counts(None, labels(logits, targets)), settings())
    # Called 101, 010, 110, 000, where 110, 010, 000, 100 is right.
    assert found["acc"] == (pytest.approx(100 * 7 / 12), 12)
    assert found["sen"] == (50, 4)
    assert found["spe"] == (62.5, 8)
    # Present 2, -1 against absent -3, 4: 2 of 4 pairs; -1, 1 against 2, -2: 2 of 4; no third.
    assert found["auc"] == (50, 8)
    # The largest of each: 100, 010, 100, 100.
    found = metrics(Counts(None, labels(logits, targets)), settings(decision="argmax"))
    assert found["acc"] == (pytest.approx(100 * 10 / 12), 12)
    assert found["sen"] == (75, 4)
    assert found["spe"] == (87.5, 8)


def test_micro_averages_pool_labels_where_auc_and_ece_average_them():
    counts = random_counts(11)
    found = metrics(counts, settings())
    called, target = counts.labels.logit > 0, counts.labels.target
    assert found["sen"][0] == pytest.approx(100 * recall_score(target, called, average="micro"))
    auc = [roc_auc_score(t, x) for t, x in zip(target.T, counts.labels.logit.T, strict=True)]
    assert found["auc"] == (pytest.approx(100 * np.mean(auc)), 21)
    error = 100 * expected_calibration_error(counts.labels).mean()
    assert found["ece"] == (pytest.approx(error), 21)


def test_an_undefined_metric_is_not_a_number_and_rests_on_nothing():
    empty = np.zeros((2, 3, 3), int)
    counts = Counts(counted(empty, empty), labels(np.ones((2, 3)), np.zeros((2, 3))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics(counts, settings())
    for metric in ("ji", "dsc", "sen", "auc"):
        value, n = found[metric]
        assert math.isnan(value), metric
        assert n == 0, metric
        assert (type(value), type(n)) == (float, int)
    assert found["acc"] == (0, 6)
    assert found["spe"] == (0, 6)


def test_a_label_of_one_kind_is_left_out_of_the_auc():
    found = labels([[1, 1], [2, 2], [3, 3]], [[0, 0], [0, 1], [0, 0]])
    assert metrics(Counts(None, found), settings())["auc"] == (50, 3)


def test_distances_are_means_in_pixels_over_images_then_classes():
    hd95 = [[3, NAN, NAN], [5, NAN, NAN], [NAN, 10, NAN]]
    asd = [[1, NAN, NAN], [2, NAN, NAN], [NAN, 4, NAN]]
    found = metrics(Counts(pixels(THREE_CLASSES, hd95=hd95, asd=asd), None), settings())
    assert list(found) == ["ji", "dsc", "hd95", "asd"]
    assert found["hd95"] == ((4 + 10) / 2, 3)
    assert found["asd"] == ((1.5 + 4) / 2, 3)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_training_and_evaluation_compute_the_same_jaccard(seed):
    import torch

    both = random_masks(seed)
    counts = pixel_counts(*(torch.as_tensor(mask) for mask in both), 3)
    value, _ = metrics(Counts(counted(*both), None), settings())["ji"]
    assert value / 100 == pytest.approx(jaccard_where_present(counts).item(), nan_ok=True)


# ---- sums for intervals


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=4, unique=True),
    st.sampled_from(RULES),
    st.sampled_from(DECISIONS),
    st.booleans(),
)
def test_ratios_give_each_seeds_metrics_exactly(seeds, rule, decision, by_volume):
    evaluation = settings(rule=rule, decision=decision)
    groups = GROUPS if by_volume else None
    runs = {seed: random_counts(seed, groups) for seed in seeds}
    found = ratios(runs, evaluation)
    # Images that stand for themselves make a volume each.
    expected_groups = ("a", "b", "c") if by_volume else tuple(f"i{k}" for k in range(7))
    extra = {"per_volume": {"avd"}, "challenge": {"ji_65"}}.get(rule, set())
    assert set(found) == {"ji", "dsc", "acc", "sen", "spe"} | extra
    for metric, of_metric in found.items():
        expected = [metrics(counts, evaluation)[metric][0] for counts in runs.values()]
        np.testing.assert_array_equal(of_metric.values(), expected)
        assert of_metric.seeds == tuple(seeds)
        assert of_metric.groups == expected_groups
        classes = 1 if metric in ("acc", "sen", "spe") else 3
        shape = (len(seeds), len(expected_groups), classes)
        assert of_metric.numerator.shape == of_metric.denominator.shape == shape


def test_ratios_by_hand():
    found = ratios({4: Counts(pixels(THREE_CLASSES, groups=["v", "v", "w"]), None)}, settings())
    assert set(found) == {"ji", "dsc"}
    np.testing.assert_allclose(found["ji"].numerator, [[[0.85, 0, 0], [0, 0.9, 0]]])
    np.testing.assert_array_equal(found["ji"].denominator, [[[2, 0, 0], [0, 1, 0]]])
    assert found["ji"].seeds == (4,)
    assert found["ji"].groups == ("v", "w")
    np.testing.assert_allclose(found["dsc"].numerator, [[[1.15, 0, 0], [0, 18 / 19, 0]]])
