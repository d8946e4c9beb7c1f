"""Each rule of the audit on cases worked by hand, and its arithmetic against brute force."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.audit.cells import DATA, PrintedCell
from workflow.audit.claims import Claim
from workflow.audit.counts import volumes_in
from workflow.audit.engine import audit, corrections, find_problems
from workflow.audit.overlap import ji_spread, pooled_dsc, pooled_ji, pooling_gap
from workflow.audit.paper import Paper
from workflow.audit.prevalence import (
    classification_rows,
    implied_prevalence,
    share_interval,
)
from workflow.audit.record import DatasetRecord
from workflow.audit.rounding import Interval, agree, printed, show

CLASSIFICATION = ("acc", "sen", "spe")
percentages = st.builds(
    lambda value, decimals: show(Fraction(value, 1000), decimals),
    st.integers(0, 100_000),
    st.integers(0, 2),
)
shares = st.fractions(0, 1, max_denominator=60)


def row(method, *values, table="A", dataset="d"):
    """Cells of a row: accuracy, sensitivity and specificity, or JI and DSC."""
    task, metrics = {
        3: ("classification", CLASSIFICATION),
        2: ("segmentation", ("ji", "dsc")),
    }[len(values)]
    return tuple(
        PrintedCell(table, dataset, method, task, metric, value)
        for metric, value in zip(metrics, values, strict=True)
    )


def facts(dataset="d", **values):
    return tuple(PrintedCell("I", dataset, "", DATA, fact, text) for fact, text in values.items())


def found(paper):
    return [(p.kind, p.severity, float(p.amount)) for p in find_problems(paper)]


def mended(paper):
    """Metric or place's last word -> (low, high) of all corrections of the only problem."""
    (problem,) = find_problems(paper)
    return {
        c.place.rpartition(", ")[2]: (c.low, c.high) for c in corrections(paper, problem, [problem])
    }


# --- rounding ---------------------------------------------------------------------------------


def test_decimals_tell_the_rounding():
    assert printed("98.4").box == Interval(Fraction("98.35"), Fraction("98.45"))
    assert printed("98").box == Interval(Fraction("97.5"), Fraction("98.5"))
    assert printed("98.40").half == Fraction("0.005")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("98.4", "98.4", True),
        ("98.4", "98.5", False),  # though both can print 98.45
        ("98", "98.4", True),
        ("98.5", "98", True),  # halves may be rounded either way
        ("98.6", "98", False),
        ("98.40", "98.4", True),
    ],
)
def test_numbers_of_unequal_decimals_agree_if_one_rounds_to_the_other(one, other, same):
    assert agree(printed(one), printed(other)) is same


@given(st.fractions(-200, 200, max_denominator=10_000), st.integers(0, 3))
def test_what_is_shown_holds_the_number_in_its_box(value, decimals):
    number = printed(show(value, decimals))
    assert number.decimals == decimals
    assert number.box.holds(value)


@given(percentages, percentages, st.integers(0, 2))
def test_numbers_within_an_interval_are_its_outermost(one, other, decimals):
    low, high = sorted((printed(one).value, printed(other).value))
    ends = printed(show(low, decimals)).within(Interval(low, high))
    unit = Fraction(1, 10**decimals)
    inside = [k * unit for k in range(int(low / unit), int(high / unit) + 1) if k * unit >= low]
    assert [end.value for end in ends or ()] == ([inside[0], inside[-1]] if inside else [])


# --- one cell ---------------------------------------------------------------------------------


def test_a_percentage_has_limits():
    assert found(Paper(row("m", "60.0", "104.0"))) == [("range", "impossible", 4.0)]
    assert found(Paper(row("m", "-1.0", "40.0", "50.0"))) == [("range", "impossible", 1.0)]


def test_a_run_printed_with_two_values_is_mended_at_the_odd_table():
    cells = row("m", "60.0", "70.0") + row("m", "60.0", "70.0", table="B")
    paper = Paper(cells + row("m", "60.0", "71.0", table="C"))
    (problem,) = find_problems(paper)
    assert (problem.kind, problem.cells[0].table, problem.amount) == ("repeat", "C", 1)
    (correction,) = corrections(paper, problem, [problem])
    assert (correction.place, correction.nearest) == ("Table C, d, m, dsc", "70.0")


def test_coarser_repeats_are_no_contradiction():
    assert not found(Paper(row("m", "60.4", "70.0") + row("m", "60", "70", table="B")))


