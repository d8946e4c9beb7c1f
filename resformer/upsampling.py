"""Bilinear resizing whose gradient is deterministic on a GPU and costs what the native one does.

torch's own backward pass adds with atomic operations on a GPU, in no fixed order. Where
deterministic algorithms are asked for, `torch.nn.functional.interpolate` therefore takes four
gathers forward, and a sorted `index_put` backward, in float32: several times the memory and traffic
of a whole step. Here the forward pass is the native kernel, and the backward pass multiplies by the
two matrices that a bilinear resizing is made of, one for the rows and one for the columns: a fixed
order of sums, in the gradient's own precision. Elsewhere it is torch's own operation.
"""

from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def resize_bilinear(x: Tensor, size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """Resize a map bilinearly.

    Args:
        x: Map `[B, C, h, w]`.
        size: Height H and width W of the result.
        align_corners: Whether the centres of the corner pixels stay in the corners, as in
            `torch.nn.functional.interpolate`.

    Returns:
        Map `[B, C, H, W]`, with that function's values.
    """
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return cast("Tensor", DeterministicBilinear.apply(x, size, align_corners))
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


class BilinearUpsampling(nn.Module):
    """Enlarge maps `[B, C, H, W]` to `[B, C, f H, f W]`, in place of `torch.nn.Upsample`.

    Args:
        factor: The factor f.
        align_corners: As in `resize_bilinear`.
    """

    def __init__(self, factor: int = 2, *, align_corners: bool) -> None:
        super().__init__()
        self.factor, self.align_corners = factor, align_corners

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, f H, f W]`."""
        size = (x.shape[2] * self.factor, x.shape[3] * self.factor)
        return resize_bilinear(x, size, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        """What torch prints of it."""
        return f"factor={self.factor}, align_corners={self.align_corners}"


class DeterministicBilinear(torch.autograd.Function):
    """The native forward pass, and as its gradient two products with the matrices of weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
        """Resize `[B, C, h, w]` to `[B, C, H, W]`."""
        ctx.small, ctx.align_corners = tuple(x.shape[2:]), align_corners
        return torch.ops.aten.upsample_bilinear2d.default(x, list(size), align_corners, None, None)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient `[B, C, h, w]` from that of the result, `[B, C, H, W]`."""
        (gradient,) = gradients
        height, width = ctx.small
        # A compiler works the weights out on the spot; else they are kept, on the device.
        matrix = spread.__wrapped__ if torch.compiler.is_compiling() else spread
        kind = (ctx.align_corners, gradient.dtype, gradient.device)
        rows = matrix(height, gradient.shape[2], *kind)
        columns = matrix(width, gradient.shape[3], *kind)
        with torch.autocast(gradient.device.type, enabled=False):
            return _shrink(gradient, rows, columns), None, None


def _shrink(gradient: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Multiply rows and columns of `[B, C, H, W]` by `[h, H]` and `[w, W]`, as they lie in memory.

    A product reads its operands in the order in which they lie, so that nothing is copied: channels
    are a product's columns where they lie last, and counted with the images where they lie first.
    """
    if gradient.is_contiguous(memory_format=torch.channels_last):
        last = gradient.permute(0, 2, 3, 1)  # [B, H, W, C], contiguous
        batch, height, width, channels = last.shape
        low = rows @ last.reshape(batch, height, width * channels)
        low = columns @ low.reshape(batch * len(rows), width, channels)
        return low.reshape(batch, len(rows), len(columns), channels).permute(0, 3, 1, 2)
    return rows @ gradient @ columns.T


@lru_cache(maxsize=256)
def spread(
    small: int, large: int, align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The matrix `[small, large]` that takes a result's gradient back to the smaller grid.

    Column j holds the weights of result j: two neighbours by their nearness, or one at the border.
    They are worked out in float64 and rounded once to `dtype`.
    """
    at = torch.arange(large, dtype=torch.float64, device=device)
    if align_corners:
        at = at * ((small - 1) / max(large - 1, 1))
    else:
        at = ((at + 0.5) * (small / large) - 0.5).clamp(min=0.0)
    below = at.floor().clamp(max=small - 1)
    share = at - below
    above = (below + 1).clamp(max=small - 1)
    grid = torch.arange(small, dtype=torch.float64, device=device)[:, None]
    return ((grid == below) * (1 - share) + (grid == above) * share).to(dtype)
