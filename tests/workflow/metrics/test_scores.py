"""Decision rules, micro-averages and AUC against scikit-learn and cases worked by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from tests.workflow.metrics.evaluation_cases import labels, settings
from workflow.metrics.scores import (
    DECISIONS,
    auc,
    decide,
    decision_parts,
    pooled_over_labels,
)

NAN = math.nan
# Eighths, because the sigmoid of a logit as small as 1e-30 rounds to one half.
logit = st.integers(-40, 40).map(lambda eighths: eighths / 8)
cases = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(logit, logit, logit), min_size=n, max_size=n).map(np.array),
        st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=n, max_size=n).map(np.array),
    )
)
decisions = st.sampled_from(DECISIONS)


def pooled(found, evaluation):
    """metric -> (share, n) over all labels and groups."""
    parts = {k: pooled_over_labels(p) for k, p in decision_parts(found, evaluation).items()}
    shares = {}
    for metric, (numerator, denominator, n, _) in parts.items():
        assert numerator.shape == denominator.shape == (len(found.images.groups), 1)
        assert n.shape == (1,)
        whole = denominator.sum()
        shares[metric] = (numerator.sum() / whole if whole else NAN, int(n[0]))
    return shares


# ---- decisions


def test_sigmoid_decides_each_label_by_itself():
    found = labels([[2, 1, -1], [-1, -2, -3]], np.zeros((2, 3)))
    assert decide(found, settings()).tolist() == [[True, True, False], [False] * 3]


def test_softmax_shares_one_probability_among_an_images_labels():
    found = labels([[2, 1, -1], [-1, -2, -3], [0, 0, 0]], np.zeros((3, 3)))
    # exp(2) / (exp(2) + exp(1) + exp(-1)) = .71; exp(0) / (1 + exp(-1) + exp(-2)) = .67; a third.
    expected = [[True, False, False], [True, False, False], [False] * 3]
    assert decide(found, settings(decision="softmax")).tolist() == expected


def test_argmax_calls_the_largest_whatever_its_probability_and_of_equal_ones_the_first():
    found = labels([[2, 3, -1], [-3, -2, -1], [0, 0, 0], [-1, 4, 4]], np.zeros((4, 3)))
    expected = [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    for threshold in (0.0, 0.5, 1.0):
        evaluation = settings(decision="argmax", threshold=threshold)
        assert decide(found, evaluation).astype(int).tolist() == expected


@hypothesis_settings(max_examples=40, deadline=None)
@given(cases, st.sampled_from([0.1, 0.5, 0.7]))
def test_softmax_is_torchs(case, threshold):
    logits, targets = case
    called = decide(labels(logits, targets), settings(decision="softmax", threshold=threshold))
    shares = torch.softmax(torch.tensor(logits), dim=1).numpy()
    sure = np.abs(shares - threshold) > 1e-9
    np.testing.assert_array_equal(called[sure], (shares > threshold)[sure])
    if threshold == 0.5:
        assert (called.sum(axis=1) <= 1).all()


@pytest.mark.parametrize("decision", ["sigmoid", "softmax"])
def test_decisions_survive_extreme_logits(decision):
    found = labels([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], np.zeros((2, 3)))
    with np.errstate(over="raise", invalid="raise"):
        called = decide(found, settings(decision=decision))
    assert called.tolist() == [[True, False, False], [False] * 3]


def test_a_probability_at_the_threshold_is_not_above_it():
    assert decide(labels([[0, 1e-3]], [[0, 0]]), settings()).tolist() == [[False, True]]
    # sigmoid(log 4) = 0.8
    found = labels([[math.log(4) - 1e-3, math.log(4) + 1e-3]], [[0, 0]])
    assert decide(found, settings(threshold=0.8)).tolist() == [[False, True]]
    half = labels([[1, 1], [1, 1.001]], np.zeros((2, 2)))
    assert decide(half, settings(decision="softmax")).tolist() == [[False] * 2, [False, True]]


# ---- accuracy, sensitivity, specificity


@hypothesis_settings(max_examples=60, deadline=None)
@given(cases, decisions)
def test_micro_averages_are_scikit_learns_over_pooled_decisions(case, decision):
    found, evaluation = labels(*case), settings(decision=decision)
    called, true = decide(found, evaluation).ravel(), case[1].ravel() == 1
    positive, negative = int(true.sum()), int((~true).sum())
    sensitivity = recall_score(true, called) if positive else NAN
    specificity = recall_score(~true, ~called) if negative else NAN
    assert pooled(found, evaluation) == {
        "acc": (pytest.approx(accuracy_score(true, called)), len(true)),
        "sen": (pytest.approx(sensitivity, nan_ok=True), positive),
        "spe": (pytest.approx(specificity, nan_ok=True), negative),
    }


@hypothesis_settings(max_examples=60, deadline=None)
@given(cases, decisions)
def test_each_label_by_itself_is_scikit_learns(case, decision):
    found, evaluation = labels(*case), settings(decision=decision)
    called, true = decide(found, evaluation), case[1] == 1
    parts = decision_parts(found, evaluation)
    for k in range(3):
        column, truth = called[:, k], true[:, k]
        for metric, expected, n in (
            ("acc", accuracy_score(truth, column), len(truth)),
            ("sen", recall_score(truth, column, zero_division=0), truth.sum()),
            ("spe", recall_score(~truth, ~column, zero_division=0), (~truth).sum()),
        ):
            numerator, denominator = (part[:, k].sum() for part in parts[metric][:2])
            assert denominator == parts[metric].n[k] == n
            assert numerator == pytest.approx(expected * n)


@hypothesis_settings(max_examples=60, deadline=None)
@given(cases, decisions)
def test_accuracy_is_the_mix_of_sensitivity_and_specificity(case, decision):
    """Acc = p Sen + (1 - p) Spe, by which the paper's own rows can be checked."""
    found = pooled(labels(*case), settings(decision=decision))
    share = case[1].mean()
    if 0 < share < 1:
        mixed = share * found["sen"][0] + (1 - share) * found["spe"][0]
        assert found["acc"][0] == pytest.approx(mixed)


