"""Attention within windows on a processor, with the gradient of the bias.

Torch's fused attention on a processor gives a mask no gradient, and its fallback computes in
float32 what was asked for in bfloat16 and keeps every score. Here the forward pass is the fused
one, and the backward pass computes the scores again, a few windows at a time, so that they stay in
the processor's cache. The sums run in a fixed order: equal inputs give equal bits.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Scores held at a time; 4 MB in float32.
SCORES = 2**20
Rows = Tensor | slice


def attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, regions: Tensor | None
) -> Tensor:
    """Return softmax(q kᵀ / sqrt(d) + bias) v of every window and head.

    Args:
        query: `[B * nW, heads, T, d]`, images first.
        key: As `query`.
        value: As `query`.
        bias: `[heads, T, T]`, shared by all windows.
        regions: Integers `[nW, T]`; tokens attend within their region of a window. `None`:
            within the window.

    Returns:
        `[B * nW, heads, T, d]`, with a token's heads side by side in memory.
    """
    kinds = [(slice(len(query)), None)] if regions is None else _kinds(regions, len(query))
    return _Attention.apply(query, key, value, bias, kinds)  # pyright: ignore


def _kinds(regions: Tensor, count: int) -> list[tuple[Rows, Tensor | None]]:
    """Sort windows by which of their tokens must part; a shifted map has four kinds.

    Returns:
        Rows of the windows of a kind, and booleans `[T, T]` that are true where two tokens must
        part, or `None` where none must.
    """
    places = torch.arange(count).view(-1, len(regions))
    distinct, kind = regions.unique(dim=0, return_inverse=True)
    kinds: list[tuple[Rows, Tensor | None]] = []
    for number, region in enumerate(distinct):
        apart = region[:, None] != region[None, :]
        rows = places[:, kind == number].flatten()
        kinds.append((rows, apart if apart.any() else None))
    return kinds


def _parts(rows: Rows, size: int) -> Sequence[Rows]:
    """Some windows at a time; a slice takes them where they lie, without a copy."""
    if isinstance(rows, Tensor):
        return rows.split(size)
    return [slice(first, first + size) for first in range(0, rows.stop, size)]


def _masked(bias: Tensor, apart: Tensor | None) -> Tensor:
    return bias if apart is None else bias.masked_fill(apart, float("-inf"))


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention of windows that share a mask; detached, or torch would not take the fused path."""
    mask = mask.detach().to(query.dtype)[None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class _Attention(torch.autograd.Function):
    """See `attend`."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        kinds: list[tuple[Rows, Tensor | None]],
    ) -> Tensor:
        if len(kinds) == 1:
            mixed = _fused(query, key, value, _masked(bias, kinds[0][1]))
        else:
            count, heads, tokens, width = query.shape
            mixed = query.new_empty(count, tokens, heads, width).transpose(1, 2)
            for rows, apart in kinds:
                mixed[rows] = _fused(query[rows], key[rows], value[rows], _masked(bias, apart))
        ctx.save_for_backward(query, key, value, bias)
        ctx.kinds = kinds
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        (gradient,) = gradients
        query, key, value, bias = ctx.saved_tensors
        count, heads, tokens, width = query.shape
        # The layout in which a linear layer made query, key and value.
        found = query.new_empty(count, tokens, 3, heads, width)
        of_bias = torch.zeros_like(bias)
        with torch.autocast("cpu", enabled=False):
            scores = _Scores(max(1, min(count, SCORES // tokens**2)), tokens, query.dtype)
            for rows, apart in ctx.kinds:
                mask = _masked(bias, apart)
                for part in _parts(rows, len(scores.weights)):
                    for head in range(heads):
                        one = (part, head)
                        *three, change = scores.gradients(
                            query[one], key[one], value[one], gradient[one], mask[head]
                        )
                        of_bias[head] += change
                        for number, of_one in enumerate(three):
                            found[part, :, number, head] = of_one
        return (*found.permute(2, 0, 3, 1, 4).unbind(0), of_bias, None)


class _Scores:
    """Room for the scores of some windows, which is used again and again.

    Args:
        windows: How many windows.
        tokens: Tokens T of one.
        dtype: Format of the matrix products that do not make scores.
    """

    def __init__(self, windows: int, tokens: int, dtype: torch.dtype) -> None:
        exact = torch.promote_types(dtype, torch.float32)
        shape = (windows, tokens, tokens)
        self.weights = torch.empty(shape, dtype=exact)
        self._change = torch.empty(shape, dtype=exact)
        self._buffer = torch.empty(shape, dtype=exact)
        self._rounded = torch.empty(shape, dtype=dtype)

    def gradients(
        self, query: Tensor, key: Tensor, value: Tensor, gradient: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of query, key, value `[n, T, d]` and of the bias `[T, T]`."""
        count, scale = len(query), query.shape[-1] ** -0.5
        weights, change, buffer, rounded = (
            x[:count] for x in (self.weights, self._change, self._buffer, self._rounded)
        )
        exact = weights.dtype
        torch.baddbmm(mask, query.to(exact), key.to(exact).mT, alpha=scale, out=buffer)
        torch.softmax(buffer, -1, out=weights)
        rounded.copy_(weights)
        of_value = torch.bmm(rounded.mT, gradient)
        torch.bmm(gradient.to(exact), value.to(exact).mT, out=buffer)
        torch.ops.aten._softmax_backward_data.out(buffer, weights, -1, exact, grad_input=change)
        rounded.copy_(change)
        of_query = torch.bmm(rounded, key).mul_(scale)
        of_key = torch.bmm(rounded.mT, query).mul_(scale)
        return of_query, of_key, of_value, change.sum(0)
