"""Prepared arrays, kept as uint8 on the device or in host memory, given out batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from workflow.base.errors import ConfigError
from workflow.data.arrays import Arrays

# Of a GPU's free memory, what images may take; the network needs the rest.
SHARE_OF_MEMORY = 0.25


class Batch(NamedTuple):
    """Some images on the device that computes.

    Attributes:
        images: uint8 `[B, C, H, W]`, C is 1 (OCT) or 3.
        masks: uint8 `[B, H, W]`.
        labels: float32 `[B, n_cls]`.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DeviceImages:
    """One split, for a device.

    Attributes:
        images: uint8 `[N, C, H, W]`, C is 1 (OCT) or 3.
        masks: uint8 `[N, H, W]`.
        labels: float32 `[N, n_cls]`.
        scale: what a pixel is divided by.
        target: the device that computes, where the tensors do not lie on it.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor
    scale: float
    target: torch.device | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        return self.target or self.images.device

    def batches(self, parts: Sequence[Tensor]) -> Iterator[Batch]:
        """The images of each part, int64 rows in host memory.

        The rows of all parts go to the device at once: a GPU would wait for each part's own. From
        host memory the images of each part are on their way while those of the one before are used.
        """
        if not parts:
            return
        rows, sizes = torch.cat(list(parts)), [len(part) for part in parts]
        devices = {self.images.device, self.labels.device}
        sent = {device: _sent(rows, device).split(sizes) for device in devices}
        of_images, of_labels = sent[self.images.device], sent[self.labels.device]
        waiting: Batch | None = None
        for image_rows, label_rows in zip(of_images, of_labels, strict=True):
            coming = self._gather(image_rows, label_rows)
            if waiting is not None:
                yield waiting
            waiting = coming
        if waiting is not None:
            yield waiting

    def in_order(self, size: int) -> Iterator[Batch]:
        """All images in their order, as many at a time."""
        return self.batches(torch.arange(len(self)).split(size))

    def _gather(self, image_rows: Tensor, label_rows: Tensor) -> Batch:
        """Some rows, each beside what it chooses; from host memory, without waiting for copies."""
        # Ten times as fast as indexing on a processor: it copies image by image, not byte by byte.
        images, masks = (part.index_select(0, image_rows) for part in (self.images, self.masks))
        labels = self.labels.index_select(0, label_rows)
        return Batch(*(self._brought(part) for part in (images, masks, labels)))

    def _brought(self, part: Tensor) -> Tensor:
        """A part on the device that computes; labels always lie there, images not always."""
        if part.device.type == self.device.type:
            return part
        return part.pin_memory().to(self.device, non_blocking=True)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Some rows, ready for a network: see `ready`."""
        (batch,) = self.batches([rows.cpu()])
        return self.ready(batch)

    def ready(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Images float32 `[B, 3, H, W]` (grey repeated), masks int64 `[B, H, W]`, labels."""
        pixels = (batch.images.float() / self.scale).expand(-1, 3, -1, -1)
        return pixels, batch.masks.long(), batch.labels


def _sent(rows: Tensor, device: torch.device) -> Tensor:
    """Rows in host memory on a device, which does not have to be waited for."""
    if device.type == "cpu":
        return rows
    return rows.pin_memory().to(device, non_blocking=True)


def to_device(
    arrays: Arrays, normalize: str, device: torch.device, images_on: str = "auto"
) -> DeviceImages:
    """A split for a device.

    Args:
        arrays: the split.
        normalize: `unit` (to [0, 1]) or `none` (0 to 255).
        device: what computes.
        images_on: `device`, `host`, or `auto`: on the device if they fit.

    Raises:
        ConfigError: they are to be on the device, and do not fit.
    """
    images = torch.from_numpy(np.array(arrays.images))
    images = images.unsqueeze(1) if images.ndim == 3 else images.movedim(-1, 1)
    masks = torch.from_numpy(np.array(arrays.masks))
    labels = torch.from_numpy(np.array(arrays.labels, np.float32)).to(device)
    place = _place(images.nbytes + masks.nbytes, device, images_on)
    return DeviceImages(
        images=images.contiguous().to(place),
        masks=masks.to(place),
        labels=labels,
        scale=255.0 if normalize == "unit" else 1.0,
        target=device,
    )


def _place(size: int, device: torch.device, images_on: str) -> torch.device:
    """Where images of so many bytes are kept."""
    if device.type != "cuda" or images_on == "host":
        return torch.device("cpu")
    room = int(torch.cuda.mem_get_info(device)[0] * SHARE_OF_MEMORY)
    if size <= room:
        return device
    if images_on == "device":
        raise ConfigError(
            f"training.images_on: found device, but the images take {size / 1e9:.1f} GB and "
            f"{room / 1e9:.1f} GB of the GPU's memory may be theirs; use auto or host"
        )
    return torch.device("cpu")