# --- prevalence -------------------------------------------------------------------------------


def test_an_interval_worked_by_hand():
    # acc 98.4, sen 97.3, spe 98.9: (98.9 - 98.4 ± 0.1) / 1.6 = 0.25 to 0.375.
    interval = share_interval(printed("98.4"), printed("97.3"), printed("98.9"))
    assert interval == Interval(Fraction(1, 4), Fraction(3, 8))


def test_equal_rates_leave_the_share_free_or_nothing():
    assert share_interval(*map(printed, ("90.0", "90.0", "90.0"))) == Interval(
        *map(Fraction, (0, 1))
    )
    assert share_interval(*map(printed, ("90.3", "90.0", "90.0"))) is None


@given(percentages, percentages, percentages, shares)
def test_an_interval_holds_the_shares_that_corners_allow(acc, sen, spe, p):
    boxes = [
        [min(max(end, Fraction(0)), Fraction(100)) for end in printed(text).box]
        for text in (acc, sen, spe)
    ]
    corners = [p * s + (1 - p) * q for s, q in itertools.product(boxes[1], boxes[2])]
    possible = min(corners) <= boxes[0][1] and max(corners) >= boxes[0][0]
    interval = share_interval(*map(printed, (acc, sen, spe)))
    assert (interval is not None and interval.holds(p)) is possible


@given(
    shares,
    st.lists(st.tuples(shares, shares, st.integers(0, 2)), min_size=1, max_size=6),
)
def test_rows_of_one_test_set_are_never_contradicted(p, rates):
    cells = ()
    for k, (sen, spe, decimals) in enumerate(rates):
        values = (p * sen + (1 - p) * spe, sen, spe)
        cells += row(f"m{k}", *(show(100 * value, decimals) for value in values))
    assert not find_problems(Paper(cells))
    implied = implied_prevalence(classification_rows(cells)["d"])
    assert implied.low <= p <= implied.high
    assert implied.contradicting == implied.disputed == ()


@given(
    st.lists(st.tuples(percentages, percentages, percentages), min_size=1, max_size=5),
    shares,
)
def test_no_share_suits_more_rows_than_the_largest_set(values, p):
    cells = tuple(c for k, numbers in enumerate(values) for c in row(f"m{k}", *numbers))
    rows = classification_rows(cells)["d"]
    implied = implied_prevalence(rows)
    intervals = [share_interval(*(r[m] for m in CLASSIFICATION)) for r in rows]

    def suiting(share):
        return sum(interval is not None and interval.holds(share) for interval in intervals)

    best = suiting(implied.regions[0].low)
    if any(intervals):
        assert suiting(p) <= best
        assert all(suiting(end) == best for region in implied.regions for end in region)
    parts = (implied.consistent, implied.contradicting, implied.disputed)
    assert sum(map(len, parts)) == len(rows)


TEST_SET = row("a", "70.0", "60.0", "80.0") + row("b", "74.0", "68.0", "80.0")  # p about 1/2


def test_an_accuracy_below_both_rates_is_impossible():
    paper = Paper(TEST_SET + row("c", "60.0", "70.0", "80.0"))
    assert found(paper) == [("accuracy outside", "impossible", 10.0)]
    # p is 0.495 to 0.505: 70 and 80 make 74.9525 to 75.0475 (and roundings 0.1) of accuracy. For
    # acc 60: sen from (59.95 - 0.505 · 80.05) / 0.495 to (60.05 - 0.495 · 79.95) / 0.505, and spe
    # from (59.95 - 0.505 · 70.05) / 0.495 to (60.05 - 0.495 · 69.95) / 0.505, ± 0.05 each.
    assert mended(paper) == {
        "acc": ("74.9", "75.1"),
        "sen": ("39.4", "40.5"),
        "spe": ("49.6", "50.3"),
    }


def test_a_row_with_another_share_contradicts_the_majority():
    paper = Paper(TEST_SET + row("c", "78.0", "70.0", "80.0"))
    assert found(paper) == [("prevalence", "inconsistent", 2.9)]
    assert mended(paper)["acc"] == ("74.9", "75.1")


