"""Prepared arrays on a device: uint8 kept there, turned into network input batch by batch."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from workflow.data.arrays import Arrays


class Batch(NamedTuple):
    images: Tensor
    masks: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DeviceImages:
    """One split on a device.

    Attributes:
        images: uint8 `[N, C, H, W]`, C is 1 (OCT) or 3.
        masks: uint8 `[N, H, W]`.
        labels: float32 `[N, n_cls]`.
        scale: what a pixel is divided by.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor
    scale: float

    @property
    def device(self):
        return self.images.device

    def batches(self, parts):
        for rows in parts:
            rows = rows.to(self.device)
            yield Batch(self.images[rows], self.masks[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images float32 `[B, 3, H, W]` (grey repeated), masks int64 `[B, H, W]`, labels."""
        images = self.images[rows].float() / self.scale
        return images.expand(-1, 3, -1, -1), self.masks[rows].long(), self.labels[rows]


def to_device(arrays: Arrays, normalize: str, device: torch.device, images_on='auto') -> DeviceImages:
    """Copy a split to the device; `normalize` is `unit` (to [0, 1]) or `none` (0 to 255)."""
    images = torch.from_numpy(np.array(arrays.images))
    images = images.unsqueeze(1) if images.ndim == 3 else images.movedim(-1, 1)
    return DeviceImages(
        images=images.contiguous().to(device),
        masks=torch.from_numpy(np.array(arrays.masks)).to(device),
        labels=torch.from_numpy(np.array(arrays.labels, np.float32)).to(device),
        scale=255.0 if normalize == "unit" else 1.0,
    )
