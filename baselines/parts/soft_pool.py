"""Soft-pooling (Stergiou et al., ICCV 2021): averages in which large values weigh exponentially."""

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_pool(x: Tensor) -> Tensor:
    """Average windows of 2×2 with softmax weights, Σ eˣ x / Σ eˣ.

    In float32 also under autocast, and with each window's maximum subtracted, without which eˣ
    overflows for values above 88 (in float16 above 11).

    Args:
        x: `[B, C, H, W]` with even H and W.

    Returns:
        `[B, C, H / 2, W / 2]`.
    """
    exact = x.float()
    # Pooling by library calls keeps channels-last memory, which sums over split axes would lose.
    # The maximum cancels out, so it needs no gradient.
    maximum = F.interpolate(F.max_pool2d(exact.detach(), 2), scale_factor=2, mode="nearest")
    weight = torch.exp(exact - maximum)
    return (F.avg_pool2d(weight * exact, 2) / F.avg_pool2d(weight, 2)).to(x.dtype)


def global_soft_pool(x: Tensor) -> Tensor:
    """Average whole maps as in `soft_pool`: `[B, C, H, W]` to `[B, C]`."""
    exact = x.float().flatten(2)
    return (exact.softmax(2) * exact).sum(2).to(x.dtype)
