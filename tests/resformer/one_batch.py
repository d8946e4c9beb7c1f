"""One fixed batch that every method must be able to learn by heart, and the loop that tries.

Shared by the tests of ResFormer and of the compared methods.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 64
N_SEG, N_CLS = 2, 3


@dataclass(frozen=True)
class Learned:
    """Where a training run stood at its last step; by heart is DSC > 0.9 and every label right."""

    steps: int
    first_loss: float
    last_loss: float
    dice: float
    labels_right: bool

    @property
    def by_heart(self) -> bool:
        halved = self.last_loss < self.first_loss / 2
        return halved and self.dice > 0.9 and self.labels_right


def fixed_batch(size: int = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Four noisy images with a bright and a dark ellipse, their masks and three labels each.

    A label shows as a tint of the colour channel of its number.
    """
    generator = torch.Generator().manual_seed(20)
    image = 0.4 + 0.1 * torch.rand(4, 3, size, size, generator=generator)
    mask = torch.zeros(4, size, size, dtype=torch.long)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    for item in range(4):
        for lesion, shade in ((1, 0.4), (2, -0.3)):
            centre = size * (0.3 + 0.4 * torch.rand(2, generator=generator))
            radii = size * (0.12 + 0.12 * torch.rand(2, generator=generator))
            offsets = (rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]
            inside = (offsets[0] ** 2 + offsets[1] ** 2 < 1) & (mask[item] == 0)
            mask[item][inside] = lesion
            image[item, :, inside] += shade
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]])
    image += 0.3 * labels[:, :, None, None]
    return image.contiguous(memory_format=torch.channels_last), mask, labels


def batch_dice(logits: Tensor, mask: Tensor) -> float:
    """Smallest DSC over the lesion types, pixels of the batch pooled."""
    predicted = logits.argmax(1)
    scores = []
    for lesion in range(1, logits.shape[1]):
        overlap = ((predicted == lesion) & (mask == lesion)).sum()
        scores.append(2 * overlap / ((predicted == lesion).sum() + (mask == lesion).sum()))
    return float(torch.stack(scores).min())


def learn(
    network: nn.Module, *, lr: float, max_steps: int, size: int = SIZE, images: int = 4
) -> Learned:
    """Train on the fixed batch until it is known by heart, in training mode throughout.

    Only the tasks that the network does count, on the first `images` of the batch. The images have
    three channels and the arithmetic is bfloat16 where autocast allows, as in training.
    """
    image, mask, labels = (part[:images] for part in fixed_batch(size))
    network.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0, fused=True)
    losses: list[float] = []
    while True:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            prediction = network(image)
        loss, dice, right = torch.zeros(()), 1.0, True
        if prediction.segmentation is not None:
            logits = prediction.segmentation.float()
            loss = loss + F.cross_entropy(logits, mask)
            dice = batch_dice(logits, mask)
        if prediction.classification is not None:
            logits = prediction.classification.float()
            loss = loss + F.binary_cross_entropy_with_logits(logits, labels)
            right = bool(((logits > 0) == (labels > 0.5)).all())
        losses.append(loss.item())
        learned = Learned(len(losses), losses[0], losses[-1], dice, right)
        if learned.by_heart or learned.steps == max_steps:
            return learned
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
