"""Overlay colours, pixel by pixel."""

import numpy as np
import pytest

from workflow.figures.overlays import (
    ALPHA,
    BLUE,
    GREEN,
    RED,
    YELLOW,
    class_colours,
    paint,
    paint_classes,
    paint_errors,
)


def tinted(grey, colour):
    return [round((1 - ALPHA) * grey + ALPHA * channel) for channel in colour]


def test_palette_is_the_caption_s():
    def hue(colour):
        return tuple(channel > 128 for channel in colour)

    assert hue(RED) == (True, False, False)
    assert hue(GREEN) == (False, True, False)
    assert hue(BLUE) == (False, False, True)
    assert hue(YELLOW) == (True, True, False)
    assert class_colours(["irf", "srf", "ped"]) == [RED, GREEN, BLUE]
    assert class_colours(["ped", "irf"]) == [BLUE, RED]
    assert class_colours(["lesion"]) == [RED]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_errors_pixel_by_pixel(channels):
    image = np.full((2, 3, *channels), 100, np.uint8)
    reference = np.array([[1, 1, 0], [0, 2, 255]], np.uint8)
    predicted = np.array([[1, 0, 1], [0, 1, 1]], np.uint8)
    painted = paint_errors(image, reference, predicted)
    assert painted.dtype == np.uint8
    assert painted[0, 0].tolist() == tinted(100, YELLOW), "true positive"
    assert painted[0, 1].tolist() == tinted(100, RED), "false negative"
    assert painted[0, 2].tolist() == tinted(100, GREEN), "false positive"
    assert painted[1, 0].tolist() == [100, 100, 100], "true negative"
    assert painted[1, 1].tolist() == tinted(100, RED), "another lesion's class is a miss"
    assert painted[1, 2].tolist() == tinted(100, GREEN)


def test_the_reference_compared_with_itself_is_all_true_positive():
    reference = np.array([[0, 1], [2, 0]], np.uint8)
    painted = paint_errors(np.zeros((2, 2), np.uint8), reference, reference)
    assert painted[0, 1].tolist() == painted[1, 0].tolist() == tinted(0, YELLOW)
    assert not painted[0, 0].any()


def test_classes_pixel_by_pixel():
    image = np.array([[0, 50, 100, 200, 250]], np.uint8)
    mask = np.array([[0, 1, 2, 3, 255]], np.uint8)
    painted = paint_classes(image, mask, ["irf", "srf", "ped"])[0].tolist()
    assert painted == [
        [0, 0, 0],
        tinted(50, RED),
        tinted(100, GREEN),
        tinted(200, BLUE),
        [250, 250, 250],
    ]


def test_painting_leaves_the_image_alone():
    image = np.zeros((2, 2, 3), np.uint8)
    paint(image, [(np.ones((2, 2), bool), RED)])
    assert not image.any()
