"""Corrected tests, ranks and verdicts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tests.workflow.metrics.ratio_cases import made, noisy, spaced
from workflow.base.errors import DataError
from workflow.metrics.intervals import Design, difference, differences
from workflow.metrics.ratios import Ratios
from workflow.metrics.statistics import (
    holm,
    permutation_p,
    rank,
    rank_together,
)

DESIGN = Design()
RANDOM = st.integers(0, 2**32 - 1)
PROBABILITIES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.02, 0.5]), max_size=12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.02, 0.01]) == pytest.approx([0.02, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([0.4]) == [0.4]
    assert holm([]) == []


@settings(deadline=None, max_examples=40)
@given(PROBABILITIES)
def test_holm_is_that_of_statsmodels(p):
    expected = multipletests(p, method="holm")[1].tolist() if p else []
    assert holm(p) == pytest.approx(expected)


@given(PROBABILITIES, RANDOM)
def test_holm_keeps_order_and_never_lowers(p, seed):
    found = holm(p)
    assert all(raw <= corrected <= 1 for raw, corrected in zip(p, found, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0).all()
    turned = np.random.default_rng(seed).permutation(len(p))
    assert holm([p[k] for k in turned]) == [found[k] for k in turned]


def test_tests_that_were_not_made_are_not_of_the_family():
    assert holm([None, 0.01, None, 0.02]) == pytest.approx([None, 0.02, None, 0.02])
    assert holm([None]) == [None]


def test_three_methods_of_which_two_cannot_be_told_apart():
    column = spaced(50, 90, 89.5)
    ranking = rank(column, DESIGN)
    best, second = sorted(("m1", "m2"), key=lambda name: -column[name].values().mean())
    assert list(ranking.standings) == [best, second, "m0"]
    assert ranking.told_apart == {("m1", "m0"), ("m2", "m0")}
    assert ranking.resolvable
    places = {name: (s.place, s.first, s.last) for name, s in ranking.standings.items()}
    assert places == {best: (1, 1, 2), second: (2, 1, 2), "m0": (3, 3, 3)}
    assert [s.with_best for s in ranking.standings.values()] == [True, True, False]
    assert ranking.standings[best].behind is None
    assert ranking.standings[best].p is None
    for name in (second, "m0"):
        assert ranking.standings[name].behind == difference(column[best], column[name], DESIGN)


def test_the_worst_may_share_its_place_too():
    ranking = rank(spaced(90, 50, 50.5), DESIGN)
    order = list(ranking.standings)
    assert order[0] == "m0"
    assert [(s.place, s.first, s.last) for s in ranking.standings.values()] == [
        (1, 1, 1),
        (2, 2, 3),
        (3, 2, 3),
    ]
    assert [s.with_best for s in ranking.standings.values()] == [True, False, False]


def test_where_nothing_can_be_told_apart_all_places_are_open():
    ranking = rank(spaced(80, 80, 80, 80, sd=(6, 2, 2)), DESIGN)
    assert not ranking.resolvable
    assert ranking.told_apart == frozenset()
    assert [s.place for s in ranking.standings.values()] == [1, 2, 3, 4]
    for standing in ranking.standings.values():
        assert (standing.first, standing.last, standing.with_best) == (1, 4, True)


def test_lower_can_be_better():
    column = spaced(50, 90, 70)
    ranking = rank(column, DESIGN, higher_is_better=False)
    assert list(ranking.standings) == ["m0", "m2", "m1"]
    assert ranking.told_apart == {("m0", "m1"), ("m0", "m2"), ("m2", "m1")}
    assert [s.place for s in ranking.standings.values()] == [1, 2, 3]
    assert [(s.first, s.last) for s in ranking.standings.values()] == [(1, 1), (2, 2), (3, 3)]
    behind = ranking.standings["m1"].behind
    assert behind is not None
    assert behind.value < -30


@settings(deadline=None, max_examples=30)
@given(RANDOM, st.integers(2, 6), st.booleans())
def test_all_pairs_are_one_family_of_tests(seed, count, higher):
    rng = np.random.default_rng(seed)
    column = {
        f"m{k}": noisy(seed + k, level=70 + rng.normal(0, 10), sd=(3, 1, 1)) for k in range(count)
    }
    ranking = rank(column, DESIGN, higher)
    pairs = differences({name: column[name] for name in ranking.standings}, DESIGN)
    raw = [d.p for d in pairs.values() if d is not None]
    corrected = dict(zip(pairs, multipletests(raw, method="holm")[1], strict=True))
    apart = {pair for pair, p in corrected.items() if p < 0.05}
    assert ranking.told_apart == apart
    names = list(ranking.standings)
    for k, (name, standing) in enumerate(ranking.standings.items()):
        assert standing.place == k + 1
        assert standing.first == 1 + sum((other, name) in apart for other in names)
        assert standing.last == count - sum((name, other) in apart for other in names)
        assert standing.first <= standing.place <= standing.last
        if k:
            assert standing.p == pytest.approx(corrected[names[0], name])
            assert standing.with_best == ((names[0], name) not in apart)
    means = [column[name].values().mean() for name in names]
    assert means == sorted(means, reverse=higher)


def test_the_order_given_changes_nothing():
    column = spaced(80, 81, 60, 90)
    expected = rank(column, DESIGN)
    for order in itertools.permutations(column):
        found = rank({name: column[name] for name in order}, DESIGN)
        assert found == expected
        assert list(found.standings) == list(expected.standings)


def test_equal_methods_share_a_place_and_stand_by_name():
    same = noisy(1, level=80, sd=(1, 0.2, 0.2))
    column = {"b": same, "c": noisy(2, level=40, sd=(1, 0.2, 0.2)), "a": same}
    ranking = rank(column, DESIGN)
    assert [(name, s.place) for name, s in ranking.standings.items()] == [
        ("a", 1),
        ("b", 1),
        ("c", 3),
    ]
    assert ranking.standings["b"].p == 1
    down = rank(column, DESIGN, higher_is_better=False)
    assert [(name, s.place) for name, s in down.standings.items()] == [("c", 1), ("a", 2), ("b", 2)]


def test_methods_without_a_value_are_not_ranked():
    column = spaced(50, 90)
    one = column["m0"]
    empty = Ratios(one.numerator, one.denominator * 0, one.seeds, one.groups)
    ranking = rank({"gone": None, **column, "empty": empty}, DESIGN)
    assert ranking == rank(column, DESIGN)
    assert list(ranking.standings) == ["m1", "m0"]
    assert ranking.standings["m0"].last == 2
    assert rank({"gone": None}, DESIGN).standings == {}
    assert not rank({}, DESIGN).resolvable


def test_methods_without_common_seeds_are_not_compared():
    column = spaced(50, 90)
    late = column["m1"]
    column["m1"] = Ratios(late.numerator, late.denominator, (5, 6, 7, 8, 9), late.groups)
    ranking = rank(column, DESIGN)
    standing = ranking.standings["m0"]
    assert (standing.behind, standing.p, standing.with_best) == (None, None, False)
    assert (standing.first, standing.last) == (1, 2)


def test_methods_of_one_seed_and_group_are_not_compared():
    ranking = rank({"a": made([[50.0]]), "b": made([[60.0]])}, DESIGN)
    assert not ranking.resolvable
    behind = ranking.standings["a"].behind
    assert behind is not None
    assert (behind.value, behind.p, ranking.standings["a"].p) == (10, None, None)


def test_common_seeds_decide_who_is_better():
    groups = np.array([0.0, 0.1, 0.2, 0.3])
    # `few` has the higher mean, from a seed that `most` lacks; on common seeds it is worse.
    few = made([50 + groups, 50.1 + 1.1 * groups, 99 + groups], seeds=(0, 1, 2))
    most = made([60 + groups, 60.2 + groups, 60 + 1.2 * groups], seeds=(0, 1, 3))
    ranking = rank({"few": few, "most": most}, DESIGN)
    assert list(ranking.standings) == ["few", "most"]
    assert ranking.told_apart == {("most", "few")}
    assert ranking.standings["few"].first == 2
    assert ranking.standings["most"].last == 1
    assert ranking.standings["most"].with_best


def test_differences_of_less_than_a_point_have_a_direction():
    groups = np.array([0.0, 0.01, 0.02, 0.03])
    column = {"a": made([80 + groups] * 2), "b": made([80.4 + 1.1 * groups] * 2)}
    assert rank(column, DESIGN).told_apart == {("b", "a")}
    assert rank(column, DESIGN, higher_is_better=False).told_apart == {("a", "b")}


def test_the_pairs_of_all_columns_of_a_table_are_one_family():
    columns = {
        "dsc": spaced(60, 70, 72, sd=(2, 1, 1)),
        "ji": spaced(50, 58, sd=(2, 1, 1)),
        "none": {"m0": None},
    }
    found = rank_together(columns, DESIGN)
    assert list(found) == ["dsc", "ji", "none"]
    ordered = {key: {name: columns[key][name] for name in found[key].standings} for key in found}
    pairs = {
        (key, pair): d.p
        for key, column in ordered.items()
        for pair, d in differences(column, DESIGN).items()
        if d is not None
    }
    assert len(pairs) == 4
    corrected = multipletests(list(pairs.values()), method="holm")[1].tolist()
    for ((key, (best, other)), _), p in zip(pairs.items(), corrected, strict=True):
        ranking = found[key]
        assert ((best, other) in ranking.told_apart) == (p < 0.05)
        if best == next(iter(ranking.standings)):
            assert ranking.standings[other].p == pytest.approx(p)
    alone = rank(columns["ji"], DESIGN).standings["m0"].p
    together = found["ji"].standings["m0"].p
    assert alone is not None
    assert together is not None
    assert together > alone
    lower = rank_together(columns, DESIGN, higher_is_better=False)
    assert list(lower["ji"].standings) == ["m0", "m1"]
    assert rank_together({}, DESIGN) == {}


def test_a_column_on_two_test_sets_is_refused():
    with pytest.raises(DataError, match="groups"):
        rank({"a": made([[1.0, 2.0]]), "b": made([[1.0]])}, DESIGN)


def test_the_permutation_test_counts_all_orders():
    """Against counting them one by one, with and without ties in the printed numbers."""
    draw = np.random.default_rng(0)
    first, second = np.triu_indices(6, 1)

    def agreed(x, y):
        return abs(int((np.sign(x[first] - x[second]) * np.sign(y[first] - y[second])).sum()))

    for kinds in (6, 4, 3, 2):
        ours = draw.permutation(6).astype(float)
        printed = draw.permutation([k % kinds for k in range(6)]).astype(float)
        orders = [agreed(ours, np.array(one)) for one in itertools.permutations(printed)]
        expected = np.mean(np.array(orders) >= agreed(ours, printed))
        named = ({str(k): value for k, value in enumerate(of)} for of in (ours, printed))
        assert permutation_p(*named) == pytest.approx(expected)


@pytest.mark.parametrize(("methods", "p"), [(2, 1), (3, 1 / 3), (4, 1 / 12), (5, 1 / 60)])
def test_fewer_than_five_methods_are_no_ranking(methods, p):
    order = {str(k): float(k) for k in range(methods)}
    assert permutation_p(order, order | {"only printed": 3.0}) == pytest.approx(p)
    assert permutation_p(order, {name: -value for name, value in order.items()}) == (
        pytest.approx(p)
    )


def test_equal_means_err_on_the_side_of_doubt():
    printed = {str(k): float(k) for k in range(6)}
    tied = printed | {"1": 0.0}
    assert permutation_p(tied, printed) == pytest.approx(2 / 720)  # one pair short of all
    tied |= {"2": 0.0}
    assert 2 / 720 < permutation_p(tied, printed) < 0.05


def test_with_one_seed_nothing_is_tested():
    ranking = rank(spaced(90, 60, 30, seeds=1), DESIGN)
    assert not ranking.tested
    assert not ranking.told_apart
    assert (ranking.family, ranking.first_step) == (0, None)
    stands = ranking.standings
    assert [one.place for one in stands.values()] == [1, 2, 3]
    assert [one.with_best for one in stands.values()] == [True, False, False]
    assert all(one.p is None and (one.first, one.last) == (1, 3) for one in stands.values())


def test_the_first_step_is_that_of_the_whole_family():
    columns = {key: spaced(*levels) for key, levels in {"a": (80, 75, 70), "b": (60, 59)}.items()}
    found = rank_together(columns, DESIGN)
    assert {one.family for one in found.values()} == {4}
    pairs = differences(columns["a"], DESIGN).values()
    sizes = [pair.detectable_among(4, DESIGN) for pair in pairs if pair]
    assert found["a"].first_step == pytest.approx(np.median(sizes))
    assert all(size > pair.detectable for size, pair in zip(sizes, pairs, strict=True))
    assert rank_together({"b": columns["b"]}, DESIGN)["b"].first_step < found["b"].first_step
