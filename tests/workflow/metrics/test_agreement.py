"""Rank correlations with the printed order, and the draws that their intervals are made of."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.workflow.metrics.ratio_cases import made, noisy, spaced
from workflow.metrics import statistics
from workflow.metrics.intervals import Design, t_quantile
from workflow.metrics.ratios import Ratios
from workflow.metrics.statistics import Agreement, agreement, kendall, rank
from workflow.metrics.variance import leverage, linearise, spread

DESIGN = Design()
FEW = Design(resamples=300)
RANDOM = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(RANDOM, st.integers(2, 9), st.integers(1, 6))
def test_kendall_is_that_of_scipy(seed, count, kinds):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, kinds, (3, count)).astype(float), rng.integers(0, kinds, count)
    for row, found in zip(x, kendall(x, y.astype(float)), strict=True):
        expected = stats.kendalltau(row, y).statistic
        assert found == pytest.approx(expected, nan_ok=True)
        assert kendall(row, y.astype(float)) == pytest.approx(expected, nan_ok=True)


def agreement_of(column, printed, dataset="isic2017", design=FEW):
    return agreement(column, rank(column, design), printed, dataset, design)


COLUMN = spaced(60, 64, 66, 70, 80, 81)
PRINTED = {"m0": 66.0, "m1": 62.0, "m2": 70.0, "m3": 64.0, "m4": 75.0, "m5": 79.0}


def test_agreement_is_tau_with_an_interval_of_the_draws():
    found = agreement_of(COLUMN, PRINTED)
    names = sorted(COLUMN)
    ours = np.array([COLUMN[name].values().mean() for name in names])
    theirs = np.array([PRINTED[name] for name in names])
    tau = stats.kendalltau(ours, theirs).statistic
    drawn = ours + statistics._deviations(COLUMN, "isic2017", FEW)
    taus = [stats.kendalltau(row, theirs).statistic for row in drawn]
    low, high = np.quantile(taus, [0.025, 0.975])
    assert found is not None
    assert found.tau == pytest.approx(tau)
    assert found.low == pytest.approx(max(min(low, 2 * tau - high, tau), -1))
    assert found.high == pytest.approx(min(max(high, 2 * tau - low, tau), 1))
    assert found.n == 6
    assert -1 < found.low < found.tau < found.high < 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("dataset", ["isic2017", "retouch_topcon"])
def test_the_interval_is_that_of_many_methods_too(seed, level, dataset):
    rng = np.random.default_rng(seed)
    column = {
        f"m{k:02d}": noisy(30 * seed + k, level=70 + rng.normal(0, 8), sd=(3, 1, 1))
        for k in range(14)
    }
    names = list(column)
    ours = np.array([column[name].values().mean() for name in names])
    theirs = (1 - 2 * (seed == 2)) * ours + rng.normal(0, 5, 14)
    design = Design(resamples=500, level=level)
    found = agreement(
        column, rank(column, DESIGN), dict(zip(names, theirs, strict=True)), dataset, design
    )
    tau = stats.kendalltau(ours, theirs).statistic
    drawn = ours + statistics._deviations(column, dataset, design)
    taus = [stats.kendalltau(row, theirs).statistic for row in drawn]
    low, high = np.quantile(taus, [(1 - level) / 2, (1 + level) / 2])
    assert found is not None
    assert found.tau == pytest.approx(tau)
    assert found.low == pytest.approx(max(min(low, 2 * tau - high, tau), -1))
    assert found.high == pytest.approx(min(max(high, 2 * tau - low, tau), 1))


def test_a_lower_level_narrows_the_interval():
    wide = agreement_of(COLUMN, PRINTED)
    narrow = agreement_of(COLUMN, PRINTED, design=Design(resamples=300, level=0.5))
    assert wide is not None
    assert narrow is not None
    assert narrow.high - narrow.low < wide.high - wide.low


@settings(deadline=None, max_examples=20)
@given(RANDOM)
def test_the_interval_holds_tau_and_stays_in_bounds(seed):
    column = spaced(60, 61, 62, 90, 91)
    rng = np.random.default_rng(seed)
    printed = dict(zip(column, rng.integers(60, 64, 5).astype(float), strict=True))
    found = agreement_of(column, printed)
    if found is None:
        assert len(set(printed.values())) == 1
    else:
        assert -1 <= found.low <= found.tau <= found.high <= 1


def test_agreement_depends_on_its_key_and_on_nothing_else():
    first = agreement_of(COLUMN, PRINTED)
    assert agreement_of(COLUMN, PRINTED) == first
    backwards = dict(reversed(COLUMN.items()))
    assert agreement_of(backwards, dict(reversed(PRINTED.items()))) == first
    one = statistics._deviations(COLUMN, "isic2017", FEW)
    for dataset, design in (("retouch_topcon", FEW), ("isic2017", Design(resamples=300, seed=1))):
        assert not np.array_equal(statistics._deviations(COLUMN, dataset, design), one)


def test_a_methods_draws_do_not_depend_on_the_others():
    everything = statistics._deviations(COLUMN, "isic2017", FEW)
    backwards = statistics._deviations(dict(reversed(COLUMN.items())), "isic2017", FEW)
    np.testing.assert_array_equal(backwards[:, ::-1], everything)
    few = statistics._deviations({"m3": COLUMN["m3"]}, "isic2017", FEW)[:, 0]
    assert np.corrcoef(few, everything[:, 3])[0, 1] == pytest.approx(1)


def test_the_order_of_groups_and_seeds_does_not_change_the_draws():
    a = COLUMN["m3"]
    turned = Ratios(
        a.numerator[::-1, [2, 0, 3, 1]],
        a.denominator[::-1, [2, 0, 3, 1]],
        a.seeds[::-1],
        tuple(a.groups[k] for k in (2, 0, 3, 1)),
    )
    np.testing.assert_allclose(
        statistics._deviations({"m3": turned}, "isic2017", FEW),
        statistics._deviations({"m3": a}, "isic2017", FEW),
        atol=1e-9,
    )


def test_draws_are_counts_of_a_bootstrap():
    many = Design(resamples=4000)
    drawn = statistics._draws(("b", "a", "c"), "key", many)
    assert drawn.shape == (4000, 3)
    assert (drawn.sum(axis=1) == 3).all()
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(drawn.var(axis=0), 2 / 3, atol=0.05)
    turned = statistics._draws(("c", "b", "a"), "key", many)
    np.testing.assert_array_equal(turned, drawn[:, [2, 0, 1]])
    assert not np.array_equal(statistics._draws(("b", "a", "c"), "other", many), drawn)
    assert drawn[:3].tolist() == statistics._draws(("b", "a", "c"), "key", many)[:3].tolist()


def test_the_key_is_hashed_so_that_draws_are_the_same_everywhere():
    digest = hashlib.sha256(b"isic2017: groups").digest()
    generator = np.random.default_rng([3, int.from_bytes(digest[:8], "big")])
    expected = generator.multinomial(2, [0.5, 0.5], 50)
    found = statistics._draws(("a", "b"), "isic2017: groups", Design(resamples=50, seed=3))
    assert found.tolist() == expected.tolist()


def test_seeds_are_not_drawn_like_groups_of_the_same_names():
    both = statistics._draws(("0", "1"), "d: groups", FEW), statistics._draws(
        ("0", "1"), "d: seeds", FEW
    )  # fmt: skip
    assert not np.array_equal(*both)


@pytest.mark.parametrize(("seeds", "sd"), [(5, (4, 2, 1)), (3, (0.5, 3, 0.5)), (1, (3, 1, 1))])
def test_deviations_have_the_corrected_variance_and_the_width_of_t(seeds, sd):
    many = Design(resamples=20_000)
    ratios = noisy(4, seeds=seeds, images=[5, 3, 2, 2], sd=sd)
    drawn = statistics._deviations({"a": ratios}, "isic2017", many)
    assert drawn.shape == (20_000, 1)
    linear = linearise(ratios.numerator, ratios.denominator)
    factor, _, _ = leverage(linear.weights)
    groups = (factor * linear.influence.mean(axis=0) ** 2).sum()
    between = linear.values.var(ddof=1) / seeds if seeds > 1 else 0
    widening = t_quantile(spread(linear).degrees, many) / stats.norm.ppf(0.975)
    # Draws of unequal parts keep their sum at 0 only roughly, so groups have some slack.
    slack = (np.sqrt(factor) * linear.influence.mean(axis=0)).sum() ** 2 / 4
    expected = widening**2 * (groups - slack + between)
    assert drawn.var() == pytest.approx(expected, rel=0.04)


def test_the_widening_is_the_median_over_methods():
    column = {"a": noisy(1), "b": noisy(2, sd=(0.2, 3, 1)), "c": noisy(3, sd=(3, 0.1, 0.1))}
    linear = {name: linearise(r.numerator, r.denominator) for name, r in column.items()}
    reach = {name: float(t_quantile(spread(x).degrees, FEW)) for name, x in linear.items()}
    assert len(set(reach.values())) == 3
    together = statistics._deviations(column, "d", FEW)
    for k, name in enumerate(column):
        alone = statistics._deviations({name: column[name]}, "d", FEW)[:, 0]
        ratio = sorted(reach.values())[1] / reach[name]
        np.testing.assert_allclose(together[:, k], alone * ratio, atol=1e-12)


def test_deviations_are_those_of_the_drawn_seeds_and_groups():
    ratios = made([[50.0, 60.0, 70.0, 60.0], [54.0, 64.0, 74.0, 64.0]])
    drawn = statistics._deviations({"a": ratios}, "d", FEW)[:, 0]
    groups = statistics._draws(ratios.groups, "d: groups", FEW)
    seeds = statistics._draws(("0", "1"), "d: seeds", FEW)
    linear = linearise(ratios.numerator, ratios.denominator)
    widening = t_quantile(spread(linear).degrees, FEW) / stats.norm.ppf(0.975)
    parts = np.array([-10, 0, 10, 0]) / 4 * math.sqrt(4 / 3)
    shares = np.array([-2, 2]) / math.sqrt(2)
    np.testing.assert_allclose(drawn, widening * (groups @ parts + seeds @ shares), atol=1e-9)


def test_missing_and_undefined_seeds_take_no_part_in_the_draws():
    full = noisy(1)
    some = Ratios(full.numerator[[3, 1]], full.denominator[[3, 1]], (3, 1), full.groups)
    denominator = full.denominator.copy()
    denominator[[0, 2, 4]] = 0
    undefined = Ratios(full.numerator, denominator, full.seeds, full.groups)
    drawn = statistics._deviations({"full": full, "some": some, "undefined": undefined}, "d", FEW)
    np.testing.assert_allclose(drawn[:, 1], drawn[:, 2], atol=1e-9)
    assert not np.allclose(drawn[:, 0], drawn[:, 1])


def test_agreement_is_of_the_methods_that_have_both_numbers():
    printed = {name: PRINTED[name] for name in ("m1", "m3", "m5")} | {"stranger": 50.0}
    column = {**COLUMN, "gone": None}
    found = agreement(column, rank(column, FEW), printed, "isic2017", FEW)
    part = {name: COLUMN[name] for name in ("m1", "m3", "m5")}
    expected = agreement(part, rank(COLUMN, FEW), printed, "isic2017", FEW)
    assert found == expected
    assert found is not None
    assert found.n == 3


def test_where_nothing_can_be_told_apart_any_agreement_is_open():
    column = spaced(80, 80.1, 80.2, sd=(6, 2, 2))
    printed = {"m0": 80.0, "m1": 81.0, "m2": 82.0}
    found = agreement_of(column, printed)
    ours = [column[name].values().mean() for name in sorted(column)]
    tau = stats.kendalltau(ours, [80, 81, 82]).statistic
    assert found == Agreement(pytest.approx(tau), -1, 1, 3)


def test_fewer_than_two_methods_or_equal_numbers_agree_on_nothing():
    ranking = rank(COLUMN, FEW)
    for printed in ({}, {"m0": 60.0}, {"stranger": 1.0}, {"m0": 60.0, "m1": 60.0}):
        assert agreement(COLUMN, ranking, printed, "isic2017", FEW) is None
    two = agreement(COLUMN, ranking, {"m0": 60.0, "m5": 70.0}, "isic2017", FEW)
    assert two is not None
    assert (two.tau, two.n) == (1, 2)
    same = {"a": COLUMN["m0"], "b": COLUMN["m0"]}
    assert agreement_of(same, {"a": 1.0, "b": 2.0}) is None
