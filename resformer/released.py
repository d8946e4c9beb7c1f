"""ResFormer as released: the network of the authors' repository where it departs from the paper.

Two extra rows that no table of the paper has, `resformer_seq_released` and
`resformer_par_released`; they show how far the released network is from the printed one. Built
from the facts in `docs/fidelity.md` (repository `nguyenpbui/ResFormer`, commit ce6948b7), not
from its code, and tied to it by its parameter counts.

Departures kept: a multi-scale patch embedding of the image and multi-scale merging for the
transformer, ResNet stages that downsample themselves, channel attention (ECA) after embedding,
merging and FFN, another DFE (sequential only, the released parallel network has none), transposed
convolutions in the decoder, BN and ReLU before the pooling of the classification head.

Decisions: the released FFN views its tokens as a map without transposing them, and back. That
gates each channel by the mean of numbers from all of them, and scatters the whole output of the FFN
over positions and channels, not the attention's alone; here every number stays at its position and
each channel is gated by its own mean. Where the facts name one previous map, the
ResNet stage and the merging both read F̂_{i-1}. The segmentation head has the background channel
that this project's losses and metrics expect for every data set.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resformer.blocks import FeedForward, ResidualBlock, SwinTransformerBlock
from resformer.dfe import DILATIONS, SpatialAttention
from resformer.encoder import (
    CHANNELS,
    HEADS,
    MODES,
    LevelMaps,
    Mode,
    Stem,
    stochastic_depth_rates,
)
from resformer.initialisation import initialise
from resformer.model import (
    MINIMUM_SIZE,
    SIZE_MULTIPLE,
    ClassificationHead,
    ResFormer,
    checked_window,
    require_a_task,
)
from resformer.requirements import SizeRule, require_choice
from resformer.upsampling import BilinearUpsampling

__all__ = ["MINIMUM_SIZE", "SIZE_MULTIPLE", "build"]

CONV_DEPTHS = (3, 4, 6, 3)
CLS_HIDDEN = 32


def conv_bn_relu(
    in_channels: int, channels: int, kernel: int, *, dilation: int = 1, bias: bool = False
) -> nn.Sequential:
    """Make Conv, BN, ReLU that keep the resolution."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=padding, dilation=dilation, bias=bias),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class ECA(nn.Module):
    """Efficient channel attention (Wang et al., CVPR 2020) with the input added to its result.

    Global average, a convolution of three neighbouring channels, sigmoid, scale, plus the input.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, H, W, C]`."""
        gate = torch.sigmoid(self.conv(x.mean((1, 2))[:, None]))[:, None]
        return x * gate + x


class FeedForwardECA(FeedForward):
    """The FFN of the printed network, followed by ECA."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.eca = ECA()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]` to `[B, H, W, C]`."""
        return self.eca(super().forward(x))


class MultiScaleConv(nn.Module):
    """Convolutions of several kernel sizes, all of stride 2, concatenated, followed by ECA.

    Args:
        in_channels: Channels of the input.
        branches: Kernel size and output channels of each convolution; kernels are even and the
            padding `kernel / 2 - 1` halves every even resolution.
    """

    def __init__(self, in_channels: int, branches: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, channels, kernel, stride=2, padding=kernel // 2 - 1)
            for kernel, channels in branches
        )
        self.eca = ECA()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to tokens `[B, H / 2, W / 2, sum of branch channels]`."""
        scales = torch.cat([conv(x) for conv in self.convs], 1)
        return self.eca(scales.permute(0, 2, 3, 1))


class PatchEmbedding(nn.Module):
    """The image as 64-channel tokens at half resolution, from patches of 2, 4, 8 and 16 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = MultiScaleConv(3, ((2, 32), (4, 16), (8, 8), (16, 8)))
        self.norm = nn.LayerNorm(CHANNELS[0])

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to `[B, 64, H / 2, W / 2]`."""
        return self.norm(self.scales(image)).permute(0, 3, 1, 2)


class MultiScaleMerging(nn.Module):
    """The transformer's way to the next level: LN, then patches of 2 and 4 positions, ECA."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.scales = MultiScaleConv(channels, ((2, channels), (4, channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, 2C, H / 2, W / 2]`."""
        tokens = self.norm(x.permute(0, 2, 3, 1))
        return self.scales(tokens.permute(0, 3, 1, 2)).permute(0, 3, 1, 2)


def resnet34_stage(in_channels: int, channels: int, depth: int) -> nn.Sequential:
    """Make a stage of ResNet34, which halves the resolution where the channels change."""
    stride = 1 if in_channels == channels else 2
    return nn.Sequential(
        ResidualBlock(in_channels, channels, stride),
        *(ResidualBlock(channels, channels) for _ in range(depth - 1)),
    )


