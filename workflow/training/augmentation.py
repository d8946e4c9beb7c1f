"""Random rotation and flips (paper, section IV) of a whole batch at once, on the device."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from workflow.config.training import Augmentation


def draw_motions(
    count: int, shape: torch.Size, augmentation: Augmentation, generator: torch.Generator
) -> Tensor:
    """Draw a rotation and flips for each of some images.

    Args:
        count: the number of images.
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
        motions: the motion of each image, `[B, 2, 3]`, as `draw_motions` gives them.
        scale: what a pixel is divided by.

    Returns:
        Images float32 `[B, 3, H, W]` with their channels last in memory, masks int64 `[B, H, W]`.
    """
    count, _, height, width = images.shape
    moved = torch.empty(
        (count, 3, height, width), device=images.device, memory_format=torch.channels_last
    )
    labels = torch.empty_like(masks, dtype=torch.int64)
    # A processor takes an image per thread at a time: what lies between input and output stays in
    # its cache then. Nothing of an image depends on those beside it.
    portion = count if images.is_cuda else torch.get_num_threads()
    across, down = _sources(motions, height, width)
    for first in range(0, count, portion):
        part = slice(first, first + portion)
        grid = torch.view_as_real(across[part, None, :] + down[part, :, None])
        _move_masks(masks[part], grid, labels[part])
        _move_images(images[part], grid, scale, moved[part])
    return moved, labels


# Functions, so that what one makes on the way leaves the cache to the next.
def _move_masks(masks: Tensor, grid: Tensor, moved: Tensor) -> None:
    values = masks.unsqueeze(1).float()
    moved.copy_(F.grid_sample(values, grid, mode="nearest", align_corners=False).squeeze(1))


def _move_images(images: Tensor, grid: Tensor, scale: float, moved: Tensor) -> None:
    pixels = images.float().div_(scale)
    sampled = F.grid_sample(pixels, grid, mode="bilinear", align_corners=False)
    planes = sampled.unbind(1) if sampled.shape[1] == 3 else [sampled[:, 0]] * 3
    torch.stack(planes, -1, out=moved.movedim(1, -1))  # faster than repeating grey


def _sources(motions: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where pixels come from: what a column `[B, W]` and what a row `[B, H]` adds, as x + yi.

    `affine_grid` multiplies a matrix with every pixel's coordinates. As complex numbers, both
    coordinates of a pixel are one sum; they run from -1 to 1.
    """
    x = (torch.arange(width, device=motions.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=motions.device) * 2 + 1) / height - 1
    across = (motions[:, None, :, 0] * x[:, None]).contiguous()
    down = (motions[:, None, :, 1] * y[:, None] + motions[:, None, :, 2]).contiguous()
    return torch.view_as_complex(across), torch.view_as_complex(down)
