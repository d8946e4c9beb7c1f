"""The nested U-Net of the original UNet++ paper: rows of nodes between encoder and decoder."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import double_conv
from resformer.prediction import Prediction
from resformer.requirements import SizeRule
from resformer.upsampling import resize_bilinear

WIDTHS = (32, 64, 128, 256, 512)
DEPTH = len(WIDTHS) - 1


class NestedUNet(nn.Module):
    """Nodes X^{i,j} of row i (stride 2^i) and column j, i + j <= 4, and heads on row 0.

    Column 0 is the encoder. A later node takes all earlier nodes of its row and, at twice the
    size, the node below the last of them.

    Args:
        classes: Output channels C, background included.
        deep_supervision: Whether X^{0,1} to X^{0,3} have heads beside that of X^{0,4}.
        sizes: Image sizes that it takes.
    """

    def __init__(self, classes: int, *, deep_supervision: bool, sizes: SizeRule) -> None:
        super().__init__()
        self.sizes = sizes
        self.nodes = nn.ModuleDict()
        for column in range(DEPTH + 1):
            for row in range(DEPTH + 1 - column):
                width = WIDTHS[row]
                if column > 0:
                    in_channels = column * width + WIDTHS[row + 1]
                else:
                    in_channels = WIDTHS[row - 1] if row > 0 else 3
                self.nodes[f"x{row}{column}"] = double_conv(in_channels, width, bias=True)
        columns = range(1 if deep_supervision else DEPTH, DEPTH + 1)
        self.heads = nn.ModuleDict({f"x0{j}": nn.Conv2d(WIDTHS[0], classes, 1) for j in columns})

    def forward(self, image: Tensor) -> Prediction:
        """Segment images `[B, 3, H, W]`.

        Returns:
            Logits `[B, C, H, W]` of X^{0,4}. In training with deep supervision also, as
            `auxiliary["side"]`, those of X^{0,1}, X^{0,2} and X^{0,3}.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        rows = [[self.nodes["x00"](image)]]
        for row in range(1, DEPTH + 1):
            rows.append([self.nodes[f"x{row}0"](F.max_pool2d(rows[-1][0], 2))])
        for column in range(1, DEPTH + 1):
            for row in range(DEPTH + 1 - column):
                coarser = rows[row + 1][column - 1]
                size = (2 * coarser.shape[2], 2 * coarser.shape[3])
                below = resize_bilinear(coarser, size, align_corners=True)
                joined = torch.cat([*rows[row], below], dim=1)
                rows[row].append(self.nodes[f"x{row}{column}"](joined))
        logits = self.heads[f"x0{DEPTH}"](rows[0][DEPTH])
        if not self.training or len(self.heads) == 1:
            return Prediction(logits, None)
        side = tuple(self.heads[f"x0{j}"](rows[0][j]) for j in range(1, DEPTH))
        return Prediction(logits, None, {"side": side})


def initialise(network: nn.Module) -> None:
    """Draw Kaiming-normal weights over the fan-in for every convolution, with zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
