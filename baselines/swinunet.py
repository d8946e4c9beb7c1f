"""Swin-Unet (Cao et al., ECCV Workshops 2022; reference [31]), Tables VI and VII, segmentation.

A U-Net without convolutions: Swin-T's encoder and its mirror image as decoder, three skips.

Official: widths 96 to 768, heads 3 to 24, two blocks a stage, patch merging and patch expanding,
stochastic depth up to 0.2 by encoder position, which the decoder's stages take over from the
encoder's at their resolution; a decoder stage is as deep as the encoder's, whatever the official
code's own option for it says. Its loss is 0.4 cross-entropy + 0.6 Dice.

Decisions: windows of image_size / 32 tokens, with which the official code takes 512-pixel images
too; a window that does not divide a map pads it. Weights are random like ResFormer's, where the
authors start encoder and decoder from an ImageNet Swin-T.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.parts.initialisation import initialise_transformer
from baselines.parts.single_task import Segmenter
from baselines.parts.swin import (
    PatchExpand,
    SwinPatchMerging,
    SwinStage,
    choose_window,
    drop_path_rates,
    stage_windows,
)
from resformer.requirements import SizeRule, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 64

CHANNELS = (96, 192, 384, 768)
HEADS = (3, 6, 12, 24)
PATCH = 4
DROP_PATH = 0.2


class PatchEmbed(nn.Module):
    """One token for each 4×4 patch of the image: a strided convolution, then LN."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS[0], PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(CHANNELS[0])

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to `[B, H / 4, W / 4, 96]`."""
        return self.norm(self.conv(image).permute(0, 2, 3, 1))


class SwinUNet(nn.Module):
    """Encoder, bottleneck, decoder with skips, and an expansion back to single pixels.

    All maps between the patch embedding and the head are channels-last.

    Args:
        classes: Output channels.
        windows: Side of the attention windows at strides 4, 8, 16 and 32.
        depths: Swin blocks at the same strides.
    """

    def __init__(self, classes: int, windows: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        rates = drop_path_rates(DROP_PATH, depths)

        def stage(level: int) -> SwinStage:
            return SwinStage(CHANNELS[level], HEADS[level], windows[level], rates[level])

        self.patch_embed = PatchEmbed()
        self.encoder = nn.ModuleList(stage(level) for level in (0, 1, 2))
        self.merges = nn.ModuleList(SwinPatchMerging(CHANNELS[level]) for level in (0, 1, 2))
        self.bottleneck = stage(3)
        self.norm = nn.LayerNorm(CHANNELS[3])
        self.expands = nn.ModuleList(PatchExpand(CHANNELS[level + 1]) for level in (2, 1, 0))
        self.fuses = nn.ModuleList(
            nn.Linear(2 * CHANNELS[level], CHANNELS[level]) for level in (2, 1, 0)
        )
        self.decoder = nn.ModuleList(stage(level) for level in (2, 1, 0))
        self.norm_up = nn.LayerNorm(CHANNELS[0])
        self.final_expand = PatchExpand(CHANNELS[0], factor=PATCH, out_channels=CHANNELS[0])
        self.head = nn.Conv2d(CHANNELS[0], classes, 1, bias=False)
        initialise_transformer(self)

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to logits `[B, classes, H, W]`."""
        x = self.patch_embed(image)
        skips = []
        for stage, merge in zip(self.encoder, self.merges, strict=True):
            skips.append(x)  # a stage's input, not its output
            x = merge(stage(x))
        x = self.norm(self.bottleneck(x))
        for expand, fuse, stage in zip(self.expands, self.fuses, self.decoder, strict=True):
            x = stage(fuse(torch.cat([expand(x), skips.pop()], dim=-1)))
        x = self.final_expand(self.norm_up(x))
        return self.head(x.permute(0, 3, 1, 2))


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    window_size: int | None = None,
    depths: Sequence[int] = (2, 2, 2, 2),
) -> Segmenter:
    """Build Swin-Unet with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; `forward` takes no other.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        window_size: Side of an attention window in tokens; `None` for `image_size / 32`.
        depths: Swin blocks of the three encoder stages and the bottleneck. The authors' network
            has two each; (2, 2, 6, 2) is what their Python class builds if given no depths.

    Raises:
        ValueError: If the size does not work, `n_seg` is missing or an option's value is wrong.
    """
    SizeRule("swinunet", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    classes = require_outputs("swinunet", "n_seg", n_seg) + 1
    if len(depths) != len(CHANNELS) or min(depths) < 1:
        raise ValueError(
            f"swinunet: depths is {tuple(depths)}; "
            f"it must be {len(CHANNELS)} numbers of at least 1, one per stage"
        )
    window = choose_window("swinunet", window_size, image_size)
    windows = stage_windows(window, image_size, len(CHANNELS))
    sizes = SizeRule("swinunet", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size)
    return Segmenter(SwinUNet(classes, windows, depths), sizes)
