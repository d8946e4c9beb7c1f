"""Intervals and paired tests: where they are the t test of scipy, and what they say elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from tests.workflow.metrics.ratio_cases import made, noisy
from workflow.metrics.intervals import (
    DOMINATED,
    FEW,
    GROUPS_UNKNOWN,
    NO_SPREAD,
    SEEDS_UNKNOWN,
    Design,
    Difference,
    MeanEstimate,
    detectable,
    difference,
    estimate,
    p_value,
    t_quantile,
)
from workflow.metrics.ratios import Ratios
from workflow.metrics.variance import Spread, linearise, spread

DESIGN = Design()
RANDOM = st.integers(0, 2**32 - 1)
GROUPS = np.array([61.0, 70.0, 74.0, 83.0])
FREE = (-math.inf, math.inf)
OTHER = np.array([66.0, 69.0, 80.0, 84.0])


def doubt(error, degrees, tail=None):
    degrees = np.asarray(degrees, float)
    tail = degrees if tail is None else np.asarray(tail, float)
    error = np.asarray(error, float)
    return Spread(error, degrees, tail, np.ones(error.shape, bool), np.zeros(error.shape))


def fields(result):
    return {name: value for name, value in vars(result).items() if name != "notes"}


def test_what_is_chosen_before_any_result():
    chosen = {"level": 0.95, "resamples": 2000, "seed": 0, "power": 0.8, "spread_ddof": 1}
    margins = {"margin": 2.0, "gain_margin": 1.0, "printed_seeds": 5}
    assert vars(DESIGN) == {**chosen, **margins}
    assert DESIGN.alpha == pytest.approx(0.05)


@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_groups_alone_give_the_t_interval_of_scipy(seeds, level):
    found = estimate(made(np.tile(GROUPS, (seeds, 1)), 13), Design(level=level), FREE)
    error = stats.sem(GROUPS)
    low, high = stats.t.interval(level, 3, GROUPS.mean(), error)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((GROUPS.mean(), low, high))
    assert (found.error, found.degrees) == pytest.approx((error, 3))


def test_seeds_alone_give_the_t_interval_of_scipy():
    seeds = np.array([68.0, 70.5, 71.0, 74.0, 69.0])
    found = estimate(made(np.tile(seeds[:, None], (1, 4)), [5, 1, 1, 1]), DESIGN, FREE)
    low, high = stats.t.interval(0.95, 4, seeds.mean(), stats.sem(seeds))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.notes == ()


@pytest.mark.parametrize("seeds", [3, 4])
def test_groups_alone_give_the_paired_t_test_of_scipy(seeds):
    a, b = (made(np.tile(values, (seeds, 1)), 4) for values in (GROUPS, OTHER))
    found = difference(a, b, DESIGN)
    expected = stats.ttest_rel(GROUPS, OTHER)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.value == pytest.approx((GROUPS - OTHER).mean())


def test_seeds_alone_give_the_paired_t_test_of_scipy():
    a, b = np.array([70.0, 72.0, 75.0]), np.array([68.0, 71.5, 70.0])
    found = difference(*(made(np.tile(x[:, None], (1, 3))) for x in (a, b)), DESIGN)
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.degrees == pytest.approx(2)


@settings(deadline=None)
@given(RANDOM, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_an_estimate_is_made_of_mean_quantile_and_error(seed, level):
    ratios = noisy(seed, classes=2, images=[[9, 1], [4, 0], [2, 2], [1, 30]], level=50)
    design = Design(level=level)
    found, expected = estimate(ratios, design), spread(
        linearise(ratios.numerator, ratios.denominator)
    )  # fmt: skip
    assert found is not None
    assert found.value == pytest.approx(ratios.values().mean())
    reach = stats.t.ppf((1 + level) / 2, expected.degrees) * expected.error
    free = estimate(ratios, design, FREE)
    assert free is not None
    assert (free.low, free.high) == pytest.approx((found.value - reach, found.value + reach))
    # On the logit scale, as far to either side.
    share = found.value / 100
    steps = reach / (100 * share * (1 - share))
    logits = [math.log(end / (100 - end)) for end in (found.low, found.value, found.high)]
    assert np.diff(logits) == pytest.approx([steps, steps])
    assert found.low <= found.value <= found.high
    assert found.error == pytest.approx(float(expected.error))
    assert found.degrees == pytest.approx(float(expected.degrees))
    assert found.n == 5


@pytest.mark.parametrize(("ddof", "sd"), [(0, math.sqrt(2 / 3)), (1, 1.0)])
def test_the_sd_is_that_of_the_seeds(ddof, sd):
    found = estimate(made([[50.0, 60], [51, 61], [52, 62]]), Design(spread_ddof=ddof))
    assert found is not None
    assert found.sd == pytest.approx(sd)
    assert found.n == 3


def test_one_seed_has_no_sd_and_says_so():
    found = estimate(made([GROUPS]), DESIGN)
    assert found is not None
    assert (found.sd, found.n, found.notes) == (None, 1, (SEEDS_UNKNOWN,))
    populations = estimate(made([GROUPS]), Design(spread_ddof=0))
    assert populations is not None
    assert populations.sd == 0


def test_one_group_has_an_interval_of_its_seeds_and_says_so():
    found = estimate(made([[50.0], [51], [52]]), DESIGN, FREE)
    assert found is not None
    assert found.high == pytest.approx(stats.t.interval(0.95, 2, 51, 1 / 3**0.5)[1])
    assert found.notes == (GROUPS_UNKNOWN,)


def test_one_seed_and_one_group_have_no_interval():
    unknown = (SEEDS_UNKNOWN, GROUPS_UNKNOWN)
    assert estimate(made([[50.0]]), DESIGN) == MeanEstimate(
        50.0, None, 1, None, None, None, None, unknown
    )
    population = estimate(made([[50.0]]), Design(spread_ddof=0))
    assert population is not None
    assert population.sd == 0
    assert difference(made([[50.0]]), made([[40.0]]), DESIGN) == Difference(
        10.0, 1, None, None, None, None, None, None, unknown
    )


def test_seeds_without_a_value_do_not_count():
    values = np.stack([GROUPS, GROUPS + 1, GROUPS + 5])
    whole = made(values, seeds=(0, 1, 4))
    denominator = whole.denominator.copy()
    denominator[1] = 0
    found = estimate(Ratios(whole.numerator, denominator, whole.seeds, whole.groups), DESIGN)
    expected = estimate(made(values[[0, 2]]), DESIGN)
    assert found is not None
    assert expected is not None
    assert found.n == 2
    assert fields(found) == pytest.approx(fields(expected))


def test_no_seed_with_a_value_is_no_estimate():
    empty = Ratios(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), (0, 1), ("a", "b", "c"))
    none = Ratios(np.zeros((0, 3, 1)), np.zeros((0, 3, 1)), (), ("a", "b", "c"))
    for ratios in (empty, none):
        assert estimate(ratios, DESIGN) is None


def test_intervals_stay_where_the_metric_can_be():
    low, high = (estimate(made([[x, x + 20]]), DESIGN) for x in (2.0, 78.0))
    assert low is not None
    assert high is not None
    for found in (low, high):
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low < found.value < found.high <= 100
    free = estimate(made([[2.0, 22.0]]), DESIGN, bounds=(-math.inf, math.inf))
    assert free is not None
    assert (free.low, free.high) == pytest.approx(stats.t.interval(0.95, 1, 12, 10))
    cut = estimate(made([[2.0, 22.0]]), DESIGN, bounds=(5.0, 20.0))
    assert cut is not None
    assert (cut.low, cut.high) == (5, 20)


def test_two_seeds_of_one_group_reach_no_further_than_a_difference_can():
    one, other = made([[20.0], [80.0]]), made([[60.0], [10.0]])
    wide = difference(one, other, DESIGN)
    assert wide is not None
    assert wide.error is not None
    assert wide.degrees is not None
    assert stats.t.ppf(0.975, wide.degrees) * wide.error > 600  # points, without an end
    assert (wide.low, wide.high) == (-100, 100)
    assert not wide.estimable
    assert wide.detectable is None
    alone = estimate(one, DESIGN)
    assert alone is not None
    assert (alone.low, alone.high, alone.estimable) == (0, 100, False)
    sure = difference(made([[70.0], [71.0]]), made([[10.0], [12.0]]), DESIGN)
    assert sure is not None
    assert sure.high is not None
    assert sure.estimable
    assert sure.high < 100
    assert sure.detectable is not None


@settings(max_examples=50)
@given(RANDOM, st.floats(0, 60))
def test_no_difference_reaches_further_than_two_metrics_can_be_apart(seed, sd):
    one, other = (noisy(seed + k, seeds=2, groups=2, sd=(sd, sd, sd)) for k in (0, 1))
    found = difference(one, other, DESIGN)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert -100 <= found.low <= found.high <= 100
    assert found.detectable is None or found.detectable <= 100


def test_a_group_that_decides_a_class_is_noted():
    values = np.stack([GROUPS, GROUPS[::-1] + 1])
    for images, notes in (([90, 5, 3, 2], (DOMINATED,)), ([89, 6, 3, 2], ())):
        found = estimate(made(values, images), DESIGN)
        assert found is not None
        assert found.notes == (FEW, *notes)
    # In one class of two, and where a class is nowhere.
    classes = np.stack([values] * 3, axis=-1)
    images = np.array([[90, 1, 0], [10, 1, 0], [0, 1, 0], [0, 1, 0]])
    pair = difference(made(classes, images), made(classes + 1, images), DESIGN)
    assert pair is not None
    assert DOMINATED in pair.notes
    found = estimate(made(classes, np.minimum(images, 1)), DESIGN)
    assert found is not None
    assert found.notes == (FEW,)


def test_two_seeds_or_two_groups_are_noted():
    for seeds, groups, noted in ((5, 4, False), (3, 2, True), (2, 4, True), (1, 2, False)):
        one, other = (noisy(k, seeds=seeds, groups=groups) for k in (0, 1))
        for found in (estimate(one, DESIGN), difference(one, other, DESIGN)):
            assert found is not None
            assert (FEW in found.notes) is noted


def test_with_one_seed_nothing_is_tested():
    one, other = (noisy(k, seeds=1) for k in (0, 1))
    found = difference(one, other, DESIGN)
    assert found is not None
    assert found.low is not None
    assert (found.p, found.detectable, found.detectable_among(3, DESIGN)) == (None, None, None)
    assert (found.seed_error, found.tail) == (None, None)
    mean = estimate(one, DESIGN)
    assert mean is not None
    assert mean.low is not None
    assert mean.seed_error is None


def test_among_more_tests_a_difference_must_be_larger():
    found = difference(noisy(0), noisy(1), DESIGN)
    assert found is not None
    sizes = [found.detectable_among(tests, DESIGN) for tests in (1, 10, 100)]
    assert sizes == sorted(sizes)
    # What is found of so many tests is what a single one at their share of alpha finds.
    assert found.tail is not None
    single = difference(noisy(0), noisy(1), Design(level=1 - 0.05 / 10))
    assert single is not None
    assert single.error == found.error
    far = difference(noisy(0, sd=(90.0, 9.0, 9.0)), noisy(1, sd=(90.0, 9.0, 9.0)), DESIGN)
    assert far is not None
    assert far.detectable_among(1000, DESIGN) is None


def test_scores_near_a_bound_reach_further_away_from_it():
    found = estimate(made([[97.0, 99.0, 98.5, 99.5]] * 3), DESIGN)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.high < 100
    assert found.value - found.low > found.high - found.value
    certain = estimate(made(np.full((3, 4), 100.0)), DESIGN)
    assert certain is not None
    assert (certain.low, certain.high) == (100, 100)


def test_no_variation_is_noted_and_tests_are_certain():
    same, less = made(np.full((5, 4), 80.0)), made(np.full((5, 4), 79.0))
    found = estimate(same, DESIGN)
    assert found is not None
    assert (found.low, found.high, found.notes) == (80, 80, (NO_SPREAD,))
    equal, apart = difference(same, same, DESIGN), difference(same, less, DESIGN)
    assert equal is not None
    assert apart is not None
    assert (equal.value, equal.p, equal.detectable, equal.notes) == (0, 1, 0, (NO_SPREAD,))
    assert (apart.value, apart.p) == (pytest.approx(1), 0)
    one = estimate(made([[80.0, 80.0]]), DESIGN)
    assert one is not None
    assert one.notes == (SEEDS_UNKNOWN, NO_SPREAD)
    two = estimate(made([[80.0], [80.0]]), DESIGN)
    assert two is not None
    assert two.notes == (FEW, GROUPS_UNKNOWN, NO_SPREAD)


def test_what_rounding_makes_is_no_difference():
    nothing = doubt([0.0, 0.0, 0.0], [3.0, 3.0, 3.0])
    assert p_value(np.array([1e-10, -1e-8, 0.0]), nothing, DESIGN).tolist() == [1, 0, 1]


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_p_is_alpha_at_the_end_of_the_interval(level):
    design = Design(level=level)
    some = doubt([1.0, 2.0, 0.5], [3.0, 6.2, 15.0], [3.0, 3.4, 8.0])
    reach = t_quantile(some.degrees, design) * some.error
    np.testing.assert_allclose(reach, stats.t.ppf((1 + level) / 2, some.degrees) * some.error)
    for sign in (-1, 1):
        np.testing.assert_allclose(p_value(sign * reach, some, design), 1 - level)
        np.testing.assert_allclose(
            p_value(3 * sign * reach, some, design),
            2 * stats.t.sf(3 * stats.t.ppf((1 + level) / 2, some.tail), some.tail),
        )


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [2, 4, 30])
def test_detectable_differences_are_those_of_statsmodels(power, n):
    points = detectable(doubt([2.0], [n - 1]), Design(power=power))
    found = TTestPower().power(effect_size=points / 2 / n**0.5, nobs=n, alpha=0.05)
    assert found == pytest.approx(power, abs=1e-4)


@pytest.mark.parametrize("degrees", [1.02, 3.7, 598.3])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_detectable_differences_have_their_power_at_any_degrees(degrees, level):
    points = detectable(doubt([0.5], [degrees]), Design(level=level))
    reach = stats.t.ppf((1 + level) / 2, degrees)
    assert stats.nct.sf(reach, degrees, points / 0.5) == pytest.approx(0.8, abs=1e-5)


def test_a_difference_is_made_of_its_parts():
    a, b = noisy(1, images=[4, 3, 2, 1]), noisy(2, images=[1, 1, 2, 9])
    found = difference(a, b, DESIGN)
    assert found is not None
    first, second = (linearise(x.numerator, x.denominator) for x in (a, b))
    joined = type(first)(
        first.values - second.values,
        first.influence - second.influence,
        (first.weights + second.weights) / 2,
    )
    expected = spread(joined)
    assert found.value == pytest.approx((a.values() - b.values()).mean())
    assert found.error == pytest.approx(float(expected.error))
    assert found.degrees == pytest.approx(float(expected.degrees))
    reach = stats.t.ppf(0.975, expected.degrees) * expected.error
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))
    assert found.p == pytest.approx(float(p_value(np.array(found.value), expected, DESIGN)))
    assert found.detectable == pytest.approx(float(detectable(expected, DESIGN)))
    assert (found.n, found.notes) == (5, ())


@settings(deadline=None)
@given(RANDOM, st.floats(-15, 15), st.sampled_from([0.9, 0.95]))
def test_p_and_interval_agree(seed, shift, level):
    a, b = noisy(seed), noisy(seed + 1, level=70 + shift)
    found = difference(a, b, Design(level=level))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.p is not None
    assert found.low <= found.value <= found.high
    assert (found.p < 1 - level) == (found.low > 0 or found.high < 0)


@settings(deadline=None)
@given(RANDOM, st.floats(0.1, 3), st.floats(-20, 20))
def test_results_move_and_grow_with_the_metric(seed, scale, shift):
    images = np.array([[9, 1], [4, 4], [2, 2], [1, 30]])
    free = (-math.inf, math.inf)
    one = noisy(seed, classes=2, images=images)
    numerator = scale * one.numerator + shift / 100 * one.denominator
    moved = Ratios(numerator, one.denominator, one.seeds, one.groups)
    before, after = estimate(one, DESIGN, free), estimate(moved, DESIGN, free)
    assert before is not None
    assert after is not None
    for name in ("value", "low", "high"):
        assert getattr(after, name) == pytest.approx(scale * getattr(before, name) + shift)
    for name in ("sd", "error"):
        assert getattr(after, name) == pytest.approx(scale * getattr(before, name))
    assert after.degrees == pytest.approx(before.degrees)


def test_turning_a_pair_turns_its_sign():
    a, b = noisy(1, images=[4, 3, 2, 1]), noisy(2, images=[4, 3, 2, 1])
    one, other = difference(a, b, DESIGN), difference(b, a, DESIGN)
    assert one is not None
    assert other is not None
    assert other.low is not None
    assert other.high is not None
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low)
    assert (one.p, one.error, one.detectable) == (other.p, other.error, other.detectable)


def test_pairs_use_their_common_seeds():
    a, b = noisy(1).numerator[..., 0] * 100, noisy(2).numerator[..., 0] * 100
    one = made(a, seeds=(3, 0, 2, 7, 1))
    other = made(b[:3], seeds=(0, 1, 9))
    found = difference(one, other, DESIGN)
    expected = difference(made(a[[1, 4]]), made(b[[0, 1]]), DESIGN)
    assert found is not None
    assert found.n == 2
    assert found == expected


def test_pairs_without_common_seeds_have_no_difference():
    a, b = made([GROUPS], seeds=[0]), made([GROUPS, OTHER], seeds=[1, 2])
    assert difference(a, b, DESIGN) is None
    undefined = Ratios(b.numerator, b.denominator * 0, b.seeds, b.groups)
    assert difference(undefined, b, DESIGN) is None
