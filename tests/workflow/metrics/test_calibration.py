"""Reliability and expected calibration error against scikit-learn and cases worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from tests.workflow.metrics.evaluation_cases import labels
from workflow.metrics.calibration import BINS, EDGES, expected_calibration_error, reliability

NAN = math.nan


def of_probabilities(values, targets):
    """One label with given probabilities."""
    p = np.asarray(values, float)[:, None]
    found = labels(np.zeros_like(p), np.asarray(targets)[:, None])
    with np.errstate(divide="ignore"):
        return type(found)(found.images, found.target, np.log(p) - np.log1p(-p))


def random_case(seed):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (random.integers(1, 40), 3))
    return labels(logits, random.random(logits.shape) < 0.4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_bins_and_error_are_scikit_learns(seed):
    found = random_case(seed)
    images, probability, frequency = reliability(found)
    errors = expected_calibration_error(found)
    assert images.shape == probability.shape == frequency.shape == (BINS, 3)
    for k in range(3):
        p = 1 / (1 + np.exp(-found.logit[:, k]))
        share, mean = calibration_curve(found.target[:, k], p, n_bins=BINS)
        filled = images[:, k] > 0
        np.testing.assert_allclose(frequency[filled, k], share)
        np.testing.assert_allclose(probability[filled, k], mean)
        assert np.isnan(frequency[~filled, k]).all()
        assert np.isnan(probability[~filled, k]).all()
        assert images[:, k].tolist() == np.histogram(p, EDGES)[0].tolist()
        weights = images[filled, k] / len(p)
        assert errors[k] == pytest.approx(float((weights * np.abs(share - mean)).sum()))


def test_ten_bins_of_equal_width():
    assert BINS == 10
    assert EDGES.tolist() == pytest.approx([k / 10 for k in range(11)])


@pytest.mark.parametrize(
    ("probability", "place"),
    [(0, 0), (0.0999, 0), (0.1001, 1), (0.4999, 4), (0.5, 4), (0.5001, 5), (0.9001, 9), (1, 9)],
)
def test_a_probability_on_an_edge_is_in_the_lower_bin(probability, place):
    found = of_probabilities([probability], [1])
    assert reliability(found).images[:, 0].tolist() == [int(k == place) for k in range(10)]


def test_reliability_by_hand():
    found = of_probabilities([0.62, 0.68, 0.64, 0.03, 0.01, 0.97], [1, 0, 1, 0, 0, 1])
    images, probability, frequency = (values[:, 0] for values in reliability(found))
    assert images.tolist() == [2, 0, 0, 0, 0, 0, 3, 0, 0, 1]
    assert images.dtype == np.int64
    expected = [0.02, *[NAN] * 5, (0.62 + 0.68 + 0.64) / 3, NAN, NAN, 0.97]
    assert probability.tolist() == pytest.approx(expected, nan_ok=True)
    assert frequency.tolist() == pytest.approx([0, *[NAN] * 5, 2 / 3, NAN, NAN, 1], nan_ok=True)
    error = (2 * 0.02 + 3 * (2 / 3 - 1.94 / 3) + 0.03) / 6
    assert expected_calibration_error(found).tolist() == pytest.approx([error])


def test_labels_do_not_mix():
    found = labels([[4, -4], [4, -4]], [[1, 1], [1, 1]])
    p = 1 / (1 + math.exp(-4))
    assert expected_calibration_error(found).tolist() == pytest.approx([1 - p, p])
    assert reliability(found).images.T.tolist() == [[0] * 9 + [2], [2] + [0] * 9]


def test_the_surest_forecast_is_wrong_by_one_or_by_nothing():
    found = labels([[1e4, -1e4], [1e4, -1e4]], [[1, 1], [1, 1]])
    with np.errstate(over="raise", invalid="raise"):
        assert expected_calibration_error(found).tolist() == [0, 1]
