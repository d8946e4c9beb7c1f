"""Dilated feature enhancement, the DFE module (paper, section III-B and Fig. 4).

Decisions: the convolutions have no bias, since BN follows each of them; the spatial attention is
that of CBAM (Woo et al., ECCV 2018, reference [34]) without its BN, which neither the paper nor
the released code has.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DILATIONS = (6, 12, 18)


class SpatialAttention(nn.Module):
    """SA: one gate per position from the maximum and the mean over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale `[B, C, H, W]` by a gate `[B, 1, H, W]` in (0, 1)."""
        summary = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        return x * torch.sigmoid(self.conv(summary))


class DilatedBranch(nn.Sequential):
    """F̂_i^d = BN(Conv1×1(BN(DConv3×3^d(F̂_i)))), channels and size unchanged."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class DFE(nn.Module):
    """F̂_i^e = SA(ReLU(F̂_i^6 + F̂_i^12 + F̂_i^18)).

    Args:
        channels: Channels of the level.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(DilatedBranch(channels, rate) for rate in DILATIONS)
        self.sa = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Map F̂_i `[B, C, H, W]` to F̂_i^e `[B, C, H, W]`."""
        branch6, branch12, branch18 = (branch(x) for branch in self.branches)
        return self.sa(F.relu(branch6 + branch12 + branch18))
