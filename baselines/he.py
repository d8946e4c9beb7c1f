"""He et al. (Medical Image Analysis 61, 2020; reference [1]), Tables II, III and IV.

ResUNet101 or DenseUNet121: a classification backbone without its head, three decoder stages of one
dense layer each, and two heads that read the same full-resolution map, one for the mask (the main
task) and one for the labels present in the image (the auxiliary task). Neither dropout nor
attention.

The layers are those of the official code (github.com/ithet1007/MTL-SegTHOR), with four labels
there, `n_cls` here. Decisions: ResUNet101 as default, the better of the two in the authors' own
results with the whole pipeline; random weights, where the official code starts from ImageNet's;
Kaiming-normal convolutions but for the heads, which keep torch's default as theirs do. The
encoder's layers are named as in timm, so that weights of that library fit. Of the paper's other
parts, the loss with label dependence belongs to the training, and filtering the mask with the
predicted labels is left out, since no other row of the tables is post-processed.
"""

from typing import Literal, get_args

import timm
import torch
from torch import Tensor, nn

from resformer.initialisation import initialise
from resformer.prediction import Prediction
from resformer.requirements import SizeRule, require_choice, require_outputs
from resformer.upsampling import BilinearUpsampling, resize_bilinear

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32
SIZES = SizeRule("he", SIZE_MULTIPLE, MINIMUM_SIZE)

Encoder = Literal["resunet101", "denseunet121"]
# Channels of d_0 to d_3, at 1/4, 1/8, 1/16 and 1/32 of the image.
CHANNELS: dict[Encoder, tuple[int, int, int, int]] = {
    "resunet101": (256, 512, 1024, 2048),
    "denseunet121": (256, 512, 1024, 1024),
}
BOTTLENECK = 192  # channels inside a dense layer
GROWTH = 48  # channels that a dense layer adds
TAIL = 256


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    encoder: Encoder = "resunet101",
) -> "He":
    """Build the network with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 segmentation channels.
        n_cls: Number of image labels.
        encoder: `resunet101` or `denseunet121`.

    Raises:
        ValueError: If the size does not work, a number of outputs is missing or the encoder is
            unknown.
    """
    SIZES.check(image_size, image_size)
    require_choice("he", "encoder", encoder, get_args(Encoder))
    network = He(
        encoder,
        classes=require_outputs("he", "n_seg", n_seg) + 1,
        labels=require_outputs("he", "n_cls", n_cls),
    )
    initialise(network, heads=(network.segmentation_head, network.classification_head))
    return network


def bn_relu_conv(
    in_channels: int, channels: int, kernel: int = 1, *, bias: bool = False
) -> nn.Sequential:
    """BatchNorm, ReLU and one convolution that keeps height and width."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=bias),
    )


class DenseNet121(nn.Module):
    """DenseNet-121 up to its fourth dense block, without the final norm."""

    def __init__(self) -> None:
        super().__init__()
        self.features = timm.create_model("densenet121").get_submodule("features")
        del self.features.norm5

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map `[B, 3, H, W]` to what the dense blocks give, before any norm, finest first."""
        maps = []
        x = image
        for name, stage in self.features.named_children():
            x = stage(x)
            if name.startswith("denseblock"):
                maps.append(x)
        return maps


def make_encoder(name: Encoder) -> nn.Module:
    """Make the backbone that maps `[B, 3, H, W]` to d_0 .. d_3 with `CHANNELS[name]`."""
    if name == "denseunet121":
        return DenseNet121()
    return timm.create_model("resnet101", features_only=True, out_indices=(1, 2, 3, 4))


class DenseLayer(nn.Module):
    """1×1 and 3×3 convolution, each after BN and ReLU, whose result is added to the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = bn_relu_conv(channels, BOTTLENECK)
        self.grow = bn_relu_conv(BOTTLENECK, GROWTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C + 48, H, W]`."""
        return torch.cat([x, self.grow(self.reduce(x))], dim=1)


class Up(nn.Module):
    """Decoder stage: bilinear resize to the skip, concatenate, 1×1 convolution, dense layer.

    Args:
        deep_channels: Channels of the deeper map.
        skip_channels: Channels of the skip.
        channels: Channels after the 1×1 convolution; the dense layer adds 48.
    """

    def __init__(self, deep_channels: int, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.merge = bn_relu_conv(deep_channels + skip_channels, channels, bias=True)
        self.dense = DenseLayer(channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Map `[B, deep, h, w]` and `[B, skip, H, W]` to `[B, channels + 48, H, W]`."""
        deep = resize_bilinear(deep, (skip.shape[2], skip.shape[3]), align_corners=True)
        return self.dense(self.merge(torch.cat([deep, skip], dim=1)))


class He(nn.Module):
    """The network of He et al.

    Args:
        encoder: `resunet101` or `denseunet121`.
        classes: Channels of the segmentation, background included.
        labels: Image labels.
    """

    def __init__(self, encoder: Encoder, classes: int, labels: int) -> None:
        super().__init__()
        d0, d1, d2, d3 = CHANNELS[encoder]
        self.encoder = make_encoder(encoder)
        self.up0 = Up(d3, d2, 1024)
        self.up1 = Up(1024 + GROWTH, d1, 512)
        self.up2 = Up(512 + GROWTH, d0, 256)
        self.tail = nn.Sequential(
            bn_relu_conv(256 + GROWTH, TAIL),
            BilinearUpsampling(2, align_corners=True),
            bn_relu_conv(TAIL, TAIL),
            BilinearUpsampling(2, align_corners=True),
        )
        self.segmentation_head = bn_relu_conv(TAIL, classes, bias=True)
        self.classification_head = bn_relu_conv(TAIL, labels, bias=True)

    def forward(self, image: Tensor) -> Prediction:
        """Segment and classify images `[B, 3, H, W]`.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        SIZES.check(image.shape[2], image.shape[3])
        d0, d1, d2, d3 = self.encoder(image)
        x = self.up2(self.up1(self.up0(d3, d2), d1), d0)
        x = self.tail(x)
        # The official code pools after the head's convolution, and so applies it to every pixel.
        return Prediction(
            segmentation=self.segmentation_head(x),
            classification=self.classification_head(x).mean(dim=(2, 3)),
        )