def test_two_rows_apart_are_disputed():
    paper = Paper(row("a", "70.0", "60.0", "80.0") + row("b", "78.0", "68.0", "80.0"))
    (problem,) = find_problems(paper)
    assert {cell.method for cell in problem.cells} == {"a", "b"}
    assert "At most 1 of 2 rows" in problem.text
    rows = implied_prevalence(classification_rows(paper.cells)["d"])
    assert (len(rows.disputed), rows.consistent, rows.contradicting) == (2, (), ())
    assert {c.place for c in corrections(paper, problem, [problem])} >= {
        "Table A, d, a, acc",
        "Table A, d, b, acc",
    }


def test_a_share_on_record_settles_a_dispute():
    cells = row("a", "70.0", "60.0", "80.0") + row("b", "78.0", "68.0", "80.0")
    paper = Paper(cells, record={"d": DatasetRecord(prevalence=Fraction(1, 2))})
    (problem,) = find_problems(paper)
    assert {cell.method for cell in problem.cells} == {"b"}
    assert mended(paper)["acc"] == ("73.9", "74.1")


def test_rows_that_agree_on_another_share_than_the_record_are_one_problem():
    paper = Paper(TEST_SET, record={"d": DatasetRecord(prevalence=Fraction(1, 3))})
    assert [kind for kind, _, _ in found(paper)] == ["prevalence on record"]


def test_rows_without_all_three_numbers_say_nothing():
    assert not find_problems(Paper(TEST_SET + row("c", "10.0", "70.0", "80.0")[1:]))


# --- overlap ----------------------------------------------------------------------------------


def test_pooled_bounds():
    assert pooled_dsc(Fraction(50)) == Fraction(200, 3)
    assert pooled_ji(pooled_dsc(Fraction(37))) == 37


def test_a_dsc_outside_its_bounds_is_impossible():
    # 2 · 60 / 1.6 = 75; with ji 60.05 at most 75.04, which prints as 75.0.
    assert not find_problems(Paper(row("m", "60.0", "75.0")))
    high = Paper(row("m", "60.0", "76.0"))
    assert found(high) == [("overlap", "impossible", 1.0)]
    # JI of 76: 76 / 124 = 61.29, of 75.95 61.23; a DSC of at least 59.9 prints above 59.95.
    assert mended(high) == {"dsc": ("59.9", "75.0"), "ji": ("61.2", "76.1")}
    assert found(Paper(row("m", "60.0", "58.0"))) == [("overlap", "impossible", 2.0)]


@given(st.lists(st.fractions(0, 1, max_denominator=50), min_size=1, max_size=8), st.integers(1, 2))
def test_means_of_any_masks_are_within_all_bounds(overlaps, decimals):
    ji = sum(overlaps) * 100 / len(overlaps)
    dsc = sum(100 * 2 * j / (1 + j) for j in overlaps) / len(overlaps)
    variance = sum((100 * j - ji) ** 2 for j in overlaps) / len(overlaps)
    numbers = printed(show(ji, decimals)), printed(show(dsc, decimals))
    assert not find_problems(Paper(row("m", *(number.text for number in numbers))))
    assert pooling_gap(*numbers).holds(pooled_dsc(ji) - dsc)
    assert ji_spread(*numbers).holds(variance)


def test_rows_that_pool_are_told_from_those_that_do_not():
    report = audit(Paper(row("a", "60.0", "75.0") + row("b", "60.0", "73.0")))
    (inference,) = report.inferences
    assert "impossible in 1 of 2 rows: DSC lies 2.0 to 2.0 below" in inference.text
    assert "The others allow pooling: a." in inference.text


# --- counts -----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 8), min_size=1, max_size=7), st.integers(0, 60))
def test_whole_volumes_are_counted_as_brute_force_does(slices, images):
    sizes = range(len(slices) + 1)
    possible = [n for n in sizes if images in map(sum, itertools.combinations(slices, n))]
    assert volumes_in(tuple(slices), images) == possible


RECORD = {"d": DatasetRecord(uniform=49)}


def test_images_are_volumes_times_slices():
    assert not find_problems(Paper(facts(volumes="24", training="980", testing="196"), (), RECORD))
    paper = Paper(facts(volumes="24", training="980", testing="198"), (), RECORD)
    assert found(paper) == [("counts", "impossible", 2.0)]
    assert mended(paper) == {"testing": ("196", "196")}


def test_a_wrong_number_of_volumes_can_be_the_mistake():
    paper = Paper(facts(volumes="23", training="980", testing="196"), (), RECORD)
    assert mended(paper) == {
        "volumes": ("24", "24"),
        "testing": ("147", "147"),
        "training": ("931", "931"),
    }


