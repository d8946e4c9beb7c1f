"""Augmentation against exact flips, quarter turns and an independent resampling."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from workflow.config.training import Augmentation
from workflow.training import augmentation as moving

SIZES = [(16, 16), (17, 17), (12, 20), (21, 9), (224, 224)]
OFF = {"rotation": 0.0, "horizontal_flip": 0.0, "vertical_flip": 0.0}


def protocol(**changes):
    return Augmentation.model_validate({**OFF, **changes})


def batch(height, width, *, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, height, width, generator=generator)
    return images, torch.randint(0, 4, (count, height, width), generator=generator)


def augment(images, masks, augmentation, generator):
    """Draw and move at once; images may be floats, and are not scaled."""
    motions = moving.draw_motions(len(images), images.shape[-2:], augmentation, generator)
    return moving.augment(images, masks, motions, 1.0)


def augmented(images, masks, *, seed=0, **changes):
    return augment(images, masks, protocol(**changes), torch.Generator().manual_seed(seed))


@pytest.fixture
def draw(monkeypatch):
    """Fixes the random numbers: an angle in degrees, and which flips happen, for all images."""

    def fix(degrees, horizontal=False, vertical=False):
        numbers = [degrees / 360 + 0.5, float(not horizontal), float(not vertical)]

        def rand(rows, count, generator):
            return torch.tensor(numbers)[:, None].expand(rows, count).clone()

        monkeypatch.setattr(torch, "rand", rand)
        return protocol(rotation=180.0, horizontal_flip=0.5, vertical_flip=0.5)

    return fix


def moved(draw, images, masks, *args, **kwargs):
    chosen = draw(*args, **kwargs)
    return augment(images, masks, chosen, torch.Generator())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("horizontal", "vertical", "dims"), [(0, 0, ()), (1, 0, (-1,)), (0, 1, (-2,)), (1, 1, (-2, -1))]
)
def test_flips_alone_are_exact(size, horizontal, vertical, dims):
    images, masks = batch(*size)
    chances = {"horizontal_flip": float(horizontal), "vertical_flip": float(vertical)}
    moved_images, moved_masks = augmented(images, masks, **chances)
    assert torch.equal(moved_masks, masks.flip(dims))
    # Interpolation weights carry the rounding of coordinates: 1e-7 of up to `size` pixels.
    torch.testing.assert_close(moved_images, images.flip(dims), atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [8, 9, 33])
@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-180, 2), (-90, 3)])
def test_quarter_turns_are_exact(draw, side, degrees, turns):
    images, masks = batch(side, side)
    moved_images, moved_masks = moved(draw, images, masks, degrees)
    assert torch.equal(moved_masks, masks.rot90(turns, (-2, -1)))
    torch.testing.assert_close(moved_images, images.rot90(turns, (-2, -1)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(12, 20), (21, 9)])
def test_a_half_turn_of_an_oblong_image_is_both_flips(draw, size):
    images, masks = batch(*size)
    moved_images, moved_masks = moved(draw, images, masks, 180)
    assert torch.equal(moved_masks, masks.flip(-2, -1))
    torch.testing.assert_close(moved_images, images.flip(-2, -1), atol=1e-4, rtol=0)


def sources(height, width, degrees, horizontal, vertical):
    """Where each output pixel comes from: rows and columns `[H, W]`, about the middle."""
    rows, columns = np.mgrid[:height, :width].astype(float)
    y, x = rows - (height - 1) / 2, columns - (width - 1) / 2
    y, x = (-y if vertical else y), (-x if horizontal else x)
    turn = math.radians(degrees)
    from_x = math.cos(turn) * x - math.sin(turn) * y
    from_y = math.sin(turn) * x + math.cos(turn) * y
    return from_y + (height - 1) / 2, from_x + (width - 1) / 2


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(2, 30), st.integers(2, 30)),
    st.floats(-180, 180),
    st.booleans(),
    st.booleans(),
)
def test_any_turn_and_flip_is_a_rigid_motion_in_pixels(size, degrees, horizontal, vertical):
    images, masks = batch(*size, count=1)
    with pytest.MonkeyPatch.context() as patch:
        numbers = torch.tensor([degrees / 360 + 0.5, float(not horizontal), float(not vertical)])
        patch.setattr(torch, "rand", lambda *_, generator: numbers[:, None])
        moved_images, moved_masks = augment(
            images,
            masks,
            protocol(rotation=180, horizontal_flip=0.5, vertical_flip=0.5),
            torch.Generator(),
        )
    places = sources(*size, degrees, horizontal, vertical)
    for channel, result in zip(images[0].numpy(), moved_images[0].numpy(), strict=True):
        expected = ndimage.map_coordinates(channel, places, order=1, mode="grid-constant")
        np.testing.assert_allclose(result, expected, atol=1e-4)
    nearest = np.round(places).astype(int)
    inside = np.logical_and(nearest >= 0, nearest < np.reshape(size, (2, 1, 1))).all(axis=0)
    rows, columns = np.clip(nearest, 0, np.reshape(size, (2, 1, 1)) - 1)
    expected = np.where(inside, masks[0].numpy()[rows, columns], 0)
    # Half-way between two pixels, either may be the nearest.
    clear = (np.abs(np.abs(places - nearest) - 0.5) > 1e-3).all(axis=0)
    np.testing.assert_array_equal(moved_masks[0].numpy()[clear], expected[clear])


def test_an_image_is_turned_first_and_flipped_then(draw):
    images, masks = batch(12, 20)
    turned, turned_masks = moved(draw, images, masks, 25)
    both, both_masks = moved(draw, images, masks, 25, horizontal=True)
    torch.testing.assert_close(both, turned.flip(-1), atol=1e-4, rtol=0)
    assert (both_masks == turned_masks.flip(-1)).float().mean() > 0.99


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sets(st.integers(0, 250), min_size=1, max_size=4),
    st.floats(0, 180),
)
def test_masks_gain_no_value(seed, values, rotation):
    generator = torch.Generator().manual_seed(seed)
    known = torch.tensor(sorted(values))
    masks = known[torch.randint(0, len(known), (4, 13, 18), generator=generator)]
    images = torch.rand(4, 1, 13, 18, generator=generator)
    _, result = augmented(
        images, masks, seed=seed, rotation=rotation, horizontal_flip=0.5, vertical_flip=0.5
    )
    assert set(result.unique().tolist()) <= values | {0}  # 0 comes in from outside
    assert result.dtype == torch.int64
    assert result.shape == masks.shape


def test_image_and_mask_move_together():
    # Blocks of 6 x 6 pixels, the image painted with the mask's values.
    generator = torch.Generator().manual_seed(3)
    masks = torch.randint(1, 4, (8, 6, 8), generator=generator)
    masks = masks.repeat_interleave(6, dim=1).repeat_interleave(6, dim=2)
    moved_images, moved_masks = augmented(
        masks.unsqueeze(1), masks, rotation=40, horizontal_flip=0.5, vertical_flip=0.5
    )
    moved_images = moved_images[:, 0]
    assert not torch.equal(moved_masks, masks)
    # Inside a block all four neighbours agree, and so must bilinear and nearest.
    inside = (moved_images - moved_images.round()).abs() < 1e-4
    agree = moved_images.round().long() == moved_masks
    inside = inside & (moved_masks > 0)
    assert inside.float().mean() > 0.4
    # Between 1 and 3 a mixture may come out as 2 by chance, but hardly ever.
    assert agree[inside].float().mean() > 0.995


def test_the_same_generator_gives_the_same_bits_and_another_others():
    images, masks = batch(20, 24, count=6)
    chances = {"rotation": 25.0, "horizontal_flip": 0.5, "vertical_flip": 0.5}
    first, again, other = (augmented(images, masks, seed=s, **chances) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_the_protocol_does_not_change_how_many_numbers_are_drawn():
    images, masks = batch(8, 8, count=5)
    states = []
    for changes in ({}, {"rotation": 25.0}, {"horizontal_flip": 1.0, "vertical_flip": 0.5}):
        generator = torch.Generator().manual_seed(9)
        augment(images, masks, protocol(**changes), generator)
        states.append(generator.get_state())
    assert all(torch.equal(states[0], state) for state in states)


def test_each_image_is_moved_by_itself():
    images, masks = batch(16, 16, count=1)
    images, masks = images.expand(64, -1, -1, -1), masks.expand(64, -1, -1)
    result, _ = augmented(images, masks, horizontal_flip=0.5)
    flipped = torch.isclose(result, images.flip(-1), atol=1e-4).flatten(1).all(dim=1)
    kept = torch.isclose(result, images, atol=1e-4).flatten(1).all(dim=1)
    assert (flipped ^ kept).all()
    assert 16 < flipped.sum() < 48  # binomial(64, 1/2), 4 standard deviations


def test_angles_stay_within_the_range_and_reach_for_both_ends():
    # A bright pixel at radius 20 to the right of the middle: its place tells the angle.
    images = torch.zeros(200, 1, 61, 61)
    images[:, :, 29:32, 49:52] = 1.0
    result, _ = augmented(images, torch.zeros(200, 61, 61, dtype=torch.long), rotation=25.0)
    weight = result[:, 0] / result[:, 0].sum(dim=(1, 2)).view(-1, 1, 1)
    place = torch.arange(61.0) - 30
    y = (weight.sum(dim=2) * place).sum(dim=1)
    x = (weight.sum(dim=1) * place).sum(dim=1)
    angles = torch.rad2deg(torch.atan2(y, x))
    assert angles.abs().max() <= 25.2
    assert angles.max() > 20
    assert angles.min() < -20
    assert angles.std().item() == pytest.approx(50 / math.sqrt(12), rel=0.15)  # uniform


def test_inputs_are_left_alone():
    images, masks = batch(10, 10)
    before = images.clone(), masks.clone()
    augmented(images, masks, rotation=30.0)
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


# ---- what the loop gives it: uint8 images with a scale


def pixels(count, channels, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, height, width)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    masks = torch.randint(0, 4, (count, height, width), generator=generator, dtype=torch.uint8)
    limits = protocol(rotation=25.0, horizontal_flip=0.5, vertical_flip=0.5)
    return images, masks, moving.draw_motions(count, (height, width), limits, generator)


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_are_divided_by_the_scale_and_become_floats_of_three_channels(channels):
    images, masks, motions = pixels(5, channels, 14, 18)
    whole, labels = moving.augment(images, masks, motions, 1.0)
    unit, same = moving.augment(images, masks, motions, 255.0)
    assert (whole.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert whole.shape == (5, 3, 14, 18)
    assert whole.is_contiguous(memory_format=torch.channels_last)
    assert whole.max() > 128
    torch.testing.assert_close(unit, whole / 255, atol=1e-6, rtol=0)
    assert torch.equal(labels, same)
    asked, _ = moving.augment(images.float(), masks.long(), motions, 1.0)
    assert torch.equal(whole, asked)
    if channels == 1:
        assert torch.equal(whole[:, :1].expand(-1, 3, -1, -1), whole)
    else:
        assert not torch.equal(whole[:, 0], whole[:, 1])


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 7),
    st.sampled_from([1, 3]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_an_image_moved_alone_is_the_same_as_in_a_batch(count, channels, height, width, seed):
    images, masks, motions = pixels(count, channels, height, width, seed)
    together = moving.augment(images, masks, motions, 255.0)
    for k in range(count):
        part = slice(k, k + 1)
        alone = moving.augment(images[part], masks[part], motions[part], 255.0)
        assert torch.equal(alone[0][0], together[0][k])
        assert torch.equal(alone[1][0], together[1][k])


@pytest.mark.parametrize(("channels", "side"), [(3, 224), (1, 97)])
def test_the_number_of_threads_changes_no_bit(channels, side):
    images, masks, motions = pixels(5, channels, side, side)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(moving.augment(images, masks, motions, 255.0))
    finally:
        torch.set_num_threads(before)
    for again in results[1:]:
        assert torch.equal(again[0], results[0][0])
        assert torch.equal(again[1], results[0][1])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([-1.0, 1.0]))
def test_masks_are_exact_under_flips_of_any_size(height, width, x):
    _, masks, _ = pixels(1, 1, height, width)
    motions = torch.tensor([[[x, 0.0, 0.0], [0.0, -1.0, 0.0]]])
    _, labels = moving.augment(masks.unsqueeze(1), masks, motions, 1.0)
    assert torch.equal(labels, masks.flip((-2,) if x > 0 else (-2, -1)).long())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_places_are_those_of_torch(height, width, seed):
    _, _, motions = pixels(3, 1, height, width, seed)
    grid = torch.nn.functional.affine_grid(motions, [3, 1, height, width], align_corners=False)
    across, down = moving._sources(motions, height, width)
    found = torch.view_as_real(across[:, None, :] + down[:, :, None])
    torch.testing.assert_close(found, grid, atol=2e-5, rtol=0)
