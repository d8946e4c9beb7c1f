"""Random rotation and flips (paper, section IV) of a whole batch at once, on the device."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from workflow.protocol import Augmentation


def draw_motions(
    count: int, shape: torch.Size, augmentation: Augmentation, generator: torch.Generator
) -> Tensor:
    """Draw a rotation and flips for each of some images.

    Args:
        count: of images.
        shape: their height and width.
        augmentation: largest angle in degrees, and the probabilities of the two flips.
        generator: a CPU generator, so that every device gets the same numbers.

    Returns:
        float32 `[count, 2, 3]`, maps from output to input coordinates, which run from -1 to 1.
    """
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


def augment(images: Tensor, masks: Tensor, motions: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Rotate and flip each image of a batch, and its mask with it, in one resampling.

    Images are sampled bilinearly, masks by nearest neighbour (so that no new label can arise); what
    comes from outside is 0. A grey image is moved once and then repeated.

    Args:
        images: uint8 `[B, C, H, W]`, C is 1 or 3.
        masks: uint8 `[B, H, W]`.
        motions: of each image, `[B, 2, 3]`, as `draw_motions` gives them.
        scale: what a pixel is divided by.

    Returns:
        Images float32 `[B, 3, H, W]` with their channels last in memory, masks int64 `[B, H, W]`.
    """
    grid = F.affine_grid(motions, [len(images), 1, *images.shape[-2:]], align_corners=False)
    moved = F.grid_sample(images.float() / scale, grid, mode="bilinear", align_corners=False)
    labels = masks.unsqueeze(1).to(moved.dtype)
    labels = F.grid_sample(labels, grid, mode="nearest", align_corners=False)
    moved = moved.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    return moved, labels.squeeze(1).round().long()
