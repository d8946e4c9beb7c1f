"""Window attention: the W-MSA and SW-MSA of the Swin-Transformer block (paper, section III-A).

Source: Liu et al., "Swin Transformer", ICCV 2021, reference [22] of the paper. Multi-head
self-attention inside square windows of the map, with one learned bias per head and relative
position; SW-MSA first shifts the map by half a window, so that tokens on both sides of a border of
W-MSA meet.

Decisions: a map that is no multiple of the window is padded at its lower and right edge, the
padding is never attended to, and along an axis that fits into one window the shift is 0.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resformer import attention_cpu

_PADDING_REGION = 4  # the four regions of a shifted map are numbered 0 to 3


def relative_position_index(window: int) -> Tensor:
    """Number the relative positions of all pairs of tokens in a window.

    Returns:
        `[T, T]` integers below `(2 * window - 1) ** 2`, with `T = window ** 2` tokens in
        row-major order; equal offsets (row, column) have equal numbers.
    """
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    row_offset = rows[:, None] - rows[None, :] + window - 1
    column_offset = columns[:, None] - columns[None, :] + window - 1
    return row_offset * (2 * window - 1) + column_offset


def split_windows(x: Tensor, window: int) -> Tensor:
    """Cut maps `[B, H, W, C]` into windows `[B * nW, T, C]`, images first, then row-major."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // window, window, width // window, window, channels)
    return x.transpose(2, 3).reshape(-1, window * window, channels)


def join_windows(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """Undo `split_windows`: `[B * nW, T, C]` to `[B, height, width, C]`."""
    channels = windows.shape[-1]
    x = windows.reshape(-1, height // window, width // window, window, window, channels)
    return x.transpose(2, 3).reshape(-1, height, width, channels)


def window_regions(
    height: int, width: int, window: int, shift: tuple[int, int], device: torch.device
) -> Tensor:
    """Say for each token of each window which region of the unshifted map it comes from.

    The cyclic shift brings opposite edges of the map into one window; only tokens of the same
    region are neighbours and may attend to each other. Padding is a region of its own.

    Args:
        height: Rows of the map before padding.
        width: Columns of the map before padding.
        window: Side of a window in tokens.
        shift: Rows and columns by which the padded map was rolled up and left.
        device: Where to make the result.

    Returns:
        `[nW, T]` integers.
    """

    def along(length: int, shift: int) -> tuple[Tensor, Tensor]:
        padded = length + -length % window
        position = torch.arange(padded, device=device)
        wrapped = position >= padded - shift
        is_padding = (position + shift) % padded >= length
        return wrapped, is_padding

    row_wrapped, row_padding = along(height, shift[0])
    column_wrapped, column_padding = along(width, shift[1])
    regions = 2 * row_wrapped.long()[:, None] + column_wrapped.long()
    regions = regions.masked_fill(row_padding[:, None] | column_padding, _PADDING_REGION)
    return split_windows(regions[None, :, :, None], window).squeeze(-1)


class WindowAttention(nn.Module):
    """W-MSA, or SW-MSA where `shifted`: attention within the windows of a map.

    Args:
        channels: Channels C of the map, a multiple of `heads`.
        heads: Attention heads.
        window: Side of a window in tokens.
        shifted: Whether to shift the map by half a window first.
    """

    relative_index: Tensor

    def __init__(self, channels: int, heads: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shifted = shifted
        self.qkv = nn.Linear(channels, 3 * channels)
        self.projection = nn.Linear(channels, channels)
        self.bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("relative_index", relative_position_index(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, H, W, C]`."""
        height, width = x.shape[1:3]
        shift = (self._shift_along(height), self._shift_along(width))
        pad_rows, pad_columns = -height % self.window, -width % self.window
        regions = None
        if pad_rows or pad_columns:
            x = F.pad(x, (0, 0, 0, pad_columns, 0, pad_rows))
        if any(shift):
            x = torch.roll(x, (-shift[0], -shift[1]), (1, 2))
        if pad_rows or pad_columns or any(shift):
            regions = window_regions(height, width, self.window, shift, x.device)
        windows = self._attend(split_windows(x, self.window), regions)
        x = join_windows(windows, self.window, height + pad_rows, width + pad_columns)
        if any(shift):
            x = torch.roll(x, shift, (1, 2))
        return x[:, :height, :width]

    def position_bias(self) -> Tensor:
        """Return the learned bias of every head and pair of tokens, `[heads, T, T]`."""
        # An embedding look-up, because its backward sums in a fixed order on CPU and GPU; indexing
        # the table sums atomically on CPU. Fused kernels want the last axis contiguous.
        return F.embedding(self.relative_index, self.bias_table).permute(2, 0, 1).contiguous()

    def _shift_along(self, length: int) -> int:
        return self.window // 2 if self.shifted and length > self.window else 0

    def _attend(self, windows: Tensor, regions: Tensor | None) -> Tensor:
        """Attend within windows `[B * nW, T, C]`; `regions [nW, T]` where tokens must part."""
        count, tokens, channels = windows.shape
        qkv = self.qkv(windows).reshape(count, tokens, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.position_bias()
        if windows.device.type == "cpu" and not torch.compiler.is_compiling():
            mixed = attention_cpu.attend(query, key, value, bias, regions)
            return self.projection(mixed.transpose(1, 2).reshape(count, tokens, channels))
        bias = bias.to(query.dtype)
        if regions is None:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
        else:
            # Windows differ in their mask and images do not: with windows and heads on one axis,
            # a single mask [1, nW * heads, T, T] serves the whole batch.
            apart = regions[:, None, :, None] != regions[:, None, None, :]
            mask = bias.masked_fill(apart, float("-inf")).flatten(0, 1)[None]
            by_image = (-1, len(regions) * self.heads, *query.shape[2:])
            mixed = F.scaled_dot_product_attention(
                query.reshape(by_image),
                key.reshape(by_image),
                value.reshape(by_image),
                attn_mask=mask,
            ).reshape(query.shape)
        return self.projection(mixed.transpose(1, 2).reshape(count, tokens, channels))
