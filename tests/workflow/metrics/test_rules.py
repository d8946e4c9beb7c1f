"""Each rule of JI and DSC against scikit-learn and SimpleITK, and against cases worked by hand."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from tests.workflow.metrics.evaluation_cases import FLUIDS, counted, pixels, random_masks
from workflow.metrics.ratios import ratio_of_sums
from workflow.metrics.rules import RULES, segmentation_parts

SCORES = {"ji": jaccard_score, "dsc": f1_score}
seeds = st.integers(0, 10**6)


def score(found, rule, metric):
    """(per cent, n) of a metric, as every table computes it from its parts."""
    parts = segmentation_parts(found, rule)[metric]
    value = ratio_of_sums(parts.numerator.sum(axis=0), parts.denominator.sum(axis=0))
    return float(value), int(parts.n.sum())


def near(value, n):
    return pytest.approx(value, nan_ok=True), n


# ---- against scikit-learn, over masks in which classes are often absent


def means_over(pairs_of_class, metric, **options):
    """The mean over pairs (reference, predicted) of each class, then over classes; how many."""
    scores = [
        [SCORES[metric](true.ravel(), found.ravel(), **options) for true, found in pairs]
        for pairs in pairs_of_class
    ]
    means = [np.mean(s) for s in scores if s]
    return 100 * np.mean(means) if means else math.nan, sum(map(len, scores))


def of_class(both, k):
    predicted, reference = both
    return [(r == k, p == k) for p, r in zip(predicted, reference, strict=True)]


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(["ji", "dsc"]))
def test_per_image_is_a_mean_over_images_that_hold_the_class(seed, metric):
    both = random_masks(seed)
    pairs = [[pair for pair in of_class(both, k) if pair[0].any()] for k in (1, 2, 3)]
    assert score(counted(*both), "per_image", metric) == near(*means_over(pairs, metric))


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(["ji", "dsc"]))
def test_pooled_is_scikit_learns_macro_average_over_all_pixels(seed, metric):
    predicted, reference = random_masks(seed)
    held = [k for k in (1, 2, 3) if (reference == k).any()]
    expected = math.nan
    if held:
        expected = 100 * SCORES[metric](
            reference.ravel(), predicted.ravel(), labels=held, average="macro"
        )
    found = score(counted(predicted, reference), "pooled", metric)
    assert found == near(expected, len(reference) * len(held))


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(["ji", "dsc"]))
def test_per_volume_pools_within_a_volume_and_averages_over_those_that_hold_the_class(seed, metric):
    both, groups = random_masks(seed, count=7), list("aabbbca")
    volumes = [[g == volume for g in groups] for volume in "abc"]
    stacked = [[mask[volume] for mask in both] for volume in volumes]
    pairs = [
        [(r == k, p == k) for p, r in stacked if (r == k).any()]
        for k in (1, 2, 3)
    ]  # fmt: skip
    found = score(counted(*both, groups=groups), "per_volume", metric)
    assert found == near(*means_over(pairs, metric))


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(["ji", "dsc"]), st.sampled_from(["empty_is_one", "challenge"]))
def test_empty_is_one_is_scikit_learns_with_a_reward_for_nothing(seed, metric, rule):
    both = random_masks(seed)
    pairs = [of_class(both, k) for k in (1, 2, 3)]
    expected = means_over(pairs, metric, zero_division=1.0)
    assert score(counted(*both), rule, metric) == near(*expected)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_overlap_of_one_image_is_simple_itks(seed):
    predicted, reference = random_masks(seed, count=1, side=6)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    one, other = (sitk.GetImageFromArray(m[0].astype(np.uint8)) for m in (reference, predicted))
    measures.Execute(one, other)
    for k, name in enumerate(FLUIDS, start=1):
        if (reference == k).any():
            found = counted(predicted == k, reference == k, [name])
            for metric, expected in (
                ("ji", measures.GetJaccardCoefficient(k)),
                ("dsc", measures.GetDiceCoefficient(k)),
            ):
                assert score(found, "per_image", metric) == near(100 * expected, 1)
                assert score(found, "pooled", metric) == near(100 * expected, 1)


# ---- cases: predicted, reference on 2 x 2 pixels -> JI and DSC of one lesion by each rule, and n

NAN = math.nan
HELD = ("per_image", "pooled", "per_volume")
CASES = {
    "empty prediction": ([0, 0, 0, 0], [1, 0, 0, 0], (0, 0, 1), (0, 0, 1)),
    "empty reference": ([1, 0, 0, 0], [0, 0, 0, 0], (NAN, NAN, 0), (0, 0, 1)),
    "both empty": ([0, 0, 0, 0], [0, 0, 0, 0], (NAN, NAN, 0), (1, 1, 1)),
    "one pixel": ([0, 0, 0, 1], [0, 0, 0, 1], (1, 1, 1), (1, 1, 1)),
    "beside it": ([0, 0, 1, 0], [0, 0, 0, 1], (0, 0, 1), (0, 0, 1)),
    "all pixels": ([1, 1, 1, 1], [1, 1, 1, 1], (1, 1, 1), (1, 1, 1)),
    "all where one is": ([1, 1, 1, 1], [0, 1, 0, 0], (1 / 4, 2 / 5, 1), (1 / 4, 2 / 5, 1)),
    "one where all are": ([0, 1, 0, 0], [1, 1, 1, 1], (1 / 4, 2 / 5, 1), (1 / 4, 2 / 5, 1)),
    "half of two": ([0, 1, 1, 0], [0, 0, 1, 1], (1 / 3, 1 / 2, 1), (1 / 3, 1 / 2, 1)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CASES)
def test_one_image(name, rule):
    predicted, reference, where_held, with_empty = CASES[name]
    jaccard, dice, n = where_held if rule in HELD else with_empty
    found = counted(np.reshape(predicted, (1, 2, 2)), np.reshape(reference, (1, 2, 2)), ["lesion"])
    assert score(found, rule, "ji") == near(100 * jaccard, n)
    assert score(found, rule, "dsc") == near(100 * dice, n)


#          image 0, volume a   image 1, volume a   image 2, volume b
#          TP FP FN TN         TP FP FN TN         TP FP FN TN
COUNTED = [
    [[6, 2, 2, 10], [0, 5, 0, 15], [0, 4, 0, 16]],
    [[1, 0, 3, 16], [0, 0, 0, 20], [0, 0, 0, 20]],
    [[0, 9, 0, 11], [9, 1, 0, 10], [0, 1, 0, 19]],
]
# irf: held by images 0 and 1; srf: by image 2; ped: by none.
EXPECTED = {  # rule -> JI, n, DSC
    "per_image": (((6 / 10 + 1 / 4) / 2 + 9 / 10) / 2, 3, ((12 / 16 + 2 / 5) / 2 + 18 / 19) / 2),
    "pooled": ((7 / 23 + 9 / 15) / 2, 6, (14 / 30 + 18 / 24) / 2),
    "per_volume": ((7 / 14 + 9 / 10) / 2, 2, (14 / 21 + 18 / 19) / 2),
    "empty_is_one": (
        ((6 / 10 + 1 / 4 + 0) + (0 + 1 + 9 / 10) + (0 + 1 + 0)) / 9,
        9,
        ((12 / 16 + 2 / 5 + 0) + (0 + 1 + 18 / 19) + (0 + 1 + 0)) / 9,
    ),
}
EXPECTED["challenge"] = EXPECTED["empty_is_one"]


@pytest.mark.parametrize("rule", RULES)
def test_three_images_of_two_volumes_by_hand(rule):
    found = pixels(COUNTED, groups=["a", "a", "b"])
    jaccard, n, dice = EXPECTED[rule]
    assert score(found, rule, "ji") == near(100 * jaccard, n)
    assert score(found, rule, "dsc") == near(100 * dice, n)


PARTS = {  # rule -> numerator, denominator (rows: volumes a and b), n of JI
    "per_image": ([[0.85, 0, 0], [0, 0.9, 0]], [[2, 0, 0], [0, 1, 0]], [2, 1, 0]),
    "pooled": ([[7, 0, 0], [0, 9, 0]], [[14, 5, 0], [9, 10, 0]], [3, 3, 0]),
    "per_volume": ([[0.5, 0, 0], [0, 0.9, 0]], [[1, 0, 0], [0, 1, 0]], [1, 1, 0]),
    "empty_is_one": ([[0.85, 1, 1], [0, 0.9, 0]], [[2, 2, 2], [1, 1, 1]], [3, 3, 3]),
}
PARTS["challenge"] = PARTS["empty_is_one"]


@pytest.mark.parametrize("rule", RULES)
def test_the_parts_of_each_volume_by_hand(rule):
    parts = segmentation_parts(pixels(COUNTED, groups=["a", "a", "b"]), rule)["ji"]
    numerator, denominator, n = PARTS[rule]
    np.testing.assert_allclose(parts.numerator, numerator)
    np.testing.assert_array_equal(parts.denominator, denominator)
    np.testing.assert_array_equal(parts.n, n)
    assert parts.groups == ("a", "b")
    assert parts.numerator.dtype == parts.denominator.dtype == np.float64


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(RULES))
def test_the_order_of_images_does_not_matter(seed, rule):
    both, groups = random_masks(seed), np.array(list("aabbcc"))
    order = np.random.default_rng(seed).permutation(6)
    found = counted(*both, groups=groups.tolist())
    shuffled = counted(*both[:, order], groups=groups[order].tolist())
    for metric in segmentation_parts(found, rule):
        assert score(shuffled, rule, metric) == near(*score(found, rule, metric))


def test_dice_follows_from_the_jaccard_index_where_pixels_are_pooled():
    """Which is how the paper's numbers, where it does not, rule pooling out."""
    both = random_masks(3, classes=2)
    jaccard = score(counted(*both, ["lesion"]), "pooled", "ji")[0] / 100
    dice = score(counted(*both, ["lesion"]), "pooled", "dsc")[0] / 100
    assert dice == pytest.approx(2 * jaccard / (1 + jaccard))


