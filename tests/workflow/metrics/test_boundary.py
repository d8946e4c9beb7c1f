"""HD95 and ASD against SimpleITK and cases worked by hand."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.metrics.evaluation_cases import random_masks
from workflow.metrics.boundary import boundary_distances

NAN = math.nan


def by_simple_itk(predicted, reference):
    """(HD95, ASD) of two masks, from ITK's contours and distance maps."""
    if not (predicted.any() and reference.any()):
        return NAN, NAN
    # A frame of background, so that pixels at the image's edge are contour for ITK too.
    contours = [
        sitk.LabelContour(
            sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8)), fullyConnected=False
        )
        for mask in (predicted, reference)
    ]
    maps = [
        np.abs(
            sitk.GetArrayFromImage(
                sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=False)
            )
        )
        for contour in contours
    ]
    lines = [sitk.GetArrayFromImage(contour) > 0 for contour in contours]
    there, back = maps[1][lines[0]], maps[0][lines[1]]
    return max(np.percentile(there, 95), np.percentile(back, 95)), np.mean([*there, *back])


def blobs(seed, side=24):
    """Two masks of a few discs, some of them cut by the edge, some empty."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, : side + 7]
    masks = np.zeros((2, side, side + 7), bool)
    for mask in masks:
        for _ in range(random.integers(0, 4)):
            centre, radius = random.integers(0, side, 2), random.integers(0, 8)
            mask |= (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
    return masks


def of_one(predicted, reference):
    masks = (np.asarray(mask).astype(np.uint8) for mask in (predicted, reference))
    found = boundary_distances(*masks, 1)
    assert found.shape == (1, 2)
    assert found.dtype == np.float32
    return tuple(found[0].tolist())


def near(*values):
    return pytest.approx(values, nan_ok=True, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_distances_of_discs_are_simple_itks(seed):
    predicted, reference = blobs(seed)
    assert of_one(predicted, reference) == near(*by_simple_itk(predicted, reference))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_each_lesion_is_measured_by_itself(seed):
    predicted, reference = (m[0].astype(np.uint8) for m in random_masks(seed, count=1, side=8))
    found = boundary_distances(predicted, reference, 3)
    assert found.shape == (3, 2)
    for k in (1, 2, 3):
        expected = by_simple_itk(predicted == k, reference == k)
        assert tuple(found[k - 1].tolist()) == near(*expected)


def pixel(*places, shape=(6, 9)):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


CASES = {  # predicted, reference -> HD95, ASD
    "both empty": (pixel(), pixel(), NAN, NAN),
    "empty prediction": (pixel(), pixel((1, 1)), NAN, NAN),
    "empty reference": (pixel((1, 1)), pixel(), NAN, NAN),
    "one pixel": (pixel((2, 3)), pixel((2, 3)), 0, 0),
    "one pixel beside it": (pixel((2, 3)), pixel((2, 4)), 1, 1),
    "a triangle of 3, 4 and 5": (pixel((0, 0)), pixel((3, 4)), 5, 5),
    "down and across": (pixel((5, 8)), pixel((0, 8)), 5, 5),
    "all pixels": (np.ones((6, 9)), np.ones((6, 9)), 0, 0),
    # From the far pixel 4, from the others 0: 95 % of the way from the fourth to the fifth of 0, 4
    # is 3.8; the mean of 0, 4 and 0.
    "a pixel too much": (pixel((1, 1), (1, 5)), pixel((1, 1)), 3.8, 4 / 3),
    "a pixel too little": (pixel((1, 1)), pixel((1, 1), (1, 5)), 3.8, 4 / 3),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name):
    predicted, reference, *expected = CASES[name]
    assert of_one(predicted, reference) == near(*expected)


def test_only_borders_are_compared():
    """A hole far inside has a border; the inside of a full mask has none."""
    full, ring = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    full[1:8, 1:8] = True
    ring[1:8, 1:8] = True
    ring[4, 4] = False
    # The ring's border has 4 pixels around the hole, each 2 from the outer border of 24 pixels.
    farthest = np.percentile([0] * 24 + [2] * 4, 95)
    assert of_one(full, ring) == near(farthest, 4 * 2 / (24 + 24 + 4))


def test_all_pixels_have_their_border_at_the_images_edge():
    middle = pixel((2, 2), shape=(5, 5))
    edge = [math.hypot(y - 2, x - 2) for y in range(5) for x in range(5) if {y, x} & {0, 4}]
    assert len(edge) == 16
    expected = max(np.percentile(edge, 95), 2), (sum(edge) + 2) / 17
    assert of_one(np.ones((5, 5)), middle) == near(*expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_where_the_masks_lie_does_not_matter(seed, shift):
    predicted, reference = (np.pad(mask, 1) for mask in blobs(seed, side=12))
    wide = [np.pad(mask, ((shift[0], 9), (shift[1], 9))) for mask in (predicted, reference)]
    assert of_one(*wide) == near(*of_one(predicted, reference))
