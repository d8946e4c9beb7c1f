"""Training views: the colours of torchvision's jitter, squares inside of the image."""

import pytest
import torch
from torchvision.transforms import functional as reference

from workflow.training.pretraining import views

NEUTRAL = 0.5


def pictures(count=3, height=20, width=24):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(5))


def draws(count, **changed):
    made = torch.full((4, count), NEUTRAL)
    for place, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        made[place] = changed.get(name, NEUTRAL)
    return made


def test_neutral_draws_change_nothing():
    images = pictures()
    assert torch.allclose(views.jitter(images, draws(3)), images, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "draw", "adjust", "factor"),
    [
        ("brightness", 1.0, reference.adjust_brightness, 1.2),
        ("brightness", 0.0, reference.adjust_brightness, 0.8),
        ("contrast", 1.0, reference.adjust_contrast, 1.2),
        ("contrast", 0.25, reference.adjust_contrast, 0.9),
        ("saturation", 1.0, reference.adjust_saturation, 1.05),
        ("saturation", 0.0, reference.adjust_saturation, 0.95),
        ("hue", 1.0, reference.adjust_hue, 0.05),
        ("hue", 0.0, reference.adjust_hue, -0.05),
    ],
)
def test_each_change_is_torchvisions(name, draw, adjust, factor):
    images = pictures()
    made = views.jitter(images, draws(3, **{name: draw}))
    assert torch.allclose(made, adjust(images, factor), atol=2e-4)
    assert not torch.allclose(made, images, atol=2e-3)


def test_images_of_a_batch_are_changed_one_by_one():
    images = pictures()
    factors = torch.rand(4, 3, generator=torch.Generator().manual_seed(1))
    together = views.jitter(images, factors)
    alone = torch.cat([views.jitter(images[i : i + 1], factors[:, i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_black_white_and_grey_have_no_hue_to_turn():
    images = torch.stack([torch.full((3, 4, 4), value) for value in (0.0, 0.4, 1.0)])
    assert torch.allclose(views.jitter(images, draws(3, hue=1.0)), images, atol=1e-6)


def corners(matrices):
    """Where the corners of unturned views lie, `[B, 2, 2]`: low and high, x and y."""
    return torch.stack([matrices[:, :, 2] - side(matrices), matrices[:, :, 2] + side(matrices)], 1)


def side(matrices):
    return matrices[:, :, :2].square().sum(dim=2).sqrt()


def test_squares_are_a_fifth_to_four_fifths_wide_and_lie_inside():
    matrices = views._affine(2000, 1.0, torch.Generator().manual_seed(0))
    sides = side(matrices)
    assert torch.allclose(sides[:, 0], sides[:, 1], atol=1e-5)
    assert 0.2 <= sides.min() < 0.21
    assert 0.79 < sides.max() <= 0.8
    assert corners(matrices).abs().max() <= 1 + 1e-5
    assert corners(matrices).abs().amax(dim=(1, 2)).max() > 0.99


def test_turns_are_up_to_fifteen_degrees_and_half_are_flipped():
    matrices = views._affine(2000, 1.0, torch.Generator().manual_seed(0))
    linear = matrices[:, :, :2] / side(matrices).unsqueeze(2)
    cosine = linear[:, 0, 0].abs()
    degrees = torch.rad2deg(torch.arccos(cosine.clamp(max=1)))
    assert 14.5 < degrees.max() <= 15.01
    for axis in (0, 1):
        assert (linear[:, axis, axis] < 0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_turn_keeps_lengths_in_an_oblong_image():
    """Steps of a pixel, to the right and down, are the same length wherever a view is turned."""
    height, width = 60, 120
    matrices = views._affine(20, height / width, torch.Generator().manual_seed(3))
    grid = torch.nn.functional.affine_grid(matrices, [20, 1, height, width], align_corners=False)
    x, y = (grid[..., 0] + 1) * width / 2, (grid[..., 1] + 1) * height / 2
    right = torch.hypot(x[:, :, 1:] - x[:, :, :-1], y[:, :, 1:] - y[:, :, :-1])
    down = torch.hypot(x[:, 1:] - x[:, :-1], y[:, 1:] - y[:, :-1])
    assert torch.allclose(right[:, :1, :1], right, rtol=1e-3)
    assert torch.allclose(right[:, 0, 0], down[:, 0, 0], rtol=1e-3)


def test_ids_stay_ids_and_numbers_come_from_the_generator_alone():
    images = pictures(4, 32, 32)
    labels = (torch.arange(32) // 4 + 1).expand(4, 32, 32)
    made = [
        views.training_view(images, labels, torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(made[0][0], made[1][0])
    assert torch.equal(made[0][1], made[1][1])
    assert not torch.equal(made[0][0], made[2][0])
    assert made[0][1].dtype == torch.long
    assert set(made[0][1].unique().tolist()) <= set(range(9))
    assert made[0][0].shape == images.shape
