"""In the style of Hervella et al. (Applied Soft Computing 116, 2022; reference [3]), Tables II-IV.

The authors' code is not public and their paper could not be read; on record are its title, one
sentence of the ResFormer paper (a CNN, trained end to end for both tasks) and the abstract of the
follow-up on its optimiser, which balances the tasks parameter by parameter and so belongs to the
training. Everything below that family is a decision:

- U-Net of five levels, BatchNorm for stability at the common learning rate, no dropout;
- encoder and decoder are both shared: the two heads, one layer each, read the decoder's last map;
- random weights, Kaiming-normal convolutions, heads by torch's default.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import double_conv
from resformer.initialisation import initialise
from resformer.prediction import Prediction
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32
SIZES = SizeRule("hervella", SIZE_MULTIPLE, MINIMUM_SIZE)

Pool = Literal["avg", "avgmax"]
WIDTHS = (64, 128, 256, 512, 1024)


def build(
    *, image_size: int, n_seg: int | None, n_cls: int | None, pool: Pool = "avg"
) -> "Hervella":
    """Build the network with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 16 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 segmentation channels.
        n_cls: Number of image labels.
        pool: What the classification head reads: `avg`, the average over the image, or
            `avgmax`, average and maximum.

    Raises:
        ValueError: If the size does not work, a number of outputs is missing or `pool` is
            unknown.
    """
    SIZES.check(image_size, image_size)
    require_choice("hervella", "pool", pool, get_args(Pool))
    network = Hervella(
        classes=require_outputs("hervella", "n_seg", n_seg) + 1,
        labels=require_outputs("hervella", "n_cls", n_cls),
        pool=pool,
    )
    initialise(network, heads=(network.segmentation_head, network.classification_head))
    return network


class HervellaDecoderLevel(nn.Module):
    """Transposed convolution ×2 that halves the channels, concatenation, two 3×3 convolutions.

    Args:
        channels: Channels of the skip and of the output; the coarser map has twice as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.convs = double_conv(2 * channels, channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map `[B, 2 C, H, W]` and skip `[B, C, 2 H, 2 W]` to `[B, C, 2 H, 2 W]`."""
        return self.convs(torch.cat([skip, self.up(x)], dim=1))


class Hervella(nn.Module):
    """U-Net whose last map both heads read.

    Args:
        classes: Channels of the segmentation, background included.
        labels: Image labels.
        pool: `avg` or `avgmax`.
    """

    def __init__(self, classes: int, labels: int, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        inputs = (3, *WIDTHS[:-1])
        self.encoder = nn.ModuleList(
            double_conv(before, after) for before, after in zip(inputs, WIDTHS, strict=True)
        )
        self.decoder = nn.ModuleList(HervellaDecoderLevel(channels) for channels in WIDTHS[-2::-1])
        self.segmentation_head = nn.Conv2d(WIDTHS[0], classes, 1)
        pooled = WIDTHS[0] if pool == "avg" else 2 * WIDTHS[0]
        self.classification_head = nn.Linear(pooled, labels)

    def forward(self, image: Tensor) -> Prediction:
        """Segment and classify images `[B, 3, H, W]`.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        SIZES.check(image.shape[2], image.shape[3])
        x = self.encoder[0](image)
        skips = []
        for level in self.encoder[1:]:
            skips.append(x)
            x = level(F.max_pool2d(x, 2))
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            x = level(x, skip)
        pooled = x.mean(dim=(2, 3))
        if self.pool == "avgmax":
            pooled = torch.cat([pooled, x.amax(dim=(2, 3))], dim=1)
        return Prediction(
            segmentation=self.segmentation_head(x),
            classification=self.classification_head(pooled),
        )