class ReleasedEncoder(nn.Module):
    """Four levels of ResNet34 stages and Swin-Transformer blocks with multi-scale merging.

    Sequential: F̂_1 = Swin(Stage(F_0) + E), then F̂_i = Swin(Stage(F̂_{i-1}) + Merge(F̂_{i-1})).
    Parallel: F̂_0 = F_0 + E, F̂_1 = Stage(F̂_0) + Swin(F̂_0), then
    F̂_i = Stage(F̂_{i-1}) + Swin(Merge(F̂_{i-1})). E is the patch embedding of the image.

    Args:
        mode: `sequential` or `parallel`.
        window: Side of an attention window in tokens.
        drop_path: Stochastic depth of the last transformer block; linear from 0.

    Raises:
        ValueError: On an unknown mode.
    """

    def __init__(self, mode: Mode, window: int, drop_path: float) -> None:
        super().__init__()
        require_choice("resformer_released", "mode", mode, MODES)
        self.mode = mode
        self.stem = Stem()
        self.embedding = PatchEmbedding()
        inputs = (CHANNELS[0], *CHANNELS[:-1])
        self.stages = nn.ModuleList(map(resnet34_stage, inputs, CHANNELS, CONV_DEPTHS))
        self.swins = nn.ModuleList(
            SwinTransformerBlock(channels, heads, window, rates, FeedForwardECA)
            for channels, heads, rates in zip(
                CHANNELS, HEADS, stochastic_depth_rates(drop_path, len(CHANNELS)), strict=True
            )
        )
        self.merges = nn.ModuleList(map(MultiScaleMerging, CHANNELS[:-1]))

    def forward(self, image: Tensor) -> LevelMaps:
        """Map `[B, 3, H, W]` to F̂_1 .. F̂_4, `[B, 64, H/2, W/2]` .. `[B, 512, H/16, W/16]`."""
        local, tokens = self.stem(image), self.embedding(image)
        if self.mode == "parallel":
            local = tokens = local + tokens
        maps = [self._level(0, local, tokens)]
        for level, merge in enumerate(self.merges, start=1):
            maps.append(self._level(level, maps[-1], merge(maps[-1])))
        return LevelMaps(*maps)

    def _level(self, level: int, local: Tensor, tokens: Tensor) -> Tensor:
        """Combine the stage of `local` with the transformer's view of `tokens`."""
        stage, swin = self.stages[level], self.swins[level]
        if self.mode == "sequential":
            return swin(stage(local) + tokens)
        return stage(local) + swin(tokens)


class ReleasedDFE(nn.Module):
    """A 1×1 and three dilated 3×3 branches, concatenated and fused, with a shortcut and SA.

    Args:
        channels: Channels of the level, kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(channels, channels, 1),
                *(conv_bn_relu(channels, channels, 3, dilation=rate) for rate in DILATIONS),
            ]
        )
        self.fuse = nn.Sequential(
            nn.Conv2d(4 * channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.sa = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H, W]`."""
        fused = self.fuse(torch.cat([branch(x) for branch in self.branches], 1))
        return self.sa(F.relu(fused + self.shortcut(x)))


class ReleasedDecoderLevel(nn.Module):
    """Transposed 2×2 convolution, concatenation with the level's map, 3×3 convolution, BN, ReLU.

    Args:
        channels: Channels of the level; the deeper map comes with twice as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.fuse = conv_bn_relu(2 * channels, channels, 3, bias=True)

    def forward(self, level: Tensor, deeper: Tensor) -> Tensor:
        """Map `[B, C, H, W]` and `[B, 2C, H / 2, W / 2]` to `[B, C, H, W]`."""
        return self.fuse(torch.cat((level, self.up(deeper)), 1))


class ReleasedSegmentationPath(nn.Module):
    """DFE where the network has it, decoder, ×2 upsampling and the 1×1 head without bias.

    Args:
        n_seg: Number of lesion types n; the head has n + 1 channels.
        dfe: Whether there is a DFE module at each level.
    """

    def __init__(self, n_seg: int, *, dfe: bool) -> None:
        super().__init__()
        self.dfe = nn.ModuleList(
            ReleasedDFE(channels) if dfe else nn.Identity() for channels in CHANNELS
        )
        self.levels = nn.ModuleList(map(ReleasedDecoderLevel, reversed(CHANNELS[:-1])))
        self.up = BilinearUpsampling(2, align_corners=True)
        self.head = nn.Conv2d(CHANNELS[0], n_seg + 1, 1, bias=False)

    def forward(self, maps: LevelMaps) -> Tensor:
        """Map F̂_1 .. F̂_4 to logits `[B, n_seg + 1, H, W]`."""
        *shallower, x = (dfe(level) for dfe, level in zip(self.dfe, maps, strict=True))
        for decode, level in zip(self.levels, reversed(shallower), strict=True):
            x = decode(level, x)
        return self.head(self.up(x))


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    mode: Mode = "sequential",
    window_size: int | None = None,
    drop_path: float = 0.1,
) -> ResFormer:
    """Build the released network with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels that it will mostly see; sets the default window.
        n_seg: Number of lesion types, or `None` for no segmentation path.
        n_cls: Number of image labels, or `None` for no classification head.
        mode: `sequential` (with DFE) or `parallel` (without).
        window_size: Side of the attention window in tokens; `None` means image_size // 16.
        drop_path: Stochastic depth of the last transformer block; linear from 0.

    Raises:
        ValueError: If a size does not work, the mode is unknown or no task is given.
    """
    require_a_task("resformer_released", n_seg, n_cls)
    window = checked_window("resformer_released", image_size, window_size)
    encoder = ReleasedEncoder(mode, window, drop_path)
    segmentation = (
        None if n_seg is None else ReleasedSegmentationPath(n_seg, dfe=mode == "sequential")
    )
    classification = (
        None if n_cls is None else ClassificationHead(n_cls, CLS_HIDDEN, "none", "bn_relu")
    )
    sizes = SizeRule("resformer_released", SIZE_MULTIPLE, MINIMUM_SIZE)
    network = ResFormer(encoder, segmentation, classification, sizes)
    initialise(network, heads=(segmentation and segmentation.head, classification))
    return network
