"""Random rotation and flips (paper, section IV) of a whole batch at once, on the device."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from workflow.protocol import Augmentation


def draw_motions(count, shape, augmentation, generator):
    return _affine(count, shape, augmentation, generator)


def augment(images, masks, motions, scale
) -> tuple[Tensor, Tensor]:
    """Rotate and flip each image of a batch, and its mask with it, in one resampling.

    Rotation and flips are one affine map per image: images are sampled bilinearly, masks by
    nearest neighbour (so that no new label can arise); what comes from outside is 0.

    Args:
        images: float32 `[B, C, H, W]`.
        masks: int64 `[B, H, W]`.
        augmentation: largest angle in degrees, and the probabilities of the two flips.
        generator: a CPU generator, so that every device draws the same numbers.
    """
    images = (images.float()/scale).expand(-1,3,-1,-1).contiguous(memory_format=torch.channels_last)
    grid = F.affine_grid(
        motions, list(images.shape),
        align_corners=False,
    )
    moved = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    labels = masks.long().unsqueeze(1).to(images.dtype)
    labels = F.grid_sample(labels, grid, mode="nearest", align_corners=False)
    return moved, labels.squeeze(1).round().long()


def _affine(
    count: int, shape: torch.Size, augmentation: Augmentation, generator: torch.Generator
) -> Tensor:
    """`[B, 2, 3]` matrices from output to input coordinates, which run from -1 to 1."""
    draws = torch.rand(3, count, generator=generator)
    angle = (2 * draws[0] - 1) * math.radians(augmentation.rotation)
    flip_x = 1 - 2 * (draws[1] < augmentation.horizontal_flip).float()
    flip_y = 1 - 2 * (draws[2] < augmentation.vertical_flip).float()
    # Coordinates are relative to half a side, so turning a non-square image needs its ratio.
    ratio = shape[0] / shape[1]
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(count)
    first = torch.stack([cos * flip_x, -sin * flip_y * ratio, zero], dim=1)
    second = torch.stack([sin * flip_x / ratio, cos * flip_y, zero], dim=1)
    return torch.stack([first, second], dim=1)
