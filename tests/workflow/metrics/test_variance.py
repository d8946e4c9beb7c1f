"""The variance over seeds and groups, against brute force, statsmodels and the plain bootstrap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from tests.workflow.metrics.ratio_cases import made, noisy
from workflow.metrics.ratios import ratio_of_sums
from workflow.metrics.variance import Linear, leverage, linearise, spread

RANDOM = st.integers(0, 2**32 - 1)


def linear_of(ratios):
    return linearise(ratios.numerator, ratios.denominator)


def doubt_of(ratios):
    return spread(linear_of(ratios))


def mean_squares(values):
    """Variances of the mean by statsmodels: between groups, between seeds, of the rest."""
    seeds, groups = values.shape
    frame = pd.DataFrame(
        {
            "y": values.ravel(),
            "seed": np.repeat(np.arange(seeds), groups),
            "group": np.tile(np.arange(groups), seeds),
        }
    )
    table = anova_lm(ols("y ~ C(seed) + C(group)", frame).fit())
    squares = table["sum_sq"] / table["df"] / values.size
    return squares["C(group)"], squares["C(seed)"], squares["Residual"]


def covariance(weights):
    """Of the groups' parts, written out group by group: each varies by 1, its classes as one."""
    groups, classes = weights.shape
    held = weights.sum(axis=0)
    part = np.diag(weights.sum(axis=1))
    for g in range(groups):
        for h in range(groups):
            for c in range(classes):
                if held[c] > 0:
                    part[g, h] -= weights[g, c] * weights[h, c] / held[c]
    return part @ part.T


def test_two_groups_two_seeds_and_two_classes_by_hand():
    numerator = np.array([[[1.0, 2.0], [3.0, 0.0]], [[2.0, 1.0], [2.0, 3.0]]])
    denominator = np.array([[[2.0, 4.0], [6.0, 0.0]], [[4.0, 2.0], [4.0, 6.0]]])
    linear = linearise(numerator, denominator)
    # Seed 0: 4/8 and 2/4; seed 1: 4/8 and 4/8.
    np.testing.assert_allclose(linear.values, [50, 50])
    # Seed 0: (1 - 2/2) / 8 = 0 and (2 - 4/2) / 4 = 0. Seed 1: (2 - 4/2) / 8 = 0 and (1 - 1) / 8.
    np.testing.assert_allclose(linear.influence, np.zeros((2, 2)), atol=1e-12)
    # Half a class each: (2/8 + 4/8) / 2 over seeds, and (4/4 + 2/8) / 2.
    np.testing.assert_allclose(linear.weights, [[0.1875, 0.3125], [0.3125, 0.1875]])


def test_influence_by_hand():
    linear = linear_of(made([[[60.0, 10.0], [80.0, 40.0]]], [[1.0, 2.0], [3.0, 1.0]]))
    # 60/4 + 240/4 = 75 and (20 + 40) / 3 = 20.
    np.testing.assert_allclose(linear.values, [47.5])
    first = ((60 - 75) * 1 / 4 + (10 - 20) * 2 / 3) / 2
    np.testing.assert_allclose(linear.influence, [[first, -first]])
    np.testing.assert_allclose(linear.weights, [[1 / 8, 2 / 6], [3 / 8, 1 / 6]])


def test_a_class_without_denominator_is_left_out_of_its_seed():
    numerator = np.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 3.0]], np.zeros((2, 2))])
    denominator = np.array([[[2.0, 0.0], [2.0, 0.0]], [[2.0, 4.0], [2.0, 4.0]], np.zeros((2, 2))])
    linear = linearise(numerator, denominator)
    np.testing.assert_allclose(linear.values, [50, 50, np.nan])
    np.testing.assert_allclose(linear.influence, [[0, 0], [-12.5 / 2, 12.5 / 2], [0, 0]])
    # The mean over the two seeds that have a value: 1 and 1/2 for the first class.
    np.testing.assert_allclose(linear.weights, [[0.375, 0.125], [0.375, 0.125]])


def test_without_any_denominator_nothing_is_defined():
    linear = linearise(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))
    assert np.isnan(linear.values).all()
    assert not linear.influence.any()
    assert not linear.weights.any()
    assert not leverage(linear.weights)[2]


