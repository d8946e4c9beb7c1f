"""The step that the engine is measured against: what a good engineer would write first.

Float32, torch's default memory layout, attention written out with its bias and the mask of every
window repeated for the batch, torch's default AdamW, and a DataLoader whose workers read PNGs and
turn them one by one. Network, loss and weights are those of the engine.
"""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from resformer.attention import WindowAttention
from workflow.config.training import Augmentation, Training
from workflow.training.losses import combined_loss

WORKERS = 2
APART = -100.0  # what the public Swin code adds where two tokens must not meet


def attend(self: WindowAttention, windows: Tensor, regions: Tensor | None) -> Tensor:
    """Attention within windows `[B * nW, T, C]`, equation by equation."""
    count, tokens, channels = windows.shape
    width = channels // self.heads
    qkv = self.qkv(windows).reshape(count, tokens, 3, self.heads, width).permute(2, 0, 3, 1, 4)
    query, key, value = qkv[0], qkv[1], qkv[2]
    scores = (query * width**-0.5) @ key.transpose(-2, -1)
    bias = self.bias_table[self.relative_index.view(-1)].view(tokens, tokens, -1)
    scores = scores + bias.permute(2, 0, 1).contiguous()[None]
    if regions is not None:
        apart = regions[:, :, None] != regions[:, None, :]
        mask = torch.zeros(apart.shape, device=scores.device).masked_fill(apart, APART)
        scores = scores + mask.repeat(count // len(regions), 1, 1)[:, None]
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(count, tokens, channels)
    return self.projection(mixed)


class PlainStep:
    """One optimiser step after the other.

    Args:
        network: taken over; its attention is replaced.
        training: loss and optimiser; the learning rate stays.
        device: the device to compute on.
    """

    def __init__(self, network: nn.Module, training: Training, device: torch.device) -> None:
        for module in network.modules():
            if isinstance(module, WindowAttention):
                module._attend = types.MethodType(attend, module)
        self.network = network.to(device).train()
        self.training = training
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=training.learning_rate,
            betas=training.betas,
            weight_decay=training.weight_decay,
        )

    def __call__(self, images: Tensor, masks: Tensor, labels: Tensor) -> float:
        """One step on float32 images `[B, 3, H, W]`, int64 masks and labels; returns the loss."""
        prediction = self.network(images)
        loss = combined_loss(prediction, masks, labels, None, self.training.loss).total
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def moved(image: Tensor, mask: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """One uint8 image `[C, H, W]` and its mask `[H, W]`, moved pixel by pixel.

    Args:
        image: one of them; what comes from outside is 0.
        mask: its mask; nearest neighbour.
        motion: `[2, 3]`, from coordinates of the output to those of the input, from -1 to 1.

    Returns:
        Float32 `[C, H, W]` in [0, 1], and int64 `[H, W]`.
    """
    height, width = mask.shape
    y = (torch.arange(height, device=mask.device) * 2 + 1) / height - 1
    x = (torch.arange(width, device=mask.device) * 2 + 1) / width - 1
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)  # [H, W, (x, y)]
    sides = torch.tensor([width, height], device=mask.device)
    source = ((places @ motion[:, :2].T + motion[:, 2] + 1) * sides - 1) / 2

    def read(values: Tensor, at: Tensor) -> Tensor:
        inside = ((at >= 0) & (at < sides)).all(-1)
        column, row = at.clamp(min=0).minimum(sides - 1).long().unbind(-1)
        return values[..., row, column] * inside

    corner, pixels = source.floor(), image.float() / 255
    right, down = (source - corner).unbind(-1)
    total = torch.zeros_like(pixels)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = (right if dx else 1 - right) * (down if dy else 1 - down)
        total += share * read(pixels, corner + torch.tensor([dx, dy], device=mask.device))
    return total, read(mask, source.round()).long()


class PngImages(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Images and masks in PNG files, one of each per image.

    Args:
        folder: the folder that the files are written to and read from.
        images: uint8 `[N, C, H, W]`, C is 1 or 3.
        masks: uint8 `[N, H, W]`.
        labels: float32 `[N, n_cls]`.
        augmentation: largest angle, and the probabilities of the two flips.
    """

    def __init__(
        self,
        folder: Path,
        images: Tensor,
        masks: Tensor,
        labels: Tensor,
        augmentation: Augmentation,
    ) -> None:
        self.folder, self.labels, self.augmentation = folder, labels.cpu(), augmentation
        pairs = zip(images.cpu().numpy(), masks.cpu().numpy(), strict=True)
        for number, (image, mask) in enumerate(pairs):
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{number}.png")
            Image.fromarray(mask).save(folder / f"{number}_mask.png")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Read one image, turn and flip it, and its mask with it."""
        image: Any = Image.open(self.folder / f"{index}.png").convert("RGB")
        mask: Any = Image.open(self.folder / f"{index}_mask.png")
        draws, limits = torch.rand(3).tolist(), self.augmentation
        angle = (2 * draws[0] - 1) * limits.rotation
        image = image.rotate(angle, Image.Resampling.BILINEAR)
        mask = mask.rotate(angle, Image.Resampling.NEAREST)
        chances = (limits.horizontal_flip, limits.vertical_flip)
        flips = (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
        for draw, chance, flip in zip(draws[1:], chances, flips, strict=True):
            if draw < chance:
                image, mask = image.transpose(flip), mask.transpose(flip)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return pixels, torch.from_numpy(np.array(mask)).long(), self.labels[index]


def batches(images: PngImages, size: int, device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """Shuffled batches without end, read by workers, on the device."""
    loader = DataLoader(
        images, size, shuffle=True, num_workers=WORKERS, persistent_workers=True, drop_last=True
    )
    while True:
        for batch in loader:
            yield tuple(part.to(device) for part in batch)
