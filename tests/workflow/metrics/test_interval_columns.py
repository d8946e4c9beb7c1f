"""All pairs of a column of methods: each difference is that of its pair, whatever the order."""

from itertools import permutations

import numpy as np
import pytest

from tests.workflow.metrics.ratio_cases import made, noisy
from workflow.base.errors import DataError
from workflow.metrics.intervals import SEEDS_UNKNOWN, Design, difference, differences
from workflow.metrics.ratios import Ratios

DESIGN = Design()
GROUPS = np.array([61.0, 70.0, 74.0, 83.0])


def column():
    """Methods with other seeds, sizes and classes."""
    images = [[4, 1], [3, 1], [2, 5], [1, 1]]
    whole = {name: noisy(k, classes=2, images=images) for k, name in enumerate("abcd")}
    part = noisy(9, seeds=2, classes=2, images=images)
    single = noisy(8, seeds=1, classes=2, images=images)
    return {
        **whole,
        "two": Ratios(part.numerator, part.denominator, (4, 1), part.groups),
        "one": Ratios(single.numerator, single.denominator, (3,), single.groups),
        "none": Ratios(single.numerator, single.denominator * 0, (0,), single.groups),
    }


def test_a_column_has_the_differences_of_its_pairs_in_its_order():
    methods = column()
    found = differences(methods, DESIGN)
    names = list(methods)
    assert list(found) == [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    for (a, b), value in found.items():
        assert value == difference(methods[a], methods[b], DESIGN)
    assert found["two", "one"] is None
    assert found["a", "none"] is None
    one = found["a", "one"]
    assert one is not None
    assert (one.n, one.notes) == (1, (SEEDS_UNKNOWN,))


def test_a_column_can_be_taken_from_one_method():
    methods = column()
    everything = differences(methods, DESIGN)
    found = differences(methods, DESIGN, of="c")
    assert list(found) == [("c", name) for name in methods if name != "c"]
    assert found["c", "two"] == everything["c", "two"]
    turned, before = found["c", "a"], everything["a", "c"]
    assert turned is not None
    assert before is not None
    assert (turned.value, turned.p) == (-before.value, before.p)


def test_the_order_of_methods_changes_nothing():
    methods = {
        name: ratios for name, ratios in column().items() if name in ("a", "b", "two", "one")
    }
    expected = differences(methods, DESIGN)
    for order in permutations(methods):
        found = differences({name: methods[name] for name in order}, DESIGN)
        for (a, b), value in found.items():
            if (a, b) in expected:
                assert value == expected[a, b]


def test_an_empty_column_has_no_differences():
    assert differences({}, DESIGN) == {}


def test_methods_on_other_groups_are_refused():
    a = made([GROUPS])
    b = Ratios(a.numerator, a.denominator, a.seeds, ("g1", "g0", "g2", "g3"))
    message = "vit: its 4 groups are not the 4 of he, in the same order; evaluate both on the same"
    with pytest.raises(DataError, match=message):
        differences({"he": a, "tang": a, "vit": b}, DESIGN)
    with pytest.raises(DataError, match="the second: its 2 groups are not the 4 of the first"):
        difference(a, made([[1.0, 2.0]]), DESIGN)