@settings(deadline=None)
@given(RANDOM, st.integers(1, 3), st.integers(2, 5), st.integers(1, 3))
def test_values_are_those_of_ratios_and_influence_is_their_slope(seed, seeds, groups, classes):
    rng = np.random.default_rng(seed)
    denominator = rng.integers(0, 5, (seeds, groups, classes)).astype(float)
    numerator = denominator * rng.random(denominator.shape)
    linear = linearise(numerator, denominator)
    expected = ratio_of_sums(numerator.sum(axis=1), denominator.sum(axis=1))
    np.testing.assert_allclose(linear.values, expected)
    np.testing.assert_allclose(linear.influence.sum(axis=-1), 0, atol=1e-9)
    if np.isfinite(linear.values).any():
        assert linear.weights.sum() == pytest.approx(1)
    step = 1e-6
    for g in range(groups):
        more = np.ones((groups, 1))
        more[g] += step
        moved = ratio_of_sums((numerator * more).sum(axis=1), (denominator * more).sum(axis=1))
        slope = np.nan_to_num((moved - expected) / step)
        np.testing.assert_allclose(linear.influence[:, g], slope, atol=1e-3)


@settings(deadline=None)
@given(RANDOM, st.integers(2, 6), st.integers(1, 4))
def test_leverage_is_that_of_the_working_model(seed, groups, classes):
    rng = np.random.default_rng(seed)
    weights = rng.random((groups, classes)) * (rng.random((groups, classes)) < 0.8)
    factor, degrees, comparable = leverage(weights)
    drawn = covariance(weights)
    own = weights.sum(axis=1) ** 2
    shown = np.diag(drawn) > 1e-9 * own
    np.testing.assert_allclose(factor[shown], own[shown] / np.diag(drawn)[shown], rtol=1e-6)
    assert not factor[~shown].any()
    assert comparable == ((shown | (own == 0)).all() and (own > 0).any())
    if comparable:
        scaled = drawn * np.sqrt(np.outer(factor, factor))
        # Without bias: the mean of the sum is the variance of the whole.
        assert np.trace(scaled) == pytest.approx(own.sum())
        expected = np.trace(scaled) ** 2 / np.trace(scaled @ scaled)
        assert degrees == pytest.approx(max(expected, 1), rel=1e-5)
    else:
        assert degrees == 1


@pytest.mark.parametrize("groups", [2, 4, 600])
@pytest.mark.parametrize("classes", [1, 3])
def test_equal_groups_have_the_factor_and_degrees_of_a_mean(groups, classes):
    factor, degrees, comparable = leverage(np.full((groups, classes), 1 / groups / classes))
    np.testing.assert_allclose(factor, groups / (groups - 1))
    assert degrees == pytest.approx(groups - 1)
    assert comparable


def test_two_unequal_groups_by_hand():
    # The first part is pq times the groups' difference, of variance 2 p²q².
    factor, degrees, comparable = leverage(np.array([[0.8], [0.2]]))
    np.testing.assert_allclose(factor, [0.64 / (2 * 0.16**2), 0.04 / (2 * 0.16**2)])
    assert degrees == pytest.approx(1)
    assert comparable


@pytest.mark.parametrize(
    ("weights", "comparable"),
    [
        ([[1.0]], False),
        ([[0.0], [1.0]], False),
        ([[0.5, 0.0], [0.0, 0.25], [0.0, 0.25]], False),  # alone in its class
        ([[0.5, 0.125], [0.0, 0.125], [0.0, 0.25]], True),  # alone in one class of two
        ([[0.0, 0.0], [0.5, 0.25], [0.0, 0.25]], True),
    ],
)
def test_a_group_must_share_a_class_to_be_comparable(weights, comparable):
    assert leverage(np.array(weights))[2] == comparable


def test_comparable_is_said_of_each_of_many():
    weights = np.array([[[1.0], [0.0]], [[0.5], [0.5]], [[0.0], [0.0]]])
    factor, degrees, comparable = leverage(weights)
    assert comparable.tolist() == [False, True, False]
    np.testing.assert_allclose(factor, [[0, 0], [2, 2], [0, 0]])
    np.testing.assert_allclose(degrees, 1)


