"""Convolution, BatchNorm, ReLU: the stack that U-Net and its descendants are made of."""

from torch import nn


def conv_bn_relu(
    in_channels: int, channels: int, kernel: int = 3, *, bias: bool = False
) -> nn.Sequential:
    """One convolution that keeps height and width, BatchNorm, ReLU.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        kernel: Odd side of the kernel.
        bias: Whether the convolution has one; beside BatchNorm it has no effect but counts.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=bias),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def double_conv(in_channels: int, channels: int, *, bias: bool = False) -> nn.Sequential:
    """Two 3×3 `conv_bn_relu` in a row: one level of a U-Net."""
    return nn.Sequential(
        *conv_bn_relu(in_channels, channels, bias=bias),
        *conv_bn_relu(channels, channels, bias=bias),
    )
