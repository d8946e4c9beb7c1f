"""OCTNet (Sunija et al., CMPB 200:105877, 2021; reference [19]), Table V, classification.

A plain CNN with six blocks for optical coherence tomography. The article's abstract says no more
about the layers; their table here is the one on which two independent public implementations
agree, one of them by the first author of ResFormer. Networks of the same name that work on
octrees, or on ConvNeXt, are others.

Decisions: three input channels; global average pooling where both implementations average 3×3
pixels, which is the same for images of 224 to 227 pixels and lets the network take other sizes;
dropout of single values, not of channels, between the linear layers. Both implementations have no
activation there, and neither has this one. Weights are random: Xavier-normal for the linear layers
as in the first author's code, torch's default for the rest.
"""

from torch import Tensor, nn

from baselines.parts.single_task import Classifier
from resformer.requirements import SizeRule, require_outputs

SIZE_MULTIPLE = 1
MINIMUM_SIZE = 64

KERNELS = (7, 7, 5, 5, 3, 3)
WIDTHS = (32, 32, 64, 128, 256, 512)
HIDDEN = (128, 32)


def block(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    """Convolution, ReLU, BN, 2×2 max-pooling.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output, of half the height and width.
        kernel: Odd side of the convolution's kernel.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2),
        nn.ReLU(),
        nn.BatchNorm2d(channels),
        nn.MaxPool2d(2),
    )


class OCTNet(nn.Module):
    """Six blocks, global average pooling, three linear layers.

    Args:
        n_cls: Number of image labels.
    """

    def __init__(self, n_cls: int) -> None:
        super().__init__()
        inputs = (3, *WIDTHS[:-1])
        self.blocks = nn.Sequential(*map(block, inputs, WIDTHS, KERNELS))
        self.head = nn.Sequential(
            nn.Linear(WIDTHS[-1], HIDDEN[0]),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN[0], HIDDEN[1]),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN[1], n_cls),
        )
        for layer in self.head:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to logits `[B, n_cls]`."""
        return self.head(self.blocks(image).mean((2, 3)))


def build(*, image_size: int, n_seg: int | None, n_cls: int | None) -> Classifier:
    """Build OCTNet with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; others from 64 up may be given to `forward`.
        n_seg: Ignored, the method does not segment.
        n_cls: Number of image labels.

    Raises:
        ValueError: If the size does not work or `n_cls` is missing.
    """
    sizes = SizeRule("octnet", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    return Classifier(OCTNet(require_outputs("octnet", "n_cls", n_cls)), sizes)