def test_groups_without_weight_change_nothing():
    weights = np.array([[0.5, 0.1], [0.2, 0.05], [0.1, 0.05]])
    factor, degrees, comparable = leverage(np.insert(weights, 1, 0, axis=0))
    np.testing.assert_allclose(np.delete(factor, 1), leverage(weights)[0])
    assert factor[1] == 0
    assert degrees == pytest.approx(leverage(weights)[1])
    assert comparable


@settings(deadline=None, max_examples=40)
@given(
    RANDOM,
    st.integers(2, 6),
    st.integers(2, 6),
    st.tuples(*[st.sampled_from([0.3, 2.0, 9.0])] * 3),
)
def test_equal_groups_have_the_components_of_statsmodels(seed, seeds, groups, sd):
    ratios = noisy(seed, seeds, groups, sd=sd, images=7)
    a, b, e = mean_squares(ratios.numerator[..., 0] / ratios.denominator[..., 0] * 100)
    doubt = doubt_of(ratios)
    assert doubt.error**2 == pytest.approx(a + b - min(a, b, e))
    share, rest = a / (a + b), b / (a + b)
    of_a, of_b = 1 / (groups - 1), 1 / (seeds - 1)
    danger = share * rest * max(of_b - of_a, of_b / 2)
    assert doubt.degrees == pytest.approx(1 / (share**2 * of_a + rest**2 * of_b + danger))
    assert doubt.tail == pytest.approx(1 / (share * of_a + rest * of_b))
    assert doubt.comparable


def test_each_component_can_be_the_one_that_is_subtracted():
    counted = {"a": 0, "b": 0, "e": 0}
    for seed in range(12):
        for sd in ((0.1, 3, 3), (3, 0.1, 3), (3, 3, 1)):
            ratios = noisy(seed, sd=sd)
            a, b, e = mean_squares(ratios.numerator[..., 0] * 100)
            least = min(a, b, e)
            counted["a" if least == a else "b" if least == b else "e"] += 1
            assert doubt_of(ratios).error ** 2 == pytest.approx(a + b - least)
    assert min(counted.values()) > 2


def test_degrees_by_hand():
    # Seeds differ by 0 and 2, so B = 2 / 2; groups by 0 and 4, so A = 8 / 2; E = 0.
    two = doubt_of(made([[50.0, 54.0], [52.0, 56.0]]))
    assert two.error == pytest.approx(5**0.5)
    assert two.degrees == pytest.approx(1 / (0.64 + 0.04 + 0.16 * 0.5))
    assert two.tail == pytest.approx(1)
    # Nine groups: A = 4 * 1.125 / 9 = 0.5, B = 2 / 2 = 1, 8 degrees and 1.
    values = 50 + np.array([[0.0], [2.0]]) + np.array([0, 0, 0, 0, 2, 4, 4, 4, 4])
    variance = np.var([0, 0, 0, 0, 2, 4, 4, 4, 4], ddof=1) / 9
    share = variance / (1 + variance)
    many = doubt_of(made(values))
    assert many.error == pytest.approx((1 + variance) ** 0.5)
    danger = share * (1 - share) * (1 - 1 / 8)
    assert many.degrees == pytest.approx(1 / (share**2 / 8 + (1 - share) ** 2 + danger))
    assert many.tail == pytest.approx(1 / (share / 8 + (1 - share)))


def test_unequal_groups_are_weighted_and_corrected():
    images = np.array([8.0, 4.0, 2.0, 2.0])
    values = np.array([[50.0, 60, 70, 90], [54, 60, 66, 80], [46, 66, 70, 80]])
    doubt = doubt_of(made(values, images))
    weights = images / 16
    means = values @ weights
    parts = weights * (values - means[:, None])
    part = np.diag(weights) - np.outer(weights, weights)
    factor = weights**2 / np.diag(part @ part.T)
    a = (factor * parts.mean(axis=0) ** 2).sum()
    b = means.var(ddof=1) / 3
    e = (factor * (parts - parts.mean(axis=0)) ** 2).sum() / 6
    assert doubt.error**2 == pytest.approx(a + b - min(a, b, e))


