"""What all parts of one pretraining share: its images, how they are masked, its random numbers."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow.config.sections import Policy, Pretraining
from workflow.training.pretraining.views import training_view

HELD_OUT = 0.2  # of the images, as in the official code


@dataclass(frozen=True)
class Pool:
    """Training images and their superpixels on a device.

    Attributes:
        images: uint8 `[N, C, H, W]`, C is 1 (OCT) or 3.
        labels: number of superpixels asked for -> label maps int16 `[N, H, W]`, ids from 1.
        largest: number of superpixels asked for -> the largest id that some map has.
    """

    images: Tensor
    labels: dict[int, Tensor]
    largest: dict[int, int]

    @classmethod
    def on(cls, device: torch.device, images: np.ndarray, labels: dict[int, np.ndarray]) -> "Pool":
        """Copy images uint8 `[N, H, W]` or `[N, H, W, 3]` and their label maps to a device."""
        pixels = torch.from_numpy(np.ascontiguousarray(images))
        pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.movedim(-1, 1)
        return cls(
            pixels.contiguous().to(device),
            {k: torch.from_numpy(maps.astype(np.int16)).to(device) for k, maps in labels.items()},
            {k: int(maps.max()) for k, maps in labels.items()},
        )


@dataclass(frozen=True)
class Masking:
    """The images of one seed, divided in two, and how they are learned from.

    Attributes:
        pool: all images.
        settings: the configuration's `pretraining`.
        precision: format of forward passes; losses are float32.
        seed: decides everything that is random.
    """

    pool: Pool
    settings: Pretraining
    precision: torch.dtype
    seed: int

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.pool.images.device

    def generator(self, purpose: str) -> torch.Generator:
        """Random numbers of their own for each purpose, the same each time they are asked for.

        They are drawn on the CPU, so that every device gets the same.
        """
        digest = hashlib.sha256(f"{self.seed} {purpose}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def rows(self) -> tuple[Tensor, Tensor]:
        """Rows of the images that are learned from and of those held out, each in random order."""
        count = len(self.pool.images)
        order = torch.randperm(count, generator=self.generator("division"))
        held_out = max(1, round(HELD_OUT * count))
        return order[held_out:], order[:held_out]

    def masked(
        self, rows: Tensor, policy: Policy, generator: torch.Generator, *, moved: bool
    ) -> tuple[Tensor, Tensor]:
        """Images, and where a policy masks them.

        Args:
            rows: of the images.
            policy: how many superpixels they have and how many of those are masked.
            generator: draws views and masks.
            moved: whether the images are seen in a training view, or as they are.

        Returns:
            Images float32 `[B, 3, H, W]` in [-1, 1], and masks bool `[B, 1, H, W]`.
        """
        rows = rows.to(self.device)
        images = (self.pool.images[rows].float() / 255).expand(-1, 3, -1, -1)
        labels = self.pool.labels[policy.superpixels][rows].long()
        chosen = draw(labels, self.pool.largest[policy.superpixels], policy.masked, generator)
        if moved:
            images, labels = training_view(images, labels, generator)
        mask = chosen.gather(1, labels.flatten(1)).view(labels.shape).unsqueeze(1)
        return 2 * images - 1, mask


def draw(labels: Tensor, largest: int, masked: int, generator: torch.Generator) -> Tensor:
    """Draw superpixels of each image, of all that it has; a view of it need not show them.

    Images have fewer superpixels than asked for, busy ones far fewer. Where `masked` is more than
    half of an image's, half of them are drawn (decision), so that what is on record for policies,
    that they mask at most half, holds for each image, and few superpixels do not look harder than
    they are.

    Args:
        labels: int64 `[B, H, W]`, ids from 1.
        largest: no id is larger.
        masked: how many to draw of each image.
        generator: a CPU generator.

    Returns:
        bool `[B, largest + 1]`: whether each id is drawn. 0, the outside of an image, never is.
    """
    draws = torch.rand(len(labels), largest, generator=generator).to(labels.device)
    ids = torch.arange(1, largest + 1, device=labels.device)
    have = labels.amax(dim=(1, 2)).unsqueeze(1)
    exists = ids <= have
    # The place of each id when an image's are put in random order, those it lacks last.
    order = draws.masked_fill(~exists, 2).argsort(dim=1, stable=True)
    place = order.argsort(dim=1, stable=True)
    return F.pad(place < (have // 2).clamp(max=masked), (1, 0))
