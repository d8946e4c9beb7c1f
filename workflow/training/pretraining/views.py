"""How the images of a batch are seen in pretraining: another cut-out, turn and colour each time."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = (0.2, 0.8)  # of the cut-out square, as a share of the image's
DEGREES = 15.0
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.2, 0.2, 0.05, 0.05
GREY = (0.2989, 0.587, 0.114)


def training_view(
    images: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a random square out of each image, turn and flip it, scale it up and change its colours.

    Cutting, flips, scaling and rotation are one resampling: images bilinearly, label maps by
    nearest neighbour. A turned square shows its surroundings in its corners, not black (decision);
    what lies outside of the image is 0 in both.

    Args:
        images: float32 `[B, 3, H, W]` in [0, 1].
        labels: int64 `[B, H, W]`.
        generator: a CPU generator, so that every device draws the same numbers.
    """
    matrices = _affine(len(images), images.shape[2] / images.shape[3], generator)
    grid = F.affine_grid(matrices.to(images.device), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    ids = labels.unsqueeze(1).to(images.dtype)
    ids = F.grid_sample(ids, grid, mode="nearest", align_corners=False)
    factors = torch.rand(4, len(images), generator=generator).to(images.device)
    return jitter(moved, factors), ids.squeeze(1).round().long()


def _affine(count: int, ratio: float, generator: torch.Generator) -> Tensor:
    """`[B, 2, 3]` matrices from output to input coordinates, which run from -1 to 1."""
    draws = torch.rand(6, count, generator=generator)
    side = SIDE[0] + (SIDE[1] - SIDE[0]) * draws[0]
    angle = (2 * draws[1] - 1) * math.radians(DEGREES)
    flip_x, flip_y = 1 - 2 * (draws[2:4] < 0.5).float()
    x, y = (2 * draws[4:6] - 1) * (1 - side)  # centres of squares that lie inside
    cos, sin = side * angle.cos(), side * angle.sin()
    # Coordinates are relative to half a side, so turning a non-square image needs its ratio.
    first = torch.stack([cos * flip_x, -sin * flip_y * ratio, x], dim=1)
    second = torch.stack([sin * flip_x / ratio, cos * flip_y, y], dim=1)
    return torch.stack([first, second], dim=1)


def jitter(images: Tensor, draws: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, in this order.

    Args:
        images: `[B, 3, H, W]` in [0, 1].
        draws: `[4, B]` in [0, 1]; 0.5 leaves an image as it is.
    """
    spread = 2 * draws[:, :, None, None, None] - 1
    images = (images * (1 + BRIGHTNESS * spread[0])).clamp(0, 1)
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    images = mean.lerp(images, 1 + CONTRAST * spread[1]).clamp(0, 1)
    images = _grey(images).lerp(images, 1 + SATURATION * spread[2]).clamp(0, 1)
    return _turn_hue(images, HUE * spread[3])


def _grey(images: Tensor) -> Tensor:
    weights = torch.tensor(GREY, device=images.device).view(3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of the HSV model by a share of the whole circle."""
    red, green, blue = images.split(1, dim=1)
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    safe = chroma.clamp(min=torch.finfo(images.dtype).tiny)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    offsets = torch.tensor([5.0, 3.0, 1.0], device=images.device).view(3, 1, 1)
    corner = (offsets + hue + 6 * turn).remainder(6)
    return value - chroma * torch.minimum(corner, 4 - corner).clamp(0, 1)
