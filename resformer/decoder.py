"""The segmentation decoder (paper, section III-B, last paragraph, and Fig. 2).

The printed equation pairs the decoder's level i with the encoder's level i - 1, for which no
shapes fit; Fig. 2 pairs them from the deepest level up, and so does this module:
D1 = Upsample(F̂_4^e), then D2, D3, D4 = Upsample(ReLU(BN(Conv3×3(Concat(F̂_j^e, D))))) with
j = 3, 2, 1. D4 has the input's resolution.

Decisions: `Upsample` is bilinear ×2 (the paper does not say; the released code has 2×2 transposed
convolutions, option `transposed`); Conv3×3 has no bias, since BN follows.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from resformer.encoder import CHANNELS, LevelMaps
from resformer.requirements import require_choice
from resformer.upsampling import BilinearUpsampling

Upsampling = Literal["bilinear", "transposed"]
UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)


def upsample_by_two(kind: Upsampling, channels: int) -> nn.Module:
    """Make a module that maps `[B, C, H, W]` to `[B, C, 2H, 2W]`."""
    if kind == "transposed":
        return nn.ConvTranspose2d(channels, channels, 2, stride=2)
    return BilinearUpsampling(2, align_corners=False)


class DecoderLevel(nn.Module):
    """Upsample(ReLU(BN(Conv3×3(Concat(F̂_j^e, D))))) to the channels of level j.

    Args:
        channels: Channels of the encoder's level j; D comes with twice as many.
        upsample: Kind of upsampling.
    """

    def __init__(self, channels: int, upsample: Upsampling) -> None:
        super().__init__()
        self.fuse = nn.Sequential(
            nn.Conv2d(3 * channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.up = upsample_by_two(upsample, channels)

    def forward(self, enhanced: Tensor, deeper: Tensor) -> Tensor:
        """Map `[B, C, H, W]` and `[B, 2C, H, W]` to `[B, C, 2H, 2W]`."""
        return self.up(self.fuse(torch.cat((enhanced, deeper), 1)))


class Decoder(nn.Module):
    """From the enhanced maps of all levels to 64 channels at the input's resolution.

    Args:
        upsample: `bilinear` or `transposed`.

    Raises:
        ValueError: On another kind of upsampling.
    """

    def __init__(self, upsample: Upsampling) -> None:
        super().__init__()
        require_choice("resformer", "upsample", upsample, UPSAMPLINGS)
        self.up = upsample_by_two(upsample, CHANNELS[3])
        self.level3 = DecoderLevel(CHANNELS[2], upsample)
        self.level2 = DecoderLevel(CHANNELS[1], upsample)
        self.level1 = DecoderLevel(CHANNELS[0], upsample)

    def forward(self, enhanced: LevelMaps) -> Tensor:
        """Map F̂_1^e .. F̂_4^e to D4 `[B, 64, H, W]`."""
        d1 = self.up(enhanced.level4)
        d2 = self.level3(enhanced.level3, d1)
        d3 = self.level2(enhanced.level2, d2)
        return self.level1(enhanced.level1, d3)
