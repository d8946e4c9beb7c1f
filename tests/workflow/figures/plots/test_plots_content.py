"""What the larger figures say, against cases worked out by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workflow.report.reporting_tree import paper_config, results_of_groups, small_config
from workflow.config.cells import Run
from workflow.figures.plots import plot_runs
from workflow.figures.plots.drawing import draw
from workflow.figures.plots.efficiency import Point, front
from workflow.figures.plots.labels import LabelBox, place_labels
from workflow.figures.plots.page import look
from workflow.figures.plots.ranking import ladders, ties
from workflow.figures.plots.reliability import pooled
from workflow.figures.plots.subject import NAMED, Subject, listed
from workflow.results.printed import printed_results


def lines(figure, gid):
    return [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_ties_are_the_largest_sets_that_no_test_divides():
    assert ties("abc", frozenset()) == [(0, 1, 2)]
    assert ties("abc", frozenset({("a", "b"), ("a", "c"), ("b", "c")})) == []
    # The first and the last differ, and each is like what is between: two bars that overlap.
    assert ties("abcd", frozenset({("a", "d"), ("b", "d")})) == [(0, 1, 2), (2, 3)]
    # One between two that are alike is told apart from both, so the bar has no dot there.
    assert ties("abc", frozenset({("a", "b"), ("b", "c")})) == [(0, 2)]


@given(st.sets(st.sampled_from(list(itertools.combinations(range(7), 2)))))
def test_two_share_a_bar_exactly_if_they_are_not_told_apart(told):
    names = [f"m{i}" for i in range(7)]
    found = ties(names, frozenset((names[b], names[a]) for a, b in told))
    for pair in itertools.combinations(range(7), 2):
        assert any(set(pair) <= set(tie) for tie in found) is (pair not in told)
    for one, other in itertools.permutations(found, 2):
        assert not set(one) <= set(other)


def test_a_ranking_joins_what_the_tests_leave_open():
    config = small_config()
    # Groups as pairs: the last is 20 points below, the others differ by less than their noise.
    numbers = {
        "resformer_seq": [80, 82, 78, 80],
        "resformer_par": [80.5, 81.5, 78.2, 80.1],
        "unetpp": [60, 62, 58, 60],
    }
    results = results_of_groups(config, {("isic2017", m, "dsc"): v for m, v in numbers.items()})
    subject = Subject(config, "ranking", plot_runs(config, "ranking"), results)
    (ladder,) = ladders(subject)
    assert ladder.heading == ("Table IV", "ISIC 2017, DSC")
    order = [cell.run.method for cell in ladder.cells]
    assert order == ["resformer_par", "resformer_seq", "unetpp"]
    assert list(ladder.ties) == [(0, 1)]
    with look():
        (bar,) = lines(draw(config, "ranking", results), "tie")
    assert list(bar.get_ydata()) == [0, 1]


def test_a_ranking_in_which_nothing_is_told_apart_has_one_bar():
    config = small_config()
    same = {("isic2017", m, "dsc"): [50, 60, 70, 65] for m in ("resformer_seq", "unetpp")}
    results = results_of_groups(config, same)
    with look():
        figure = draw(config, "ranking", results)
    (bar,) = lines(figure, "tie")
    assert list(bar.get_ydata()) == [0, 1]
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "No two differ in 1 of 1 columns." in words


def test_printed_values_that_are_met_lie_on_the_line():
    config = paper_config(select={"datasets": ["isic2017"], "methods": ["he", "unetpp"]})
    printed = {
        (key.dataset, key.method, key.metric): [float(value)] * 3
        for key, value in printed_results().items()
        if Run(key.dataset, key.method) in plot_runs(config, "published")
    }
    assert len(printed) == 7
    worse = dict(printed)
    worse["isic2017", "he", "ji"] = [float(v) - 9 for v in printed["isic2017", "he", "ji"]]
    with look():
        met = lines(draw(config, "published", results_of_groups(config, printed)), "value")
        missed = lines(draw(config, "published", results_of_groups(config, worse)), "value")
    assert len(met) == len(missed) == 7
    for point in met:
        assert point.get_xdata()[0] == pytest.approx(point.get_ydata()[0])
        assert point.get_markerfacecolor() != "white"
    (off,) = [p for p in missed if p.get_markerfacecolor() == "white"]
    assert off.get_xdata()[0] - off.get_ydata()[0] == pytest.approx(9)


def test_an_effect_is_the_whole_less_the_part():
    methods = ["resformer_seq", "resformer_seq_seg_only"]
    config = paper_config(select={"datasets": ["retouch_topcon"], "methods": methods})
    numbers = {
        ("retouch_topcon", "resformer_seq", "dsc"): [72, 74, 70, 77],
        ("retouch_topcon", "resformer_seq_seg_only", "dsc"): [70, 72, 68, 75],
    }
    results = results_of_groups(config, numbers)
    with look():
        (effect,) = lines(draw(config, "ablation", results), "effect")
    assert effect.get_xdata()[0] == pytest.approx(2)
    assert effect.get_markerfacecolor() != "white", "the same in every group, so told apart"
    numbers["retouch_topcon", "resformer_seq", "dsc"] = [76, 68, 70, 77]
    with look():
        (effect,) = lines(draw(config, "ablation", results_of_groups(config, numbers)), "effect")
    assert effect.get_xdata()[0] == pytest.approx(1.5)
    assert effect.get_markerfacecolor() == "white"


def test_the_front_has_the_methods_that_no_cheaper_one_equals():
    def point(name, gflops, value):
        return Point(Run("d", name), gflops, value)

    found = [
        point("dear", 90, 80),
        point("dominated", 50, 70),
        point("cheap", 1, 60),
        point("equal", 30, 75),
        point("good", 20, 75),
        point("as cheap", 1, 50),
    ]
    assert [one.run.method for one in front(found)] == ["cheap", "good", "dear"]
    assert front([]) == []


# On a grid, so that there is room between points, as there is not between points that coincide.
@given(st.sets(st.tuples(st.integers(1, 5), st.integers(1, 7)), min_size=1, max_size=9))
def test_names_cover_neither_points_nor_each_other(places):
    points = [(0.55 * x, 0.28 * y) for x, y in sorted(places)]
    area = LabelBox(0, 0, 3.4, 2.3)
    boxes = place_labels(points, [(0.4, 0.1)] * len(points), area)
    for one, other in itertools.combinations(boxes, 2):
        assert one.covers(other) == 0
    for box, (x, y) in itertools.product(boxes, points):
        assert box.covers(LabelBox(x - 0.03, y - 0.03, x + 0.03, y + 0.03)) == 0
    for box in boxes:
        assert box.covers(area) == pytest.approx(0.04)


def test_names_keep_off_what_is_drawn():
    free = place_labels([(1.0, 1.0)], [(0.4, 0.1)], LabelBox(0, 0, 2, 2))[0]
    assert free.left > 1.0, "right of its point where nothing is in the way"
    line = LabelBox(1.0, 0.99, 2.0, 1.01)
    moved = place_labels([(1.0, 1.0)], [(0.4, 0.1)], LabelBox(0, 0, 2, 2), [line])[0]
    assert moved.covers(line) == 0


def test_the_labels_of_a_bin_are_pooled_by_their_images():
    bins = pd.DataFrame(
        {
            "low": [0.0, 0.0, 0.5, 0.5],
            "images": [30, 10, 0, 5],
            "probability": [0.1, 0.3, math.nan, 0.6],
            "frequency": [0.0, 0.4, math.nan, 1.0],
        }
    )
    found = pooled(bins)
    assert list(found["images"]) == [40, 5]
    np.testing.assert_allclose(found["probability"], [0.15, 0.6])
    np.testing.assert_allclose(found["frequency"], [0.1, 1.0])


def test_many_names_are_counted():
    assert listed("abc") == "a, b, c"
    names = [str(i) for i in range(NAMED + 3)]
    assert listed(names) == ", ".join(names[:NAMED]) + " and 3 more"
