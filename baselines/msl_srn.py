"""MSL-SRN (Bui et al., Bioengineering 10(11):1249, 2023), Table V, classification.

Multi-scale learning (MSL) with two sparse residual networks (SRN), one for the image and one for
the same image at half its size, by the authors of ResFormer. Table V gives the acronym alone; the
abstract of that article spells it out. Layers are those of the authors' code, which holds several
variants: this one has the two branches that the code's visualisation addresses.

Decisions: three input channels; both branches start from one image, so that the official pair of
448 and 224 pixels becomes 512 and 256 on RETOUCH; the half-size image is bilinear without aligned
corners, for an even size the mean of 2×2 pixels, where the code that halves it inside the network
resizes any image to 224 pixels with aligned corners. The code registers, and never calls, one 1×1
convolution in each branch. It counts in the network's size and is registered here for that reason.
Weights are random: Xavier-normal for the linear layer as in the code, torch's default for the rest.

Below 128 pixels the half-size branch reaches one pixel before its last pooling, whose window is
then clipped to the map. Its last BN sees that one pixel too, and training needs two or more images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.single_task import Classifier
from resformer.requirements import SizeRule, require_outputs

SIZE_MULTIPLE = 1
MINIMUM_SIZE = 64

STEM_WIDTH = 32
WIDTHS = (32, 64, 128, 256, 512)
DEPTHS = (3, 3, 2, 2, 1)


def halve(x: Tensor) -> Tensor:
    """Max-pool `[B, C, H, W]` by windows of 2×2, clipped to a map of one pixel.

    The clipping never acts on images of 128 pixels or more.
    """
    return F.max_pool2d(x, (min(2, x.shape[2]), min(2, x.shape[3])))


class SparseResidualBlock(nn.Module):
    """Stacked 3×3 convolutions beside a shortcut; sum, ReLU, BN, 2×2 max-pooling.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        depth: Number of stacked convolutions; three see 7×7 pixels, two see 5×5.
        dead_layers: Whether a block that needs no convolution as its shortcut owns one all the
            same, as in the authors' code.
    """

    def __init__(self, in_channels: int, channels: int, depth: int, *, dead_layers: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (in_channels, *[channels] * (depth - 1)):
            layers += [
                nn.Conv2d(before, channels, 3, padding=1),
                nn.ReLU(),
                nn.BatchNorm2d(channels),
            ]
        self.convs = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != channels:
            self.shortcut = nn.Conv2d(in_channels, channels, 1)
        elif dead_layers:
            self.dead_layer = nn.Conv2d(in_channels, channels, 1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, H / 2, W / 2]`."""
        return halve(self.bn(F.relu(self.convs(x) + self.shortcut(x))))


class SparseResidualNetwork(nn.Module):
    """SRN: a 7×7 stem, five residual blocks, global average pooling.

    Args:
        dead_layers: As in `SparseResidualBlock`.
    """

    def __init__(self, *, dead_layers: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM_WIDTH, 7, padding=3), nn.BatchNorm2d(STEM_WIDTH), nn.ReLU()
        )
        inputs = (STEM_WIDTH, *WIDTHS[:-1])
        self.blocks = nn.Sequential(
            *(
                SparseResidualBlock(before, after, depth, dead_layers=dead_layers)
                for before, after, depth in zip(inputs, WIDTHS, DEPTHS, strict=True)
            )
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to features `[B, 512]`."""
        return self.blocks(halve(self.stem(image))).mean((2, 3))


class MSLSRN(nn.Module):
    """MSL: an SRN for the image, one for its half size, and a linear layer over both.

    Args:
        n_cls: Number of image labels.
        dead_layers: As in `SparseResidualBlock`.
    """

    def __init__(self, n_cls: int, *, dead_layers: bool) -> None:
        super().__init__()
        self.large = SparseResidualNetwork(dead_layers=dead_layers)
        self.small = SparseResidualNetwork(dead_layers=dead_layers)
        self.head = nn.Linear(2 * WIDTHS[-1], n_cls)
        nn.init.xavier_normal_(self.head.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to logits `[B, n_cls]`."""
        half_size = (image.shape[2] // 2, image.shape[3] // 2)
        small = F.interpolate(image, half_size, mode="bilinear", align_corners=False)
        return self.head(torch.cat([self.large(image), self.small(small)], dim=1))


def build(
    *, image_size: int, n_seg: int | None, n_cls: int | None, dead_layers: bool = True
) -> Classifier:
    """Build MSL-SRN with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; others from 64 up may be given to `forward`.
        n_seg: Ignored, the method does not segment.
        n_cls: Number of image labels.
        dead_layers: Whether to register the two convolutions that are never called; the outputs
            do not depend on them.

    Raises:
        ValueError: If the size does not work or `n_cls` is missing.
    """
    sizes = SizeRule("msl_srn", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    labels = require_outputs("msl_srn", "n_cls", n_cls)
    return Classifier(MSLSRN(labels, dead_layers=dead_layers), sizes)