# ---- what single rules add


def test_which_metrics_each_rule_has():
    found = {rule: set(segmentation_parts(pixels(COUNTED), rule)) for rule in RULES}
    assert found == {
        "per_image": {"ji", "dsc"},
        "pooled": {"ji", "dsc"},
        "per_volume": {"ji", "dsc", "avd"},
        "empty_is_one": {"ji", "dsc"},
        "challenge": {"ji", "dsc", "ji_65"},
    }


def test_volume_differences_by_hand():
    parts = segmentation_parts(pixels(COUNTED, groups=["a", "a", "b"]), "per_volume")["avd"]
    # Volume a has 40 voxels: irf 2 - 5, srf 5 - 0, ped 4 - 0; volume b has 20: 9, 1 and 1.
    np.testing.assert_allclose(
        parts.numerator, [[3 / 40, 5 / 40, 4 / 40], [9 / 20, 1 / 20, 1 / 20]]
    )
    np.testing.assert_array_equal(parts.denominator, np.ones((2, 3)))
    np.testing.assert_array_equal(parts.n, [2, 2, 2])
    assert parts.groups == ("a", "b")


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_volume_differences_are_those_of_the_masks(seed):
    predicted, reference = random_masks(seed)
    differences = [
        abs((predicted[volume] == k).mean() - (reference[volume] == k).mean())
        for k in (1, 2, 3)
        for volume in (slice(0, 2), slice(2, 6))
    ]
    found = score(counted(predicted, reference, groups=list("aabbbb")), "per_volume", "avd")
    assert found == near(100 * np.mean(differences), 6)


def test_a_jaccard_index_below_the_challenges_threshold_counts_as_nothing():
    #         .65 is a success          just below it              nothing to find, nothing found
    counts = [[[13, 3, 4, 0]], [[649, 351, 0, 0]], [[0, 0, 0, 9]]]
    parts = segmentation_parts(pixels(counts, ["lesion"]), "challenge")["ji_65"]
    np.testing.assert_array_equal(parts.numerator, [[0.65], [0], [1]])
    np.testing.assert_array_equal(parts.denominator, np.ones((3, 1)))
    assert parts.n.tolist() == [3]
    value, n = score(pixels(counts, ["lesion"]), "challenge", "ji")
    assert (value, n) == near(100 * (0.65 + 0.649 + 1) / 3, 3)
