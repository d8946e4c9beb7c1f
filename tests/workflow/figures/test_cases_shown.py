"""Which cases a figure shows and where its box goes, on examples with a known answer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workflow.figures.cases import PixelWindow, best_window, choose_cases, disagreement

SIZE, SIDE = 16, 4


def brute_force(values, side):
    """Every window, in reading order."""
    rows, columns = values.shape
    return max(
        (
            (int(values[r : r + side, c : c + side].sum()), PixelWindow(r, c, side))
            for r in range(rows - side + 1)
            for c in range(columns - side + 1)
        ),
        key=lambda found: (found[0], -found[1].top, -found[1].left),
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(6, 9), st.integers(6, 9))
def test_best_window_is_the_one_found_by_trying_all(seed, side, rows, columns):
    values = np.random.default_rng(seed).integers(0, 4, (rows, columns))
    assert best_window(values, side) == brute_force(values, side)


@given(st.integers(2, 12))
def test_disagreement_is_the_variance_of_being_right(methods):
    right = np.arange(methods + 1)[None]
    samples = [[1] * k + [0] * (methods - k) for k in range(methods + 1)]
    variance = np.array([np.var(s) for s in samples])
    np.testing.assert_allclose(disagreement(right, methods)[0], variance * methods**2)


def test_one_method_alone_is_shown_where_it_errs():
    assert disagreement(np.array([[0, 1]], np.uint8), 1).tolist() == [[1, 0]]


def example():
    """Four methods on five images; only image 3 has none of the lesion."""
    reference = np.zeros((5, SIZE, SIZE), np.uint8)
    reference[[0, 1, 2, 4], 2:10, 2:10] = 1
    right = np.full((5, SIZE, SIZE), 4, np.uint8)
    right[0, 8:12, 1:5] = 2  # half of the methods right: 16 pixels of the largest disagreement
    right[1, 4:8, 10:14] = 0  # all wrong: bad, but nobody is better than another
    right[2, 0:4, 0:4] = 3  # one wrong
    right[3] = 2  # disputed everywhere, but no reference lesion
    right[4, 3:7, 5:9] = 1
    return reference, right


def test_known_example():
    reference, right = example()
    cases = choose_cases(reference, right, 4, list("abcde"), list("vwxyz"), 4)
    assert [(c.id, c.position) for c in cases] == [("a", 0), ("c", 2), ("e", 4), ("b", 1)]
    assert cases[0].box == PixelWindow(8, 1, SIDE)
    assert cases[1].box == PixelWindow(0, 0, SIDE)
    assert cases[2].box == PixelWindow(3, 5, SIDE)
    assert cases[3].box is None, "no difference between the methods, so nothing to point at"


def test_cases_come_from_different_groups_first():
    reference, right = example()
    cases = choose_cases(reference, right, 4, list("abcde"), ["v", "w", "v", "w", "v"], 4)
    assert [c.id for c in cases] == ["a", "b", "c", "e"]
    assert [c.id for c in choose_cases(reference, right, 4, list("abcde"), ["v"] * 5, 2)] == [
        "a",
        "c",
    ]


def test_equal_scores_are_decided_by_lesion_size_then_id():
    reference = np.zeros((3, SIZE, SIZE), np.uint8)
    reference[:, :4, :4] = 1
    reference[2, :5, :5] = 1
    right = np.full(reference.shape, 2, np.uint8)
    cases = choose_cases(reference, right, 2, ["b", "a", "c"], ["x", "y", "z"], 3)
    assert [c.id for c in cases] == ["c", "a", "b"]


def test_images_without_a_mask_are_no_cases():
    reference = np.full((1, SIZE, SIZE), 255, np.uint8)
    assert choose_cases(reference, np.ones_like(reference), 2, ["a"], ["a"], 3) == []


def test_the_choice_does_not_depend_on_the_order_of_images():
    reference, right = example()
    order = [4, 2, 0, 3, 1]
    ids, groups = list("abcde"), list("vwxyz")
    straight = choose_cases(reference, right, 4, ids, groups, 3)
    shuffled = choose_cases(
        reference[order],
        right[order],
        4,
        [ids[i] for i in order],
        [groups[i] for i in order],
        3,
    )
    assert [(c.id, c.box) for c in straight] == [(c.id, c.box) for c in shuffled]
