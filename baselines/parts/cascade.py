"""TransUNet's cascaded upsampler: from the transformer's map back to the image, with CNN skips."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn

from baselines.parts.convolution import conv_bn_relu, double_conv
from resformer.upsampling import resize_bilinear

FIRST_CHANNELS = 512
WIDTHS = (256, 128, 64, 16)


class UpsamplingStep(nn.Module):
    """Bilinear ×2, concatenate the skip, two 3×3 convolutions with BN and ReLU.

    Args:
        in_channels: Channels of the coarser map.
        skip_channels: Channels of the skip; 0 for a step without one.
        channels: Channels of the output.
        align_corners: Of the bilinear interpolation.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, channels: int, *, align_corners: bool
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.convs = double_conv(in_channels + skip_channels, channels)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, 2 H, 2 W]`."""
        size = (2 * x.shape[2], 2 * x.shape[3])
        x = resize_bilinear(x, size, align_corners=self.align_corners)
        return self.convs(x if skip is None else torch.cat([x, skip], dim=1))


class CascadedUpsampler(nn.Module):
    """3×3 convolution to 512 channels with BN and ReLU, then steps to 256, 128, 64, 16 channels.

    Args:
        in_channels: Channels of the transformer's map.
        skip_channels: Channels of the skips, coarsest first; the steps after the last have none.
        align_corners: Of the bilinear interpolation.
    """

    def __init__(
        self, in_channels: int, skip_channels: Sequence[int], *, align_corners: bool
    ) -> None:
        super().__init__()
        self.conv_more = conv_bn_relu(in_channels, FIRST_CHANNELS)
        inputs = (FIRST_CHANNELS, *WIDTHS[:-1])
        self.steps = nn.ModuleList(
            UpsamplingStep(before, skip, after, align_corners=align_corners)
            for before, after, skip in zip_longest(inputs, WIDTHS, skip_channels, fillvalue=0)
        )

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Map `[B, in_channels, h, w]` to `[B, 16, 16 h, 16 w]`.

        Args:
            x: The transformer's map.
            skips: Maps of the CNN, coarsest first: 2 h × 2 w, 4 h × 4 w, and so on.
        """
        x = self.conv_more(x)
        for step, skip in zip_longest(self.steps, skips):
            x = step(x, skip)
        return x