def test_decisions_by_hand_in_two_volumes():
    #                 l0 l1        l0  l1       l0  l1
    found = labels([[1, -1], [1, 1], [-1, -1]], [[1, 1], [0, 1], [0, 0]], ["a", "b", "a"])
    parts = decision_parts(found, settings())
    expected = {  # rows: volumes a and b; columns: labels
        "acc": ([[2, 1], [0, 1]], [[2, 2], [1, 1]], [3, 3]),
        "sen": ([[1, 0], [0, 1]], [[1, 1], [0, 1]], [1, 2]),
        "spe": ([[1, 1], [0, 0]], [[1, 1], [1, 0]], [2, 1]),
    }
    for metric, (numerator, denominator, n) in expected.items():
        assert parts[metric].numerator.tolist() == numerator, metric
        assert parts[metric].denominator.tolist() == denominator, metric
        assert parts[metric].n.tolist() == n, metric
        assert parts[metric].groups == ("a", "b")
        micro = pooled_over_labels(parts[metric])
        assert micro.numerator.tolist() == [[sum(row)] for row in numerator]
        assert micro.denominator.tolist() == [[sum(row)] for row in denominator]
        assert micro.n.tolist() == [sum(n)]
        assert micro.groups == ("a", "b")


def test_a_missing_kind_of_label_has_no_value():
    for target, undefined, defined in ((0, "sen", "spe"), (1, "spe", "sen")):
        found = pooled(labels([[1, -1]], [[target] * 2]), settings())
        assert found[undefined] == (pytest.approx(NAN, nan_ok=True), 0)
        assert found[defined] == (0.5, 2)
        assert found["acc"] == (0.5, 2)


# ---- AUC


def by_scikit_learn(scores, targets):
    both = 0 < targets.sum() < len(targets)
    return roc_auc_score(targets, scores) if both else NAN


