"""Pixel counts and the validation Jaccard index against scikit-learn and hand-made cases."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score

from workflow.metrics.counts import jaccard_where_present, pixel_counts


def pair(seed, *, images=4, lesions=3, height=5, width=6):
    generator = torch.Generator().manual_seed(seed)
    shape = (images, height, width)
    return [torch.randint(0, lesions + 1, shape, generator=generator) for _ in range(2)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_counts_are_scikit_learns(seed, lesions, size):
    predicted, reference = pair(seed, lesions=lesions, height=size[0], width=size[1])
    counts = pixel_counts(predicted, reference, lesions)
    assert counts.shape == (4, lesions, 4)
    assert counts.dtype == torch.int64
    for image in range(4):
        for k in range(1, lesions + 1):
            true, found = (m[image].numpy().ravel() == k for m in (reference, predicted))
            (tn, fp), (fn, tp) = confusion_matrix(true, found, labels=[False, True])
            assert counts[image, k - 1].tolist() == [tp, fp, fn, tn]
    assert (counts.sum(dim=-1) == size[0] * size[1]).all()


CASES = {  # predicted, reference -> TP, FP, FN, TN of lesion 1 on a 2 x 2 image
    "both empty": ([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]),
    "empty reference": ([1, 1, 0, 0], [0, 0, 0, 0], [0, 2, 0, 2]),
    "empty prediction": ([0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 3, 1]),
    "one pixel": ([0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 3]),
    "all pixels": ([1, 1, 1, 1], [1, 1, 1, 1], [4, 0, 0, 0]),
    "beside it": ([1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 2]),
    "another lesion": ([2, 2, 1, 0], [1, 2, 2, 0], [0, 1, 1, 2]),
}


@pytest.mark.parametrize("name", CASES)
def test_cases_by_hand(name):
    predicted, reference, expected = CASES[name]
    masks = [torch.tensor(values).view(1, 2, 2) for values in (predicted, reference)]
    assert pixel_counts(*masks, 2)[0, 0].tolist() == expected


def test_an_image_without_reference_holds_no_lesion():
    predicted = torch.tensor([[[1, 0], [2, 0]]])
    counts = pixel_counts(predicted, torch.full((1, 2, 2), 255), 2)
    assert counts[0].tolist() == [[0, 1, 0, 3], [0, 1, 0, 3]]


def test_small_integers_count_as_large_ones():
    predicted, reference = pair(1)
    small = pixel_counts(predicted.to(torch.uint8), reference.to(torch.uint8), 3)
    assert torch.equal(small, pixel_counts(predicted, reference, 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_jaccard_is_a_mean_of_means_over_reference_positive_images(seed, lesions, side):
    predicted, reference = pair(seed, lesions=lesions, height=side, width=side)
    means = []
    for k in range(1, lesions + 1):
        held = [
            jaccard_score(true.ravel() == k, found.ravel() == k)
            for true, found in zip(reference.numpy(), predicted.numpy(), strict=True)
            if (true == k).any()
        ]
        means += [np.mean(held)] if held else []
    value = jaccard_where_present(pixel_counts(predicted, reference, lesions)).item()
    expected = np.mean(means) if means else math.nan
    assert value == pytest.approx(expected, nan_ok=True)


def test_jaccard_by_hand():
    #            TP FP FN TN
    counts = torch.tensor(
        [
            [[2, 1, 1, 0], [0, 3, 0, 1]],  # 1/2; not held, though found
            [[4, 0, 0, 0], [1, 0, 3, 0]],  # 1; 1/4
            [[0, 0, 0, 4], [0, 0, 1, 3]],  # not held; 0
        ]
    )
    expected = ((1 / 2 + 1) / 2 + (1 / 4 + 0) / 2) / 2
    assert jaccard_where_present(counts).item() == pytest.approx(expected)


def test_a_lesion_that_no_image_holds_is_left_out():
    counts = torch.tensor([[[1, 0, 1, 2], [0, 2, 0, 2]]])
    assert jaccard_where_present(counts).item() == 0.5


def test_no_lesion_at_all_has_no_jaccard():
    assert math.isnan(jaccard_where_present(torch.tensor([[[0, 0, 0, 4], [0, 4, 0, 0]]])).item())


def test_large_counts_keep_their_precision():
    # 2^24 + 1 is the first whole number that float32 cannot hold.
    counts = torch.tensor([[[2**24 + 1, 0, 2**24 - 1, 0]]])
    assert jaccard_where_present(counts).item() == (2**24 + 1) / 2**25
