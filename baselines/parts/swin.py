"""The pieces of Swin that several methods share: stages, patch merging and patch expanding.

The block is ResFormer's own half block (`resformer.blocks.TransformerBlock`): LN, window
attention with relative position bias, add; LN, FFN of ratio 4, add. It has the same parameters,
12 C² + 13 C + (2 w - 1)² h, and computes the same; between the regions of a shifted map it puts
minus infinity where the public Swin code adds -100, which after softmax is zero in both.

All maps here are channels-last, `[B, H, W, C]`.
"""

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from resformer.blocks import FeedForward, TransformerBlock


def window_for(image_size: int) -> int:
    """Side of the attention windows, 1/32 of the image: 7 at 224, 16 at 512 (decision).

    Every stage of a stride-4 Swin then divides into whole windows, and its last one is a single
    window, as in the public 224-pixel networks.
    """
    return image_size // 32


def choose_window(method: str, window_size: int | None, image_size: int) -> int:
    """Side of the windows that a `window_size` option asks for.

    Args:
        method: Name of the method, for the message.
        window_size: The option; `None` for `window_for`.
        image_size: Height and width of the image in pixels.

    Raises:
        ValueError: If the option is below one.
    """
    if window_size is None:
        return window_for(image_size)
    if window_size < 1:
        raise ValueError(
            f"{method}: window_size is {window_size}; "
            f"it must be 1 or more, or null for image_size / 32 ({window_for(image_size)})"
        )
    return window_size


def stage_windows(window: int, image_size: int, stages: int, *, first_stride: int = 4) -> list[int]:
    """Side of the windows at each stage of a network that halves the map from stage to stage.

    A map no larger than the window is one window, as in the public code: the table of relative
    positions then has the size of the map.

    Args:
        window: Side of a window in tokens.
        image_size: Height and width of the image in pixels.
        stages: Number of stages.
        first_stride: Pixels per token at the first stage.
    """
    return [min(window, image_size // (first_stride << stage)) for stage in range(stages)]


def drop_path_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Spread stochastic depth linearly over all blocks, from 0 to `last`.

    Args:
        last: Rate of the last block.
        depths: Number of blocks of each stage.

    Returns:
        The rates of each stage's blocks.
    """
    steps = max(sum(depths) - 1, 1)
    rates = (last * block / steps for block in range(sum(depths)))
    return [list(islice(rates, depth)) for depth in depths]


class SwinStage(nn.Sequential):
    """Swin blocks at one resolution, the second of each pair shifted by half a window.

    Args:
        channels: Channels C of the map.
        heads: Attention heads.
        window: Side of a window in tokens.
        drop_path: Stochastic depth of each block; as many blocks as there are rates.
    """

    def __init__(self, channels: int, heads: int, window: int, drop_path: Sequence[float]) -> None:
        super().__init__(
            *(
                TransformerBlock(
                    channels,
                    heads,
                    window,
                    shifted=index % 2 == 1,
                    drop_path=rate,
                    feed_forward=FeedForward,
                )
                for index, rate in enumerate(drop_path)
            )
        )


class SwinPatchMerging(nn.Module):
    """Halve height and width and double the channels: 2×2 neighbours, LN, linear without bias.

    Args:
        channels: Channels C of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, H / 2, W / 2, 2 C]`."""
        # (even row, even column), (odd, even), (even, odd), (odd, odd)
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


class PatchExpand(nn.Module):
    """Refine height and width and share the channels out: linear without bias, reshape, LN.

    Args:
        channels: Channels C of the input.
        factor: How many times finer the map becomes.
        out_channels: Channels of the output; half of the input's by default.
    """

    def __init__(self, channels: int, factor: int = 2, out_channels: int | None = None) -> None:
        super().__init__()
        self.factor = factor
        self.out_channels = out_channels or channels // 2
        self.expand = nn.Linear(channels, factor**2 * self.out_channels, bias=False)
        self.norm = nn.LayerNorm(self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, factor H, factor W, out_channels]`."""
        batch, height, width, _ = x.shape
        x = self.expand(x).reshape(batch, height, width, self.factor, self.factor, -1)
        x = x.transpose(2, 3).reshape(batch, height * self.factor, width * self.factor, -1)
        return self.norm(x)
