"""In the style of Gende et al. (Comput. Med. Imaging Graph. 98, 2022; ref. [2]), Tables II to IV.

The authors' code is not public, and of their paper only the abstract could be read: fully
convolutional networks, trained end to end for segmentation and screening at once, in three
multi-task approaches on three reference encoders. Everything below that family is a decision:

- encoder DenseNet-121, timm's layers under timm's names, so that its weights fit;
- a U-Net decoder of five blocks, skips taken after the BN and ReLU that close each scale;
- the classification head on the encoder's last map, apart from the decoder. `cls_from` moves it
  to the decoder's last map or lets it read both; these stand in for three approaches and are not
  the authors';
- random weights, Kaiming-normal convolutions, heads by torch's default.
"""

from typing import Literal, get_args

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import double_conv
from resformer.initialisation import initialise
from resformer.prediction import Prediction
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32
SIZES = SizeRule("gende", SIZE_MULTIPLE, MINIMUM_SIZE)

ClsFrom = Literal["encoder", "decoder", "both"]
BOTTLENECK = 1024
# Skips s_4 to s_1 at 1/16, 1/8, 1/4 and 1/2 of the image; the last block has none.
SKIPS = (1024, 512, 256, 64, 0)
WIDTHS = (256, 128, 64, 32, 16)
CLS_CHANNELS: dict[ClsFrom, int] = {
    "encoder": BOTTLENECK,
    "decoder": WIDTHS[-1],
    "both": BOTTLENECK + WIDTHS[-1],
}
CLS_DROPOUT = 0.2


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    cls_from: ClsFrom = "encoder",
) -> "Gende":
    """Build the network with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 segmentation channels.
        n_cls: Number of image labels.
        cls_from: What the classification head reads: `encoder` (its last map), `decoder` (its
            last map) or `both`.

    Raises:
        ValueError: If the size does not work, a number of outputs is missing or `cls_from` is
            unknown.
    """
    SIZES.check(image_size, image_size)
    require_choice("gende", "cls_from", cls_from, get_args(ClsFrom))
    network = Gende(
        classes=require_outputs("gende", "n_seg", n_seg) + 1,
        labels=require_outputs("gende", "n_cls", n_cls),
        cls_from=cls_from,
    )
    initialise(network, heads=(network.segmentation_head, network.classification_head))
    return network


class GendeEncoder(nn.Module):
    """DenseNet-121 without its classifier, giving one map per scale after BN and ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.features = timm.create_model("densenet121").get_submodule("features")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map `[B, 3, H, W]` to s_1 .. s_4 and the bottleneck, `[B, 1024, H/32, W/32]`."""
        maps = []
        x = image
        for name, stage in self.features.named_children():
            # The library's norms include the ReLU; the one that closes dense blocks 1 to 3 is
            # part of the transition after them.
            layers = stage.children() if name.startswith("transition") else [stage]
            for layer in layers:
                x = layer(x)
                if isinstance(layer, nn.BatchNorm2d):
                    maps.append(x)
        return maps


class DecoderBlock(nn.Module):
    """Nearest-neighbour ×2, concatenate the skip, two 3×3 convolutions with BN and ReLU.

    Args:
        in_channels: Channels of the coarser map.
        skip_channels: Channels of the skip; 0 for a block without one.
        channels: Channels of the output.
    """

    def __init__(self, in_channels: int, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.convs = double_conv(in_channels + skip_channels, channels)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, 2 H, 2 W]`."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.convs(x if skip is None else torch.cat([x, skip], dim=1))


class Gende(nn.Module):
    """U-Net on DenseNet-121 with a classification head.

    Args:
        classes: Channels of the segmentation, background included.
        labels: Image labels.
        cls_from: What the classification head reads: `encoder`, `decoder` or `both`.
    """

    def __init__(self, classes: int, labels: int, cls_from: ClsFrom) -> None:
        super().__init__()
        self.cls_from = cls_from
        self.encoder = GendeEncoder()
        self.decoder = nn.ModuleList(
            DecoderBlock(before, skip, after)
            for before, skip, after in zip((BOTTLENECK, *WIDTHS[:-1]), SKIPS, WIDTHS, strict=True)
        )
        self.segmentation_head = nn.Conv2d(WIDTHS[-1], classes, 3, padding=1)
        self.classification_head = nn.Sequential(
            nn.Dropout(CLS_DROPOUT), nn.Linear(CLS_CHANNELS[cls_from], labels)
        )

    def forward(self, image: Tensor) -> Prediction:
        """Segment and classify images `[B, 3, H, W]`.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        SIZES.check(image.shape[2], image.shape[3])
        s1, s2, s3, s4, bottleneck = self.encoder(image)
        x = bottleneck
        for block, skip in zip(self.decoder, (s4, s3, s2, s1, None), strict=True):
            x = block(x, skip)
        read = {"encoder": [bottleneck], "decoder": [x], "both": [bottleneck, x]}[self.cls_from]
        pooled = torch.cat([features.mean(dim=(2, 3)) for features in read], dim=1)
        return Prediction(
            segmentation=self.segmentation_head(x),
            classification=self.classification_head(pooled),
        )
