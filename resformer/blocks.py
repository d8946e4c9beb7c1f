"""The two halves of a ResFormer block: ResNet34 block and Swin-Transformer block.

Paper, section III-A and Fig. 3 (c), (d). The equations are quoted beside the lines that compute
them, in the paper's symbols: F_i is a level's input, F_i^R the ResNet34 block's output, F̃_i the
Swin-Transformer block's input and F_i^T its output.

Decisions: the printed equation of the ResNet34 block shows one residual block; how many a level
stacks is `conv_depths` of the encoder. Stochastic depth follows the released code.
"""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from resformer.attention import WindowAttention


class ResidualBlock(nn.Module):
    """One residual block of ResNet34: F_i^R = ReLU(F_i + F'_i).

    Within the paper's levels neither size nor channels change. The released network's stages open
    with a stride of 2, and then the shortcut is a strided 1×1 convolution with BN, as in ResNet34.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Stride of the first convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, H / stride, W / stride]`."""
        # F'_i = BN(Conv3×3(ReLU(BN(Conv3×3(F_i)))))
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.shortcut(x) + residual)


def resnet34_block(channels: int, depth: int) -> nn.Sequential:
    """Stack `depth` residual blocks of `channels`: the ResNet34 block of one level."""
    return nn.Sequential(*(ResidualBlock(channels, channels) for _ in range(depth)))


class FeedForward(nn.Module):
    """FFN: two linear layers with a GELU between them, expansion ratio 4 (paper; [22])."""

    def __init__(self, channels: int, ratio: int = 4) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, ratio * channels)
        self.contract = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, H, W, C]`, each position by itself."""
        return self.contract(F.gelu(self.expand(x)))


class StochasticDepth(nn.Module):
    """Drop a residual branch for whole images in training (Huang et al., ECCV 2016).

    Draws from torch's default generator of the input's device. Kept branches are scaled up by
    `1 / (1 - rate)`, so that evaluation needs no change.

    Args:
        rate: Probability of dropping, in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` `[B, H, W, C]` with some images zeroed in training."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        """Show the rate when the module is printed."""
        return f"rate={self.rate:.4f}"


class TransformerBlock(nn.Module):
    """Half a Swin-Transformer block: LN, (S)W-MSA, add; LN, FFN, add.

    Args:
        channels: Channels of the map.
        heads: Attention heads.
        window: Side of a window in tokens.
        shifted: SW-MSA if true, W-MSA otherwise.
        drop_path: Stochastic depth of both residual branches.
        feed_forward: Makes the FFN from the number of channels.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        *,
        shifted: bool,
        drop_path: float,
        feed_forward: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, window, shifted=shifted)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = feed_forward(channels)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, H, W, C]`."""
        x = self.drop_path(self.attention(self.norm1(x))) + x
        return self.drop_path(self.ffn(self.norm2(x))) + x


class SwinTransformerBlock(nn.Module):
    """Swin-Transformer block of one level: a W-MSA block, then a SW-MSA block.

    Args:
        channels: Channels of the map.
        heads: Attention heads.
        window: Side of a window in tokens.
        drop_path: Stochastic depth of the two halves.
        feed_forward: Makes an FFN from the number of channels.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        drop_path: Sequence[float],
        feed_forward: Callable[[int], nn.Module] = FeedForward,
    ) -> None:
        super().__init__()
        self.w_msa, self.sw_msa = (
            TransformerBlock(
                channels,
                heads,
                window,
                shifted=shifted,
                drop_path=rate,
                feed_forward=feed_forward,
            )
            for shifted, rate in zip((False, True), drop_path, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H, W]`."""
        # "Splitting": one token per position. Channels-last memory makes both permutations free
        # and puts the channels that LN normalises side by side.
        tokens = x.permute(0, 2, 3, 1)
        # F_i^W = W-MSA(LN(F̃_i)) + F̃_i and F̃'_i = FFN(LN(F_i^W)) + F_i^W
        tokens = self.w_msa(tokens)
        # F_i^SW = SW-MSA(LN(F̃'_i)) + F̃'_i and F_i^T = FFN(LN(F_i^SW)) + F_i^SW
        tokens = self.sw_msa(tokens)
        return tokens.permute(0, 3, 1, 2)  # "Merging"
