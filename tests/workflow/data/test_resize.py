"""How raw images and masks shrink, by either rule of each, and JPEGs decoded at reduced scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from workflow.base.errors import DataError
from workflow.config.datasets import Resize
from workflow.data.decoding import decode, decode_reduced
from workflow.data.resize import resize, resize_image, resize_mask
from workflow.data.sources.source import RawImage

RULES = [
    Resize(images=images, masks=masks)
    for images in ("bilinear", "area")
    for masks in ("nearest", "majority")
]


def raw(pixels, mask=None):
    return RawImage("x", pixels, mask, pixels.shape[:2])


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: f"{rules.images}-{rules.masks}")
class TestEveryRule:
    @settings(max_examples=25, deadline=None)
    @given(
        dtype=st.sampled_from([np.uint8, np.float32]),
        level=st.integers(0, 255),
        shape=st.tuples(st.integers(3, 40), st.integers(3, 40)),
        size=st.sampled_from([8, 16, 33]),
    )
    def test_a_constant_image_stays_constant(self, rules, dtype, level, shape, size):
        pixels, mask = resize(raw(np.full(shape, level, dtype)), size, rules)
        assert pixels.shape == mask.shape == (size, size)
        assert set(np.unique(pixels)) == {level}
        assert pixels.dtype == np.uint8

    def test_the_same_size_changes_nothing(self, rules):
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (16, 16), np.uint8)
        mask = rng.integers(0, 4, (16, 16), np.uint8)
        colour = rng.integers(0, 256, (16, 16, 3), np.uint8)
        for pixels in (image, colour):
            resized, same = resize(raw(pixels, mask), 16, rules)
            np.testing.assert_array_equal(resized, pixels)
            np.testing.assert_array_equal(same, mask)

    @settings(max_examples=25, deadline=None)
    @given(
        array=hnp.arrays(
            np.uint8,
            hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=30),
            elements=st.integers(0, 9),
        ),
        size=st.sampled_from([1, 5, 16, 40]),
    )
    def test_masks_gain_no_values_and_images_no_extremes(self, rules, array, size):
        pixels, mask = resize(raw(array, array), size, rules)
        assert set(np.unique(mask)) <= set(np.unique(array))
        assert array.min() <= pixels.min()
        assert pixels.max() <= array.max()

    def test_image_and_mask_shrink_to_the_same_place(self, rules):
        image = np.zeros((40, 60), np.uint8)
        image[8:20, 15:45] = 255
        pixels, mask = resize(raw(image, (image > 0).astype(np.uint8)), 20, rules)
        expected = np.zeros((20, 20))
        expected[4:10, 5:15] = 1  # divided by 2 and by 3, borders on borders
        np.testing.assert_array_equal(mask, expected)
        # An antialiasing filter blurs the border by less than a pixel either way.
        np.testing.assert_array_equal(pixels >= 128, expected == 1)

    def test_it_averages_where_plain_sampling_would_alias(self, rules):
        stripes = np.tile(np.array([[0, 255]], np.uint8), (64, 32))
        pixels, _ = resize(raw(stripes), 8, rules)
        assert np.abs(pixels[:, 1:-1].astype(int) - 127.5).max() <= 8

    def test_an_image_without_mask_gets_the_mark(self, rules):
        _, mask = resize(raw(np.zeros((5, 9), np.uint8)), 4, rules)
        np.testing.assert_array_equal(mask, np.full((4, 4), 255))


def test_float_pixels_keep_their_steps_until_after_resizing():
    # 10.4 and 11.4: their mean is 10.9, but 10.5 if they are rounded first, which rounds to 10.
    image = np.array([[10.4, 11.4]] * 2, np.float32).repeat(8, 0).repeat(8, 1)
    assert resize_image(raw(image), 1, "bilinear").item() == 11


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, (12, 18), elements=st.integers(0, 255)))
def test_area_is_the_mean_of_each_footprint(image):
    expected = image.astype(float).reshape(4, 3, 6, 3).mean(axis=(1, 3))
    expected = expected.reshape(4, 6)
    found = np.stack([resize_image(raw(image[:, :12]), 4, "area")])[0]
    assert np.abs(found - expected[:, :4]).max() <= 1  # the library rounds after each direction


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, (12, 12), elements=st.integers(0, 3)))
def test_majority_is_the_commonest_class_of_each_footprint(mask):
    blocks = mask.reshape(4, 3, 4, 3).transpose(0, 2, 1, 3).reshape(16, 9)
    # argmax takes the first of equals: the lower class.
    expected = [np.argmax(np.bincount(block, minlength=4)) for block in blocks]
    assert resize_mask(mask, 4, "majority").ravel().tolist() == expected


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, (12, 12), elements=st.integers(0, 3)))
def test_nearest_is_the_class_at_the_centre_of_each_footprint(mask):
    np.testing.assert_array_equal(resize_mask(mask, 4, "nearest"), mask[1::3, 1::3])


# ---- decoding at reduced scale


def photograph(width, height, seed=0):
    """Smooth colours with an edge and some grain, as a photograph has."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = 120 + 60 * np.sin(x / width * 5) + 50 * np.cos(y / height * 4)
    base[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] -= 70
    colour = np.stack([base, base * 0.8, base * 0.7], axis=-1) + rng.normal(
        0, 6, (height, width, 1)
    )
    return np.clip(colour, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(1201, 901), (800, 600), (640, 480), (333, 1777)])
def test_decoding_at_reduced_scale_changes_next_to_nothing(tmp_path, width, height):
    file = tmp_path / "photograph.jpg"
    Image.fromarray(photograph(width, height)).save(file, quality=90)
    pixels, extent = decode_reduced(file, 64)
    factor = round(width / extent[1])
    assert min(pixels.shape[:2]) >= 2 * 64
    assert extent == (height / factor, width / factor)
    assert pixels.shape[:2] == (-(-height // factor), -(-width // factor))
    small = resize_image(RawImage("x", pixels, None, extent), 64, "bilinear").astype(int)
    full = resize_image(raw(decode(file, "RGB")), 64, "bilinear").astype(int)
    assert np.abs(small - full).mean() < 1
    assert np.abs(small - full).max() <= 12


def test_large_photographs_are_decoded_at_an_eighth(tmp_path):
    file = tmp_path / "photograph.jpg"
    Image.fromarray(photograph(2400, 1800)).save(file, quality=90)
    assert decode_reduced(file, 64)[0].shape == (225, 300, 3)
    assert decode_reduced(file, 1200)[0].shape == (1800, 2400, 3)


def test_other_formats_come_at_full_size(tmp_path):
    file = tmp_path / "picture.png"
    Image.fromarray(photograph(300, 200)).save(file)
    pixels, extent = decode_reduced(file, 16)
    assert pixels.shape == (200, 300, 3)
    assert extent == (200, 300)


def test_a_header_that_promises_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("workflow.data.decoding.LARGEST_PIXELS", 1000)
    file = tmp_path / "bomb.png"
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(file)
    with pytest.raises(DataError, match=r"bomb.png: says it has 30 × 40 pixels; .* 1,000 in all"):
        decode_reduced(file, 8)
