"""Masks read by a threshold, by colours, by large values, and several for one image."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.workflow.data.bad_cases.crafted import palette, png, tiff
from workflow.base.errors import DataError
from workflow.config.datasets import FolderLayout
from workflow.data.reading.masks import mask_classes

INSIDE = np.zeros((24, 32), int)
INSIDE[4:16, 8:24] = 1
RED, GREEN = [255, 0, 0], [0, 200, 0]


def classes(file, lesions=("wet",), **layout):
    found = FolderLayout.model_validate({"images": "i", "masks": "m", "color": True, **layout})
    return mask_classes(file, found, lesions)


def stored(tmp_path, content, name="x.png"):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def painted(*colours):
    """Background, and a half of the square in each colour."""
    image = np.zeros((24, 32, 3), np.uint8)
    image[4:16, 8:16] = colours[0]
    image[4:16, 16:24] = colours[-1]
    return image


def test_soft_edges_are_cut_at_a_threshold(tmp_path):
    soft = np.asarray(
        Image.fromarray((INSIDE * 255).astype(np.uint8)).resize((16, 12)).resize((32, 24))
    )
    assert len(np.unique(soft)) > 8
    file = tmp_path / "x.png"
    Image.fromarray(soft).save(file)
    np.testing.assert_array_equal(classes(file, mask_threshold=128), soft >= 128)
    with pytest.raises(DataError, match=r"different values are unknown, .* folder.mask_threshold"):
        classes(file, mask_values=[255])


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_jpeg_masks_are_read_by_a_threshold(tmp_path, mode, quality):
    file = tmp_path / "x.jpg"
    Image.fromarray((INSIDE * 255).astype(np.uint8)).convert(mode).save(file, quality=quality)
    np.testing.assert_array_equal(classes(file, mask_threshold=128), INSIDE)
    with pytest.raises(DataError, match=r"found JPEG; expected .*, or folder.mask_threshold"):
        classes(file, mask_values=[255])


def test_an_empty_jpeg_mask_is_empty(tmp_path):
    file = tmp_path / "x.jpg"
    noise = np.random.default_rng(0).integers(0, 3, (24, 32), np.uint8)
    Image.fromarray(noise).save(file)
    assert not classes(file, mask_threshold=128).any()


def test_a_threshold_that_no_pixel_reaches_is_named(tmp_path):
    file = stored(tmp_path, png(INSIDE, 8))
    with pytest.raises(DataError, match="found values up to 1 in a mask, so none reaches folder"):
        classes(file, mask_threshold=128)
    np.testing.assert_array_equal(classes(file, mask_threshold=1), INSIDE)


def test_a_threshold_reads_shares_and_bits(tmp_path):
    file = stored(tmp_path, tiff((INSIDE * 0.7).astype(np.float32), 1), "x.tif")
    np.testing.assert_array_equal(classes(file, mask_threshold=0.5), INSIDE)
    np.testing.assert_array_equal(
        classes(stored(tmp_path, png(INSIDE, 1)), mask_threshold=128), INSIDE
    )


def test_a_jpeg_mask_in_colour_is_named(tmp_path):
    file = tmp_path / "x.jpg"
    Image.fromarray(painted(RED)).save(file)
    with pytest.raises(DataError, match=r"x.jpg: found a mask in colour; .* folder.mask_colors"):
        classes(file, mask_threshold=128)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "gif"])
def test_a_colour_map_is_read_by_its_colours(tmp_path, mode, suffix):
    image = Image.fromarray(painted(RED, GREEN))
    if mode == "P":
        image = image.quantize(8)
    elif suffix in ("png", "tif"):
        image = image.convert(mode)
    image.save(tmp_path / f"x.{suffix}")
    mask = classes(tmp_path / f"x.{suffix}", ("wet", "dry"), mask_colors=[GREEN, RED])
    assert (mask[4:16, 8:16] == 2).all()
    assert (mask[4:16, 16:24] == 1).all()
    assert (mask > 0).sum() == INSIDE.sum()


def test_another_background_may_be_named(tmp_path):
    image = painted(RED)
    image[(image == 0).all(axis=2)] = 255
    Image.fromarray(image).save(tmp_path / "x.png")
    file = tmp_path / "x.png"
    assert classes(file, mask_colors=[RED], mask_background=[255] * 3).sum() == INSIDE.sum()
    with pytest.raises(
        DataError,
        match=r"found colour \[255, 255, 255\] in a mask \(576 pixels have one of 1 unknown colours"
        r"\); allowed: \[0, 0, 0\] background, \[255, 0, 0\] wet. Correct the mask, folder.mask_co",
    ):
        classes(file, mask_colors=[RED])


def test_a_colour_map_with_soft_edges_is_named(tmp_path):
    soft = Image.fromarray(painted(RED)).resize((9, 7), Image.Resampling.BICUBIC).resize((32, 24))
    soft.save(tmp_path / "x.png")
    with pytest.raises(DataError, match="edges seem to be soft, store them hard"):
        classes(tmp_path / "x.png", mask_colors=[RED])


def test_values_beyond_eight_bits_may_be_named(tmp_path):
    file = stored(tmp_path, png(INSIDE * 40000, 16))
    np.testing.assert_array_equal(classes(file, mask_values=[40000]), INSIDE)
    with pytest.raises(DataError, match="found value 40000 in a mask"):
        classes(file, mask_values=[255])


@pytest.mark.parametrize("value", [1, 255])
def test_white_of_one_bit_is_the_value_that_is_named(tmp_path, value):
    file = stored(tmp_path, png(INSIDE, 1))
    np.testing.assert_array_equal(classes(file, mask_values=[value]), INSIDE)


@pytest.mark.parametrize(
    ("colours", "indices"),
    [
        ([(0,) * 3, (255,) * 3], INSIDE),
        ([(255,) * 3, (0,) * 3], 1 - INSIDE),
        ([(0,) * 3, *[(9,) * 3] * 3, (255,) * 3], INSIDE * 4),
    ],
    ids=["as they are", "turned", "between others"],
)
def test_of_a_grey_palette_what_is_shown_counts(tmp_path, colours, indices):
    file = stored(tmp_path, png(indices, 8, palette(*colours)))
    np.testing.assert_array_equal(classes(file, mask_values=[255]), INSIDE)
    with pytest.raises(DataError, match="the file has a palette, and what is shown counts: 0 is s"):
        classes(file, mask_values=[1])


def test_colours_that_are_names_of_indices_are_read_by_index(tmp_path):
    indices = INSIDE * 2
    indices[20:22] = 1
    file = stored(tmp_path, png(indices, 8, palette((0, 0, 0), (128, 0, 0), (0, 128, 0))))
    np.testing.assert_array_equal(classes(file, ("a", "b"), mask_values=[1, 2]), indices)
    np.testing.assert_array_equal(
        classes(file, ("a", "b"), mask_colors=[[128, 0, 0], [0, 128, 0]]), indices
    )


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ({}, "give one of mask_values, mask_threshold and mask_colors; found none of them"),
        ({"mask_values": [1], "mask_threshold": 9}, "found mask_values and mask_threshold"),
        ({"mask_colors": [RED], "mask_threshold": 9}, "found mask_threshold and mask_colors"),
        ({"mask_colors": [[0, 0, 0]]}, "mask_background must not be among mask_colors"),
        ({"mask_colors": [RED, RED]}, "each value may occur once"),
        ({"mask_values": [65536]}, "less than or equal to 65535"),
        ({"mask_threshold": 0}, "greater than 0"),
        ({"mask_values": [1], "mask_suffix": ["_a", ""]}, "none may be empty"),
    ],
)
def test_masks_are_read_in_one_way(layout, says):
    with pytest.raises(ValidationError, match=says):
        FolderLayout.model_validate({"images": "i", "masks": "m", "color": True, **layout})
