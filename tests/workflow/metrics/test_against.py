"""A number of this run against a printed one: each verdict, and what it rests on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from tests.workflow.metrics.ratio_cases import noisy, spaced
from workflow.metrics.against import (
    CANNOT_TELL,
    NOT_TESTABLE,
    Against,
    Printing,
    against,
    corrected,
    doubt_of_both,
    enough,
    false_discovery,
    printed_doubt,
)
from workflow.metrics.intervals import Design, MeanEstimate, difference, estimate

DESIGN = Design(margin=1.0)
SAME, OTHER = Printing(same_images=True), Printing(same_images=False)
PROBABILITIES = st.lists(st.floats(0, 1), max_size=12)


def reaching(value, reach, seeds=5):
    """A mean whose difference to a number printed of the same images is known to `reach` points."""
    error = reach / student.ppf(0.975, seeds - 1) / np.sqrt(1 + seeds / 5)
    return MeanEstimate(value, 1.0, seeds, 0.0, 100.0, 2 * error, 3.0, (), error)


@pytest.mark.parametrize(
    ("value", "reach", "expected"),
    [
        (80.0, 0.2, "reproduced"),
        (80.0, 0.94, "reproduced"),
        (80.0, 0.96, CANNOT_TELL),  # half a digit of the margin is spent on rounding
        (80.5, 0.4, "reproduced"),  # within the margin, though it leaves 80.0 out
        (80.5, 0.5, CANNOT_TELL),
        (80.5, 0.44, "reproduced"),
        (80.0, 10.0, CANNOT_TELL),
        (82.0, 1.96, CANNOT_TELL),  # 80.04 is printed as 80.0
        (82.0, 1.94, "differs"),
        (78.0, 1.96, CANNOT_TELL),
        (78.0, 1.94, "differs"),
        (92.0, 2.0, "differs"),
    ],
)
def test_each_verdict(value, reach, expected):
    found = against(reaching(value, reach), 80.0, SAME, DESIGN)
    assert found.verdict == expected
    assert (found.low, found.high) == pytest.approx((value - 80 - reach, value - 80 + reach))
    assert found.supports == pytest.approx(abs(value - 80) + reach + 0.05)
    # Each verdict is the test of its hypothesis.
    assert (found.p < 0.05) == (abs(value - 80) - 0.05 > reach)
    assert (found.p_apart < 0.05) == (expected == "reproduced")


@given(st.floats(70, 90), st.floats(0.01, 20), st.integers(0, 2), st.sampled_from([SAME, OTHER]))
def test_what_is_supported_is_the_smallest_margin_that_reproduces(value, reach, decimals, how):
    result = reaching(value, reach)
    supports = against(result, 80.0, how, DESIGN, decimals).supports
    more, less = (Design(margin=supports * by) for by in (1.0001, 0.9999))
    assert against(result, 80.0, how, more, decimals).verdict == "reproduced"
    assert against(result, 80.0, how, less, decimals).verdict != "reproduced"


def test_on_other_images_the_printed_number_is_as_doubtful_as_this_one():
    result = estimate(noisy(1), DESIGN)
    found = against(result, round(result.value, 1), OTHER, DESIGN)
    reach = student.ppf(0.975, result.degrees) * result.error * np.sqrt(2)
    assert (found.high - found.low) / 2 == pytest.approx(reach)


def test_on_the_same_images_it_is_that_between_seeds():
    ratios = noisy(1)
    result = estimate(ratios, DESIGN)
    spread = ratios.values().std(ddof=1)
    assert result.seed_error == pytest.approx(spread / np.sqrt(5))
    found = against(result, result.value, SAME, DESIGN)
    reach = student.ppf(0.975, 4) * spread * np.sqrt(2 / 5)
    assert (found.high - found.low) / 2 == pytest.approx(reach)


def test_fewer_seeds_make_this_run_more_doubtful_and_not_the_printed_number():
    error, degrees = doubt_of_both(0.0, 3.0, 9.0, 3, True, DESIGN)
    assert error == pytest.approx(np.sqrt(9 + 9 * 3 / 5))
    assert degrees == 2
    # Of an error of 5, a part of 3 between seeds and of 4 between groups.
    error, degrees = doubt_of_both(5.0, 3.0, 9.0, 3, False, DESIGN)
    assert error == pytest.approx(np.sqrt(25 + 16 + 9 * 3 / 5))
    assert degrees == 9


def test_a_difference_is_held_against_a_stated_one():
    found = difference(*spaced(81, 60).values(), DESIGN)
    assert found is not None
    number = round(found.value, 1)
    assert against(found, number, OTHER, Design(margin=50)).verdict == "reproduced"
    assert against(found, -20.0, OTHER, DESIGN).verdict == "differs"


def test_what_has_no_interval_one_seed_or_a_notice_is_not_testable():
    result = estimate(noisy(1), DESIGN)
    empty = MeanEstimate(80.0, None, 1, None, None, None, None, ())
    one_seed = estimate(noisy(1, seeds=1), DESIGN)
    assert one_seed.low is not None
    for case in (None, empty, one_seed, difference(noisy(1, seeds=1), noisy(2, seeds=1), DESIGN)):
        for how in (SAME, OTHER):
            assert against(case, 80.0, how, DESIGN) == NOT_TESTABLE
    noticed = Printing(same_images=True, reason="not comparable with the paper")
    assert against(result, 80.0, noticed, DESIGN) == NOT_TESTABLE
    assert against(result, 80.0, SAME, DESIGN) != NOT_TESTABLE


def test_without_any_spread_numbers_are_equal_or_differ():
    sure = MeanEstimate(80.0, 0.0, 5, 80.0, 80.0, 0.0, 4.0, (), 0.0)
    assert against(sure, 80.0, SAME, DESIGN).verdict == "reproduced"
    found = against(sure, 85.0, SAME, DESIGN)
    assert (found.verdict, found.p) == ("differs", 0.0)


def test_how_many_seeds_would_do():
    result = reaching(80.0, 1.5)
    assert against(result, 80.0, SAME, DESIGN).verdict == CANNOT_TELL
    count = enough(result, SAME, DESIGN)
    by_seed = result.seed_error**2 * 5

    def reach(seeds):
        return student.ppf(0.975, seeds - 1) * np.sqrt(by_seed / seeds + by_seed / 5)

    assert reach(count) <= 0.95 < reach(count - 1)
    assert count > 5


def test_no_number_would_do_where_the_printed_value_itself_is_too_doubtful():
    noisy_seeds = reaching(80.0, 9.0)
    assert enough(noisy_seeds, SAME, DESIGN) is None
    assert printed_doubt(noisy_seeds, SAME, DESIGN) > 0.95
    volumes, one_seed = (estimate(noisy(1, seeds=n), DESIGN) for n in (5, 1))
    assert volumes is not None
    assert one_seed is not None
    assert enough(volumes, OTHER, DESIGN) is None
    assert enough(one_seed, OTHER, DESIGN) is None
    wide = enough(volumes, OTHER, Design(margin=20.0))
    assert wide is not None
    assert wide > 1


@given(PROBABILITIES)
def test_the_false_discovery_rate_is_that_of_statsmodels(p):
    expected = multipletests(p, method="fdr_bh")[1].tolist() if p else []
    assert false_discovery(p) == pytest.approx(expected)
    assert false_discovery([None, *p]) == [None, *false_discovery(p)]


def test_of_many_verdicts_those_that_chance_explains_are_open():
    def said(word, p, p_apart):
        return Against(word, 0.0, 0.0, 1.0, p, p_apart)

    by_chance = said("differs", 0.04, 1.0)
    clear = said("differs", 1e-6, 1.0)
    alike = said("reproduced", 1.0, 1e-6)
    open_ = said(CANNOT_TELL, 0.5, 0.5)
    assert corrected([by_chance], DESIGN) == ["differs"]
    many = [by_chance, clear, alike, *[open_] * 20, NOT_TESTABLE]
    assert corrected(many, DESIGN) == [
        CANNOT_TELL, "differs", "reproduced", *[CANNOT_TELL] * 20, "not testable",
    ]  # fmt: skip