@hypothesis_settings(max_examples=80, deadline=None)
@given(cases)
def test_auc_is_scikit_learns_label_by_label(case):
    logits, targets = case
    found = auc(labels(logits, targets), settings())
    expected = [by_scikit_learn(logits[:, k], targets[:, k]) for k in range(3)]
    assert found.tolist() == pytest.approx(expected, nan_ok=True)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["softmax", "argmax"]))
def test_auc_of_shares_ranks_images_by_the_softmax(seed, decision):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(random.integers(1, 12), 3))
    targets = random.integers(0, 2, logits.shape)
    shares = torch.softmax(torch.tensor(logits), dim=1).numpy()
    found = auc(labels(logits, targets), settings(decision=decision))
    expected = [by_scikit_learn(shares[:, k], targets[:, k]) for k in range(3)]
    assert found.tolist() == pytest.approx(expected, nan_ok=True)


def test_softmax_ranks_images_otherwise_than_sigmoid():
    # The second image's logits are higher, but its first label has the smaller share.
    found = labels([[1, 0], [2, 3]], [[1, 0], [0, 1]])
    assert auc(found, settings()).tolist() == [0, 1]
    assert auc(found, settings(decision="softmax")).tolist() == [1, 1]
    assert auc(found, settings(decision="argmax")).tolist() == [1, 1]


def test_auc_by_hand():
    #        present: 3, 1, 1; absent: 2, 1, 0 -> of 9 pairs 3 + (1 + .5) * 2 are right
    values = [[3], [1], [1], [2], [1], [0]]
    found = labels(values, [[1], [1], [1], [0], [0], [0]])
    assert auc(found, settings()).tolist() == [pytest.approx(6 / 9)]
    # All alike: nothing is ranked.
    assert auc(labels([[5]] * 4, [[1], [0], [0], [1]]), settings()).tolist() == [0.5]
    # The wrong way round, whatever the numbers of the two kinds.
    assert auc(labels([[1], [2], [3]], [[1], [0], [0]]), settings()).tolist() == [0]
    assert auc(labels([[1], [2], [3]], [[0], [1], [1]]), settings()).tolist() == [1]


def test_auc_of_extreme_logits():
    found = labels([[1e4, -1e4], [1e4 + 8, 1e4], [-1e4, 0]], [[0, 0], [1, 1], [0, 1]])
    with np.errstate(over="raise", invalid="raise"):
        assert auc(found, settings()).tolist() == [1, 1]
        # The second image's first label has a share of 1 - exp(-8), the first image's of 1.
        assert auc(found, settings(decision="softmax")).tolist() == [0.5, 1]


def test_auc_needs_both_kinds_of_image():
    found = auc(labels([[1, 1, 1], [2, 2, 2]], [[0, 1, 0], [0, 1, 1]]), settings())
    assert found.tolist() == [pytest.approx(NAN, nan_ok=True)] * 2 + [1]


@pytest.mark.parametrize("decision", ["softmax", "argmax"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_shares_are_ties_whatever_arithmetic_makes_of_them(decision, kind):
    """Logits that are shifted as a whole have the same shares, so no image comes before another."""
    shifts = np.linspace(-9, 9, 40)[:, None].astype(kind)
    logits = (np.array([[1.1, 0.3, -2.7]], dtype=kind) + shifts).astype(np.float64)
    targets = np.arange(40)[:, None] % 2 == [[1, 0, 1]]
    found = auc(labels(logits, targets), settings(decision=decision))
    assert found.tolist() == [0.5, 0.5, 0.5]


def test_shares_close_to_one_keep_their_order():
    """Where 1 - share is less than a float can tell from 1, its log odds still differ."""
    logits = np.array([[40.0, 0.0], [50.0, 0.0], [60.0, 0.0], [70.0, 0.0]])
    targets = np.array([[0, 1], [0, 1], [1, 0], [1, 0]], dtype=bool)
    assert auc(labels(logits, targets), settings(decision="softmax")).tolist() == [1, 1]
