"""TransUNet (Chen et al., arXiv 2021; reference [30]), Tables VI and VII, segmentation.

A ResNet with standardised weights and GroupNorm, a Vision Transformer over its 1/16 map, and a
cascaded upsampler that takes skips from the ResNet.

Official (the authors' public code): all layers, their initial weights, R50-ViT-B/16 with three
skips as the default, and the construction at 512, where only the learned positions grow.
Decision: weights are random like ResFormer's; the authors start ResNet and transformer from
ImageNet-21k.

The positions are made for one image size, square, so the network takes no other.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from baselines.parts.cascade import CascadedUpsampler
from baselines.parts.single_task import Segmenter
from baselines.parts.standardised_resnet import StandardisedResNet
from baselines.parts.vit import VIT_BASE, VIT_LARGE, Transformer, ViTBlock, ViTSize
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

SKIP_CHANNELS = (512, 256, 64)

ViT = Literal["base", "large"]
NSkip = Literal[3, 0]
VIT_SIZES: dict[ViT, ViTSize] = {"base": VIT_BASE, "large": VIT_LARGE}


class TransUNet(nn.Module):
    """The network for square images of one size.

    Args:
        image_size: Height and width of the images, a multiple of 16.
        outputs: Channels of the logits.
        vit: Size of the transformer.
        n_skip: How many of the skips the decoder takes, the coarsest first.
    """

    def __init__(self, image_size: int, outputs: int, vit: ViTSize, n_skip: int) -> None:
        super().__init__()
        self.n_skip = n_skip
        self.cnn = StandardisedResNet()
        self.patch_embedding = nn.Conv2d(1024, vit.channels, 1)
        self.position = nn.Parameter(torch.zeros(1, (image_size // 16) ** 2, vit.channels))
        self.transformer = Transformer(vit, dropout=0.1, projection_dropout=0.0)
        self.decoder = CascadedUpsampler(vit.channels, SKIP_CHANNELS[:n_skip], align_corners=True)
        self.head = nn.Conv2d(16, outputs, 3, padding=1)
        self._initialise_mlps()

    def _initialise_mlps(self) -> None:
        """Draw the MLPs as the official code does; everything else keeps torch's default."""
        for block in self.transformer.blocks:
            assert isinstance(block, ViTBlock)
            for layer in block.mlp:
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, image: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to logits `[B, outputs, H, W]`."""
        half, quarter, eighth, sixteenth = self.cnn(image)
        patches = self.patch_embedding(sixteenth)
        tokens = self.transformer(patches.flatten(2).transpose(1, 2) + self.position)
        x = tokens.transpose(1, 2).unflatten(2, patches.shape[2:])
        return self.head(self.decoder(x, (eighth, quarter, half)[: self.n_skip]))


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    vit: ViT = "base",
    n_skip: NSkip = 3,
) -> Segmenter:
    """Build TransUNet with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; `forward` takes no other.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        vit: `base` for R50-ViT-B/16 or `large` for R50-ViT-L/16.
        n_skip: 3, or 0 for a decoder without skips.

    Raises:
        ValueError: If the size does not work, `n_seg` is missing or an option is unknown.
    """
    SizeRule("transunet", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    require_choice("transunet", "vit", vit, get_args(ViT))
    require_choice("transunet", "n_skip", n_skip, get_args(NSkip))
    outputs = require_outputs("transunet", "n_seg", n_seg) + 1
    return Segmenter(
        TransUNet(image_size, outputs, VIT_SIZES[vit], n_skip),
        SizeRule("transunet", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size),
    )
