"""Masks of the image browser: the very labels come back, and damaged files are named."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.workflow.report.browser.microscope_files import all_masks, labels, said
from workflow.base.errors import DataError
from workflow.report.browser.differences import differences
from workflow.report.browser.mask_png import mask_png
from workflow.report.browser.masks import BLOCK, holds_masks, read_masks, write_blocks

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=19)


@given(st.data())
def test_a_png_gives_back_the_labels(data):
    values = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=40, unique=True))
    shape = data.draw(SHAPES)
    mask = data.draw(arrays(np.uint8, shape, elements=st.sampled_from(values)))
    assert np.array_equal(labels(base64.b64encode(mask_png(mask)).decode()), mask)


@pytest.mark.parametrize(("count", "bits"), [(2, 1), (3, 2), (4, 2), (5, 4), (17, 8)])
def test_a_png_has_few_bits_and_no_colour_profile(count, bits):
    png = mask_png(np.arange(count, dtype=np.uint8)[None])
    assert png[24] == bits
    assert not any(name in png for name in (b"gAMA", b"iCCP", b"sRGB", b"cHRM", b"tRNS"))


def test_a_mask_weighs_what_its_outline_does():
    y, x = np.ogrid[:512, :512]
    mask = np.zeros((512, 512), np.uint8)
    assert len(mask_png(mask)) < 150
    for label, (top, left, radius) in enumerate([(150, 150, 90), (300, 350, 60)], start=1):
        mask[(y - top) ** 2 + (x - left) ** 2 < radius**2] = label
    assert len(mask_png(mask)) < 6 * mask.any(axis=1).sum(), "three bytes for each border in a row"


def some_masks(count, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (count, 9, 13), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 3])
def test_blocks_hold_all_masks_in_order(tmp_path, count):
    masks, file = some_masks(count), tmp_path / "masks.npz"
    np.savez_compressed(file, masks=masks)
    folder = tmp_path / "blocks"
    folder.mkdir()
    write_blocks(folder, "skin", "vit", 3, read_masks(file, masks.shape, BLOCK))
    assert np.array_equal(all_masks(folder), masks)
    for number in range(-(-count // BLOCK)):
        name, values = said(folder / f"{number}.js")
        assert (name, values[:4]) == ("masks", ["skin", "vit", 3, number])


def test_a_file_without_masks_is_seen(tmp_path):
    for name, content in (("some", {"masks": some_masks(1)}), ("none", {})):
        np.savez_compressed(tmp_path / f"{name}.npz", **content)
    found = {name: holds_masks(tmp_path / f"{name}.npz") for name in ("some", "none", "absent")}
    assert found == {"some": True, "none": False, "absent": False}


def test_what_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "masks.npz"
    file.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"masks\.npz: damaged \(cannot be read"):
        holds_masks(file)
    np.savez_compressed(file, masks=some_masks(8, seed=3))
    with pytest.raises(DataError, match=r"found masks uint8 \(8, .* \(9, 9, 13\)"):
        list(read_masks(file, (9, 9, 13), BLOCK))
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes(40) + whole[middle + 40 :])
    with pytest.raises(DataError, match="cannot be read"):
        list(read_masks(file, (8, 9, 13), BLOCK))


def slow_difference(masks, lesions):
    """1 - Dice over all lesions, of each pair."""
    found = []
    for i, one in enumerate(masks):
        for other in masks[i + 1 :]:
            common = sum(((one == k) & (other == k)).sum() for k in range(1, lesions + 1))
            size = (one > 0).sum() + (other > 0).sum()
            found.append(1 - 2 * common / size if size else 0.0)
    return np.mean(found)


def test_differences_are_those_of_pairs():
    methods = [some_masks(6, seed) for seed in range(4)]
    for masks in methods:
        masks[1] = 0
        masks[2] = masks[2] > 0
    methods[0][3] = 0
    wanted = [slow_difference([m[k] for m in methods], 3) for k in range(6)]
    parts = [[m[:4] for m in methods], [m[4:] for m in methods]]
    found = differences(parts, 3)
    assert found.dtype == np.uint8
    assert np.abs(found - 200 * np.array(wanted)).max() <= 0.5 + 1e-3
    assert found[1] == 0
    assert found[0] > 0
