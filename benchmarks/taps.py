"""What skipping could save: taps of the DFE's dilated convolutions that only ever see padding.

On a map no wider than the dilation, all taps but the middle one lie in the padding, and the 3×3
convolution is a 1×1 convolution of its middle.
"""

import torch
from torch.nn import functional as F

from benchmarks.roofline import fastest
from resformer.dfe import DILATIONS
from resformer.encoder import CHANNELS


def idle(side: int) -> list[tuple[int, int, int]]:
    """(channels, side of the map, dilation) of each convolution that could be skipped in part.

    Args:
        side: the side of the image in pixels.
    """
    levels = [(channels, side // 2 ** (k + 1)) for k, channels in enumerate(CHANNELS)]
    return [(c, s, rate) for c, s in levels for rate in DILATIONS if rate >= s]


def saved_flops(side: int) -> int:
    """FLOPs of a forward pass of one image that would be saved."""
    return sum(2 * 8 * channels**2 * s**2 for channels, s, _ in idle(side))


def saved_seconds(side: int, batch: int, precision: torch.dtype, device: torch.device) -> float:
    """Seconds of a training step that would be saved, measured on the convolutions alone."""
    return sum(
        _seconds(channels, s, rate, 3, batch, precision, device)
        - _seconds(channels, s, rate, 1, batch, precision, device)
        for channels, s, rate in idle(side)
    )


def _seconds(
    channels: int,
    side: int,
    rate: int,
    kernel: int,
    batch: int,
    precision: torch.dtype,
    device: torch.device,
) -> float:
    """Of one convolution, forward and backward."""
    x = torch.randn(batch, channels, side, side, device=device, dtype=precision)
    weight = torch.randn(channels, channels, kernel, kernel, device=device, dtype=precision)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    x.requires_grad_()
    weight.requires_grad_()
    padding = rate if kernel > 1 else 0

    def work() -> None:
        F.conv2d(x, weight, padding=padding, dilation=rate).sum().backward()

    return fastest(work, device)
