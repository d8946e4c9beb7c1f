"""TransUNet's CNN: a ResNet with standardised weights and GroupNorm, without its last stage.

Convolutions standardise their filters (Qiao et al., "Micro-batch training with batch-channel
normalization and weight standardization", 2019). Nothing here depends on the batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 32
EPS = 1e-6


class StandardisedConv2d(nn.Conv2d):
    """A convolution without bias whose filters have mean 0 and variance 1 when they are used.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        kernel: Odd side of the kernel; the padding is half of it.
        stride: Stride.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, H / stride, W / stride]`.

        The mean and the biased variance are those of a filter over input channels and kernel.
        """
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        weight = (self.weight - mean) / torch.sqrt(variance + 1e-5)
        return F.conv2d(input, weight, None, self.stride, self.padding)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution, each with GroupNorm; add the shortcut; ReLU.

    The ReLUs stand where ResNet v1 has them, although the official code calls it pre-activation.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output; a quarter of them inside.
        stride: Stride of the 3×3 convolution, and of the shortcut.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1 = StandardisedConv2d(in_channels, inner, 1)
        self.gn1 = nn.GroupNorm(GROUPS, inner, eps=EPS)
        self.conv2 = StandardisedConv2d(inner, inner, 3, stride)
        self.gn2 = nn.GroupNorm(GROUPS, inner, eps=EPS)
        self.conv3 = StandardisedConv2d(inner, channels, 1)
        self.gn3 = nn.GroupNorm(GROUPS, channels, eps=EPS)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            # A group per channel, and torch's eps, 1e-5: the official code's.
            self.shortcut = nn.Sequential(
                StandardisedConv2d(in_channels, channels, 1, stride),
                nn.GroupNorm(channels, channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, H / stride, W / stride]`."""
        residual = F.relu(self.gn1(self.conv1(x)))
        residual = F.relu(self.gn2(self.conv2(residual)))
        return F.relu(self.shortcut(x) + self.gn3(self.conv3(residual)))


def stage(in_channels: int, channels: int, depth: int, stride: int) -> nn.Sequential:
    """Stack `depth` bottlenecks; the first one changes the channels and has the stride."""
    return nn.Sequential(
        Bottleneck(in_channels, channels, stride),
        *(Bottleneck(channels, channels, 1) for _ in range(depth - 1)),
    )


class StandardisedResNet(nn.Module):
    """Root and three stages of 3, 4 and 9 bottlenecks.

    The max-pool has no padding, so that stage 1 sees one row and one column less than a quarter of
    the image: 55×55 at 224. Half of 55, rounded up, is 28 again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = nn.Sequential(
            StandardisedConv2d(3, 64, 7, stride=2), nn.GroupNorm(GROUPS, 64, eps=EPS), nn.ReLU()
        )
        self.pool = nn.MaxPool2d(3, stride=2)
        self.stage1 = stage(64, 256, depth=3, stride=1)
        self.stage2 = stage(256, 512, depth=4, stride=2)
        self.stage3 = stage(512, 1024, depth=9, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map `[B, 3, H, W]` to maps of 64, 256, 512 and 1024 channels.

        Args:
            image: H and W are multiples of 16.

        Returns:
            Maps at 1/2, 1/4, 1/8 and 1/16 of the resolution. The second has zeros in its last row
            and column, which stage 1 does not reach; stage 2 goes on without them.
        """
        root = self.root(image)
        quarter = self.stage1(self.pool(root))
        eighth = self.stage2(quarter)
        return root, F.pad(quarter, (0, 1, 0, 1)), eighth, self.stage3(eighth)
