"""EIU-Net (Yu et al., Comput Biol Med 162:107081, 2023; reference [39]), Table VII, segmentation.

A U-Net for skin lesions: inverted-residual and pyramid-split-attention (EPSA) encoder, soft-pooling
between the levels, atrous spatial pyramid (ASPP) at the bottom, multi-layer fusion (MLF) in the
skips, and a fusion of all decoder levels with scale attention. Layers are those of the authors'
code in its last public state.

Decisions: the decoder levels meet at the input's size, which the code fixes at 224×320; n + 1
output channels under softmax instead of one under a sigmoid. The BatchNorms of MLF follow torch's
momentum of 0.1, since the code's 0.9 makes the running statistics those of the last batch
(`paper_bn` brings it back). Every MLF owns a 3×3 convolution with BN that the code no longer
calls. They count in the network's size and are registered here for that reason. Where the public
record is silent: the interpolation to the input's size has no aligned corners, and each map of the
spatial gate serves the four channels of one decoder level, as each weight of the channel gate does.

Weights are random by the code's rule, which leaves the transposed convolutions at torch's default.
MLF and ASPP normalise 1×1 maps over the batch, so training needs batches of two or more images.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import conv_bn_relu, double_conv
from baselines.parts.single_task import Segmenter
from baselines.parts.soft_pool import global_soft_pool, soft_pool
from resformer.requirements import SizeRule, require_outputs
from resformer.upsampling import resize_bilinear

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

WIDTHS = (32, 64, 128, 256, 512)
EXPANSION = 6
PYRAMID_KERNELS = (3, 5, 7, 9)
PYRAMID_GROUPS = (1, 4, 8, 16)
SQUEEZE = 16
ATROUS_RATES = (6, 12, 18)
SCALES = 4  # decoder levels that meet in the fusion
SCALE_CHANNELS = 4


class EIUNetStem(nn.Module):
    """Two 3×3 convolutions with BN and ReLU beside a 1×1 convolution; sum, ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = double_conv(3, WIDTHS[0], bias=True)
        self.shortcut = nn.Conv2d(3, WIDTHS[0], 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to `[B, 32, H, W]`."""
        return F.relu(self.convs(image) + self.shortcut(image))


class InvertedResidual(nn.Module):
    """Widen sixfold, depthwise 3×3, narrow; a 1×1 convolution with BN beside; sum.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * in_channels
        self.expand = conv_bn_relu(in_channels, hidden, 1, bias=True)
        self.depthwise = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
        )
        self.project = nn.Sequential(nn.Conv2d(hidden, channels, 1), nn.BatchNorm2d(channels))
        self.shortcut = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, H, W]`."""
        return self.project(self.depthwise(self.expand(x))) + self.shortcut(x)


class PyramidSplitAttention(nn.Module):
    """PSA: four kernel sizes, a quarter of the channels each, weighed against each other.

    Args:
        channels: Channels of the input and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        split = channels // len(PYRAMID_KERNELS)
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, split, kernel, padding=kernel // 2, groups=groups, bias=False)
            for kernel, groups in zip(PYRAMID_KERNELS, PYRAMID_GROUPS, strict=True)
        )
        self.squeeze_excite = nn.Sequential(
            nn.Conv2d(split, split // SQUEEZE, 1),
            nn.ReLU(),
            nn.Conv2d(split // SQUEEZE, split, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, channels, H, W]` to `[B, channels, H, W]`."""
        maps = [branch(x) for branch in self.branches]
        scores = [self.squeeze_excite(part.mean((2, 3), keepdim=True)) for part in maps]
        weights = torch.stack(scores).softmax(0)  # [4, B, channels / 4, 1, 1]
        return torch.cat([part * weight for part, weight in zip(maps, weights, strict=True)], dim=1)


class EPSABottleneck(nn.Module):
    """ResNet's bottleneck with PSA as its middle convolution.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output; inside they are a quarter.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        hidden = channels // 4
        self.reduce = conv_bn_relu(in_channels, hidden, 1)
        self.attention = PyramidSplitAttention(hidden)
        self.bn = nn.BatchNorm2d(hidden)
        self.expand = nn.Sequential(
            nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, H, W]`."""
        residual = self.expand(F.relu(self.bn(self.attention(self.reduce(x)))))
        return F.relu(residual + self.shortcut(x))


def _conv_bn_relu6(in_channels: int, channels: int, rate: int | None = None) -> nn.Sequential:
    """A convolution with BN and ReLU6: 3×3 with a dilation if it has a rate, else 1×1."""
    if rate is None:
        conv = nn.Conv2d(in_channels, channels, 1, bias=False)
    else:
        conv = nn.Conv2d(in_channels, channels, 3, padding=rate, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU6())


class AtrousPyramid(nn.Module):
    """ASPP: 1×1, three dilated 3×3 and the image's mean, concatenated and mixed; dropout.

    Args:
        channels: Channels of the input, of each branch and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            _conv_bn_relu6(channels, channels, rate) for rate in (None, *ATROUS_RATES)
        )
        self.image_pooling = _conv_bn_relu6(channels, channels)
        self.mix = _conv_bn_relu6((len(self.branches) + 1) * channels, channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, channels, H, W]` to `[B, channels, H, W]`."""
        pooled = self.image_pooling(x.mean((2, 3), keepdim=True)).expand_as(x)
        branches = [branch(x) for branch in self.branches]
        return self.dropout(self.mix(torch.cat([*branches, pooled], dim=1)))


class NormalisedChannelAttention(nn.Module):
    """Scale each channel by its share of BN's scales: σ(BN(x) |γ| / Σ|γ|) x.

    As in the authors' code the share is a number to the gradient: γ learns through BN alone.

    Args:
        channels: Channels of the input and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, channels, H, W]` to `[B, channels, H, W]`."""
        scale = self.bn.weight.detach().abs()
        share = (scale / scale.sum())[:, None, None]
        return torch.sigmoid(self.bn(x) * share) * x


class MultiLayerFusion(nn.Module):
    """MLF: a level's map and the next level's, mixed channel by channel.

    Args:
        in_channels: Channels of the level's own map.
        channels: Channels of the next level's map and of the output.
        momentum: Of the BatchNorms' running statistics.
        dead_layers: Whether to own the convolution that the authors' code no longer calls.
    """

    def __init__(
        self, in_channels: int, channels: int, *, momentum: float, dead_layers: bool
    ) -> None:
        super().__init__()
        self.widen = conv_bn_relu(in_channels, channels)
        self.weigh = nn.Sequential(
            *conv_bn_relu(4 * channels, channels // 2, 1),
            nn.Conv2d(channels // 2, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            NormalisedChannelAttention(channels),
        )
        if dead_layers:
            self.dead_layer = nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
            )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Fuse `x [B, in_channels, H, W]` and `y [B, channels, H / 2, W / 2]`.

        Returns:
            `[B, channels, H, W]`, a x + (1 - a) y with one weight a per image and channel. The
            weights are not confined to [0, 1].
        """
        x = self.widen(x)
        y = resize_bilinear(y, (x.shape[2], x.shape[3]), align_corners=True)
        means = [part.mean((2, 3), keepdim=True) for part in (x, y)]
        maxima = [part.amax((2, 3), keepdim=True) for part in (x, y)]
        a = self.weigh(torch.cat([*means, *maxima], dim=1))
        return a * x + (1 - a) * y


class EIUNetDecoderLevel(nn.Module):
    """2×2 transposed convolution, concatenate the skip, two 3×3 convolutions with BN and ReLU.

    Args:
        in_channels: Channels of the coarser map.
        channels: Channels of the skip and of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(in_channels, channels, 2, stride=2)
        self.convs = double_conv(2 * channels, channels, bias=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, channels, 2 H, 2 W]`."""
        return self.convs(torch.cat([self.upsample(x), skip], dim=1))


class ScaleAttention(nn.Module):
    """Weigh the four decoder levels against each other, per image and per pixel; then mix them.

    The sixteen channels are four of each level. A gate's value serves the four of one level.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = SCALES * SCALE_CHANNELS
        self.channel_mlp = nn.Sequential(
            nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, channels)
        )
        self.spatial_convs = nn.Sequential(
            nn.Conv2d(channels, SCALES, 3, padding=1, bias=False),
            nn.BatchNorm2d(SCALES, momentum=0.01),
            nn.ReLU(),
            nn.Conv2d(SCALES, SCALES, 1, bias=False),
            nn.ReLU(),
        )
        self.mix = conv_bn_relu(channels, SCALE_CHANNELS)

    def channel_gate(self, x: Tensor) -> Tensor:
        """Weigh `x [B, 16, H, W]`: one weight per level, `[B, 4, 1, 1, 1]`."""
        # The root of a sum, not of a mean: it grows with the image.
        l2_pooled = torch.linalg.vector_norm(x.float(), dim=(2, 3))
        scores = self.channel_mlp(l2_pooled) + self.channel_mlp(global_soft_pool(x))
        scores = scores.unflatten(1, (SCALES, SCALE_CHANNELS)).mean(2)
        return torch.sigmoid(scores)[:, :, None, None, None]

    def spatial_gate(self, x: Tensor) -> Tensor:
        """Weigh `x [B, 16, H, W]`: one weight per level and pixel, `[B, 4, 1, H, W]`."""
        return torch.sigmoid(self.spatial_convs(x)).unsqueeze(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 16, H, W]` to `[B, 4, H, W]`."""
        levels = (SCALES, SCALE_CHANNELS)
        gated = (x.unflatten(1, levels) * self.channel_gate(x)).flatten(1, 2)
        gated = gated + (gated.unflatten(1, levels) * self.spatial_gate(gated)).flatten(1, 2)
        return self.mix(F.relu(gated + x))


class EIUNet(nn.Module):
    """EIU-Net.

    Args:
        classes: Output channels, background included.
        paper_bn: Whether MLF's running statistics follow the last batch, as in the authors' code.
        dead_layers: Whether MLF owns the convolutions that are never called.
    """

    def __init__(self, classes: int, *, paper_bn: bool, dead_layers: bool) -> None:
        super().__init__()
        self.stem = EIUNetStem()
        self.encoders = nn.ModuleList(map(InvertedResidual, WIDTHS[:3], WIDTHS[1:4]))
        self.encoders.append(EPSABottleneck(*WIDTHS[3:]))
        self.aspp = AtrousPyramid(WIDTHS[-1])
        self.fusions = nn.ModuleList(
            MultiLayerFusion(
                before, after, momentum=0.9 if paper_bn else 0.1, dead_layers=dead_layers
            )
            for before, after in pairwise(WIDTHS[:4])
        )
        # Decoder levels from fine to coarse, like the encoder's.
        self.decoders = nn.ModuleList(map(EIUNetDecoderLevel, WIDTHS[1:], WIDTHS[:-1]))
        self.reshapes = nn.ModuleList(nn.Conv2d(w, SCALE_CHANNELS, 1) for w in WIDTHS[:-1])
        self.scale_attention = ScaleAttention()
        self.head = nn.Conv2d(SCALE_CHANNELS, classes, 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to logits `[B, classes, H, W]`."""
        maps = [self.stem(image)]
        for encoder in self.encoders:
            maps.append(encoder(soft_pool(maps[-1])))
        skips = [maps[0]]
        for fusion, own, coarser in zip(self.fusions, maps[:3], maps[1:4], strict=True):
            skips.append(soft_pool(fusion(own, coarser)))
        x = self.aspp(maps[-1])
        decoded = []
        for decoder, skip in zip(reversed(self.decoders), reversed(skips), strict=True):
            x = decoder(x, skip)
            decoded.insert(0, x)
        size = (image.shape[2], image.shape[3])
        scales = [
            resize_bilinear(reshape(x), size, align_corners=False)
            for reshape, x in zip(self.reshapes, decoded, strict=True)
        ]
        return self.head(self.scale_attention(torch.cat(scales, dim=1)))


def initialise(network: nn.Module) -> None:
    """Draw convolutions from Kaiming's normal over the fan-in, BatchNorm's scales from N(1, 0.02).

    The head is a convolution like any other. Everything else, transposed convolutions among it,
    keeps torch's default. That is the authors' rule.

    Args:
        network: Any module; changed in place. Draws come from torch's default generator.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    paper_bn: bool = False,
    dead_layers: bool = True,
) -> Segmenter:
    """Build EIU-Net with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 16 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        paper_bn: Momentum 0.9 instead of 0.1 for the BatchNorms of MLF.
        dead_layers: Whether to register the three convolutions of MLF that are never called; the
            outputs do not depend on them.

    Raises:
        ValueError: If the size does not work or `n_seg` is missing.
    """
    sizes = SizeRule("eiunet", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    classes = require_outputs("eiunet", "n_seg", n_seg) + 1
    return Segmenter(EIUNet(classes, paper_bn=paper_bn, dead_layers=dead_layers), sizes)