def test_volumes_and_sizes_are_held_against_the_record():
    record = {"d": DatasetRecord(slices=(2, 2, 1), pixels=(20, 20, 30))}
    good = facts(volumes="3", training="3", testing="2", image_size="5×4 / 5×6")
    assert not find_problems(Paper(good, (), record))
    paper = Paper(facts(volumes="4", image_size="5×5"), (), record)
    problems = find_problems(paper)
    assert [(p.kind, p.amount) for p in problems] == [("volumes", 1), ("image size", 3)]
    assert "No volume has 25 pixels" in problems[1].text
    (size,) = corrections(paper, problems[1], problems)
    assert size.nearest == "5×6, 5×4"


# --- claims -----------------------------------------------------------------------------------

RESULTS = row("a", "60.0", "71.0") + row("b", "62.0", "73.0") + row("us", "64.0", "74.0")


def claim(kind, **fields):
    given = {"id": "c", "section": "V", "says": "Said.", "datasets": ("d",)}
    return Claim(**given, kind=kind, **fields)


def states(said, cells=RESULTS, record=None):
    paper = Paper(cells, (said,), record or {})
    problems = find_problems(paper)
    return [[c.nearest for c in corrections(paper, p, problems)] for p in problems]


def test_a_margin_is_over_the_best_of_the_others():
    over = {"left": ("us",), "right": ("a", "b")}
    assert not states(claim("margin", stated=(("ji", "2.0"), ("dsc", "1.0")), **over))
    # 2.1 and 1.9 can be the rounded difference of numbers that print as 64.0 and 62.0; 2.2 cannot.
    assert not states(claim("margin", stated=(("ji", "2.1"),), **over))
    (nearest,) = states(claim("margin", stated=(("ji", "4.0"),), **over))
    assert nearest == ["ji 2.0", "a", "60.1", "65.9"]
    assert states(claim("margin", stated=(("ji", "2.2"),), **over))


def test_a_tie_is_not_above():
    over = {"metrics": ("ji", "dsc"), "right": ("a", "b")}
    assert not states(claim("above", left=("us",), **over))
    assert states(claim("above", left=("b",), metrics=("ji",), right=("us",)))
    tied = (*RESULTS[:4], *row("us", "62.0", "74.0"))
    (nearest,) = states(claim("above", left=("us",), **over), tied)
    assert nearest == ["dsc", "62.1", "61.9"]


def test_the_best_represents_its_side_in_each_metric():
    cells = row("a", "60.0", "71.0") + row("x", "61.0", "70.0") + row("y", "59.0", "72.0")
    said = claim("above", left=("x", "y"), right=("a",), metrics=("ji", "dsc"))
    assert not states(said, cells)


def test_a_value_is_given_to_the_method_that_has_it():
    (nearest,) = states(claim("value", left=("a",), stated=(("ji", "64.0"), ("dsc", "74.0"))))
    assert nearest == ["us", "ji 60.0, dsc 71.0"]


def test_what_is_not_on_record_is_unchecked():
    said = claim("data", stated=(("slices", "49"),))
    assert audit(Paper(RESULTS, (said,))).claims == {"c": "unchecked"}
    assert not states(said, record=RECORD)
    assert states(claim("data", stated=(("slices", "50"),)), record=RECORD) == [["49"]]
    assert audit(Paper(RESULTS, (said,), RECORD)).claims == {"c": "agrees"}


def test_a_correction_that_breaks_another_rule_is_not_offered():
    said = claim("above", left=("b",), right=("us",), metrics=("ji",), tables=("A",))
    paper = Paper(RESULTS, (said,))
    problems = find_problems(paper)
    first, second = corrections(paper, problems[0], problems)
    # The claim alone would take any JI of b above 64.0, but its DSC of 73.0 needs one up to 73.1
    # (both 73.05); and any of ours below 62.0, but our DSC of 74.0 needs one from 58.7
    # (73.95 / 126.05 = 58.67, of which 58.65 to 58.75 print as 58.7; 58.6 is too low).
    assert (first.place, first.low, first.high) == ("Table A, d, b, ji", "64.1", "73.1")
    assert (second.place, second.low, second.high) == ("Table A, d, us, ji", "58.7", "61.9")
    # Where b stands in another table too, it cannot change in one alone.
    assert states(said, RESULTS + row("b", "62.0", "73.0", table="B")) == [["61.9"]]