def test_one_seed_leaves_groups_alone():
    doubt = doubt_of(made([[50.0, 60.0, 70.0]]))
    assert doubt.error == pytest.approx(10 / 3**0.5)
    assert doubt.degrees == pytest.approx(2)
    assert doubt.tail == pytest.approx(2)


@pytest.mark.parametrize("values", [[[50.0], [60.0], [70.0]], [[50.0, 1], [60.0, 1], [70.0, 1]]])
def test_one_group_leaves_seeds_alone(values):
    images = [1.0] if len(values[0]) == 1 else [1.0, 0.0]
    doubt = doubt_of(made(values, images))
    assert doubt.error == pytest.approx(10 / 3**0.5)
    assert doubt.degrees == pytest.approx(2)
    assert doubt.tail == pytest.approx(2)
    assert not doubt.comparable


def test_groups_that_cannot_all_be_compared_do_not_count():
    values = np.array([[[50.0, 10], [0, 20], [0, 90]], [[54, 10], [0, 20], [0, 90]]])
    doubt = doubt_of(made(values, [[1.0, 0], [0, 1], [0, 1]]))
    assert not doubt.comparable
    assert doubt.error == pytest.approx(1)  # half of seeds' 2 / 2**0.5 * 2**0.5
    assert doubt.degrees == pytest.approx(1)


def test_no_variation_is_no_error():
    doubt = doubt_of(made(np.full((5, 4), 70.1), [3.0, 7.0, 11.0, 1.0]))
    assert doubt.error == 0
    assert np.isfinite(doubt.degrees)
    tiny = spread(Linear(np.array([1.0, 1 + 1e-10]), np.zeros((2, 2)), np.full((2, 1), 0.5)))
    assert tiny.error == 0
    small = spread(Linear(np.array([1.0, 1 + 1e-8]), np.zeros((2, 2)), np.full((2, 1), 0.5)))
    assert small.error == pytest.approx(5e-9)


@settings(deadline=None, max_examples=25)
@given(RANDOM)
def test_the_order_of_groups_and_seeds_is_irrelevant(seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 50, (5, 2))
    values = rng.uniform(0, 100, (4, 5, 2))
    groups, seeds = rng.permutation(5), rng.permutation(4)
    one, other = doubt_of(made(values, images)), doubt_of(
        made(values[seeds][:, groups], images[groups])
    )  # fmt: skip
    for name in ("error", "degrees", "tail"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))


def test_many_at_once_are_the_same_as_each_alone():
    cases = [noisy(k, groups=6, classes=3, images=np.arange(18).reshape(6, 3)) for k in range(5)]
    both = spread(
        linearise(
            np.stack([case.numerator for case in cases]),
            np.stack([case.denominator for case in cases]),
        )
    )
    for k, case in enumerate(cases):
        alone = doubt_of(case)
        for name in ("error", "degrees", "tail", "comparable"):
            assert getattr(both, name)[k] == getattr(alone, name)


def test_the_plain_bootstrap_has_the_variance_that_is_corrected():
    ratios = noisy(3, sd=(4.0, 4.0, 6.0))
    values = ratios.numerator[..., 0] * 100
    a, b, e = mean_squares(values)
    rng = np.random.default_rng(0)
    draws, (seeds, groups) = 40_000, values.shape
    s = rng.multinomial(seeds, [1 / seeds] * seeds, draws) / seeds
    g = rng.multinomial(groups, [1 / groups] * groups, draws) / groups
    drawn = np.einsum("bs,sg,bg->b", s, values, g).var()
    kept = (1 - 1 / groups, 1 - 1 / seeds)
    assert drawn == pytest.approx(kept[0] * a + kept[1] * b + kept[0] * kept[1] * e, rel=0.03)


def test_the_error_is_without_bias_under_the_working_model():
    rng = np.random.default_rng(1)
    images = np.array([[80.0, 1], [20, 0], [10, 40], [5, 30]])
    # 20,000 one-seed repeats of groups that vary by 1 point, both classes as one.
    values = 50 + rng.standard_normal((20_000, 1, 4, 1)) + np.zeros(2)
    weight = np.broadcast_to(images, values.shape)
    linear = linearise(values / 100 * weight, weight)
    mean_square = (spread(linear).error ** 2).mean()
    assert mean_square == pytest.approx(linear.values.var(), rel=0.05)
