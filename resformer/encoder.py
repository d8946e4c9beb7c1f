"""The encoder: F_0 and four levels of ResFormer blocks (paper, section III-A, Figs. 2 and 3).

Given by the paper: F_0 at half resolution with 64 channels, levels at 1/2, 1/4, 1/8 and 1/16,
heads 2, 4, 8 and 16, a 3×3 convolution of stride 2 as PatchMerging, and the two designs.
Given by the released code: 7×7 stem of stride 1, residual blocks 3, 4, 6, 3. Decision: the merging
convolution has a bias, since no normalisation follows it.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from resformer.blocks import SwinTransformerBlock, resnet34_block
from resformer.requirements import require_choice

CHANNELS = (64, 128, 256, 512)
HEADS = (2, 4, 8, 16)
Mode = Literal["sequential", "parallel"]
MODES: tuple[Mode, ...] = get_args(Mode)


class LevelMaps(NamedTuple):
    """The encoder's outputs F̂_1 to F̂_4, finest first."""

    level1: Tensor
    level2: Tensor
    level3: Tensor
    level4: Tensor


def stochastic_depth_rates(drop_path: float, levels: int) -> list[tuple[float, float]]:
    """Spread stochastic depth linearly from 0 to `drop_path` over two blocks a level.

    Args:
        drop_path: Rate of the last transformer block, in [0, 1).
        levels: Number of encoder levels.

    Raises:
        ValueError: If the rate lies outside [0, 1).
    """
    if not 0 <= drop_path < 1:
        raise ValueError(f"resformer: drop_path is {drop_path}; it must lie in [0, 1)")
    last = 2 * levels - 1
    return [
        (drop_path * 2 * level / last, drop_path * (2 * level + 1) / last)
        for level in range(levels)
    ]


class Stem(nn.Module):
    """Convolution, BN, ReLU and max-pool that make F_0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS[0], 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(CHANNELS[0])

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to F_0 `[B, 64, H / 2, W / 2]`."""
        return F.max_pool2d(F.relu(self.bn(self.conv(image))), 3, stride=2, padding=1)


class ResFormerBlock(nn.Module):
    """ResNet34 block and Swin-Transformer block, one after the other or side by side.

    Args:
        mode: `sequential` for F̂_i = F_i^T with F̃_i = F_i^R, `parallel` for
            F̂_i = F_i^R + F_i^T with F̃_i = F_i.
        resnet: ResNet34 block.
        swin: Swin-Transformer block.
    """

    def __init__(self, mode: Mode, resnet: nn.Module, swin: nn.Module) -> None:
        super().__init__()
        self.mode = mode
        self.resnet = resnet
        self.swin = swin

    def forward(self, x: Tensor) -> Tensor:
        """Map F_i `[B, C, H, W]` to F̂_i `[B, C, H, W]`."""
        if self.mode == "sequential":
            return self.swin(self.resnet(x))
        return self.resnet(x) + self.swin(x)


class PatchMerging(nn.Module):
    """A 3×3 convolution of stride 2 that halves the resolution and doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, 2C, H / 2, W / 2]`."""
        return self.conv(x)


class Encoder(nn.Module):
    """F_0, then ResFormer blocks at four levels with PatchMerging between them.

    Args:
        mode: `sequential` or `parallel`.
        conv_depths: Residual blocks in the ResNet34 block of each level.
        window: Side of an attention window in tokens.
        drop_path: Stochastic depth of the last transformer block; linear from 0.

    Raises:
        ValueError: On an unknown mode, or depths that are not four positive numbers.
    """

    def __init__(
        self, mode: Mode, conv_depths: Sequence[int], window: int, drop_path: float
    ) -> None:
        super().__init__()
        require_choice("resformer", "mode", mode, MODES)
        if len(conv_depths) != len(CHANNELS) or min(conv_depths) < 1:
            raise ValueError(
                f"resformer: conv_depths is {tuple(conv_depths)}; "
                f"it must be {len(CHANNELS)} numbers of at least 1, one per level"
            )
        self.stem = Stem()
        rates = stochastic_depth_rates(drop_path, len(CHANNELS))
        self.levels = nn.ModuleList(
            ResFormerBlock(
                mode,
                resnet34_block(channels, depth),
                SwinTransformerBlock(channels, heads, window, rate),
            )
            for channels, heads, depth, rate in zip(
                CHANNELS, HEADS, conv_depths, rates, strict=True
            )
        )
        self.merges = nn.ModuleList(PatchMerging(channels) for channels in CHANNELS[:-1])

    def forward(self, image: Tensor) -> LevelMaps:
        """Map `[B, 3, H, W]` to F̂_1 .. F̂_4, `[B, 64, H/2, W/2]` .. `[B, 512, H/16, W/16]`."""
        level1 = self.levels[0](self.stem(image))
        level2 = self.levels[1](self.merges[0](level1))
        level3 = self.levels[2](self.merges[1](level2))
        level4 = self.levels[3](self.merges[2](level3))
        return LevelMaps(level1, level2, level3, level4)
