"""TransMT-Net (Tang et al., Comput. Biol. Med. 2023; reference [7]), Tables II, III and IV.

A network in the style of: segmentation and classification by a ResNet-50, a Vision Transformer
with a class token over its 1/16 map, and a decoder that takes skips from the ResNet.

Given by the paper's abstract: a CNN for local and a transformer for global features, both tasks at
once. Given by ResFormer's paper: the transformer stands at the end of the encoder. The rest is not
public, no code either, and all of it is decision: transformer and decoder have the settings of
TransUNet, the usual way in those years to put a transformer behind a CNN; the ResNet is the common
one with BatchNorm; image labels are read from a class token. Weights are random, drawn like
ResFormer's, heads by torch's default. The paper's active learning is no part of the network and
left out.
"""

from typing import Literal, get_args

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.cascade import CascadedUpsampler
from baselines.parts.vit import VIT_BASE, Transformer, ViTSize
from resformer.initialisation import initialise
from resformer.prediction import Prediction
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

DROPOUT = 0.1

Preset = Literal["base", "small"]
VIT_SIZES: dict[Preset, ViTSize] = {
    "base": VIT_BASE,
    "small": ViTSize(channels=384, layers=6, heads=6, hidden=1536),
}


def bicubic_weights(positions: int, length: int, device: torch.device) -> Tensor:
    """Return `[length, positions]`: what each position adds to each point of a resized axis."""
    identity = torch.eye(positions, device=device)[None, None]
    return F.interpolate(identity, (length, positions), mode="bicubic", align_corners=False)[0, 0]


class Tang(nn.Module):
    """CNN, transformer with a class token, decoder and the two heads.

    Args:
        sizes: Image sizes that the network takes.
        grid: Rows and columns of the map of learned positions.
        n_seg: Number of lesion types n; the segmentation has n + 1 channels.
        n_cls: Number of image labels.
        vit: Size of the transformer.
    """

    def __init__(self, sizes: SizeRule, grid: int, n_seg: int, n_cls: int, vit: ViTSize) -> None:
        super().__init__()
        self.sizes = sizes
        # The stem before its max-pool and layers 1 to 3; timm leaves layer 4 out.
        self.cnn = timm.create_model(
            "resnet50", pretrained=False, features_only=True, out_indices=(0, 1, 2, 3)
        )
        self.projection = nn.Conv2d(1024, vit.channels, 1)
        self.position = nn.Parameter(torch.empty(1, vit.channels, grid, grid))
        self.class_token = nn.Parameter(torch.empty(1, 1, vit.channels))
        self.class_position = nn.Parameter(torch.empty(1, 1, vit.channels))
        self.transformer = Transformer(vit, dropout=DROPOUT, projection_dropout=DROPOUT)
        self.decoder = CascadedUpsampler(vit.channels, (512, 256, 64), align_corners=False)
        self.segmentation_head = nn.Conv2d(16, n_seg + 1, 3, padding=1)
        self.classification_head = nn.Linear(vit.channels, n_cls)
        initialise(self, heads=(self.segmentation_head, self.classification_head))
        for table in (self.position, self.class_token, self.class_position):
            nn.init.trunc_normal_(table, std=0.02)

    def positions(self, height: int, width: int) -> Tensor:
        """Return the learned positions `[1, C, height, width]`, resized where the grid differs.

        Bicubic, by a matrix for each axis, because the backward pass of torch's own bicubic
        resizing adds up in no fixed order on a GPU.
        """
        grid = self.position.shape[2]
        if (height, width) == (grid, grid):
            return self.position
        rows = bicubic_weights(grid, height, self.position.device)
        columns = bicubic_weights(grid, width, self.position.device)
        return rows @ self.position @ columns.T

    def forward(self, image: Tensor) -> Prediction:
        """Predict from images `[B, 3, H, W]`; see `Prediction` for the result's shapes.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        half, quarter, eighth, sixteenth = self.cnn(image)
        patches = self.projection(sixteenth)
        height, width = patches.shape[2:]
        patches = patches + self.positions(height, width)
        class_token = (self.class_token + self.class_position).expand(len(image), -1, -1)
        tokens = self.transformer(torch.cat([class_token, patches.flatten(2).transpose(1, 2)], 1))
        x = tokens[:, 1:].transpose(1, 2).unflatten(2, (height, width))
        return Prediction(
            segmentation=self.segmentation_head(self.decoder(x, (eighth, quarter, half))),
            classification=self.classification_head(tokens[:, 0]),
        )


def build(
    *, image_size: int, n_seg: int | None, n_cls: int | None, preset: Preset = "base"
) -> Tang:
    """Build Tang et al.'s network with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; sets the grid of learned positions. Other multiples
            of 16, also non-square, may be given to `forward`.
        n_seg: Number of lesion types n; the segmentation has n + 1 channels.
        n_cls: Number of image labels.
        preset: `base` for a transformer of ViT-Base's size, `small` for half of its width
            and depth.

    Raises:
        ValueError: If the size does not work, a task is missing or the preset is unknown.
    """
    sizes = SizeRule("tang", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    require_choice("tang", "preset", preset, get_args(Preset))
    return Tang(
        sizes,
        image_size // 16,
        require_outputs("tang", "n_seg", n_seg),
        require_outputs("tang", "n_cls", n_cls),
        VIT_SIZES[preset],
    )
