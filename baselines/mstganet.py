"""MsTGANet (Wang M. et al., IEEE TMI 2022; reference [33]), Table VI, segmentation.

A U-Net whose coarsest map passes two non-local steps (MsTNL) and whose skips are gated (MsGCS).

As in the official code: widths 32 to 512, which is that code's `feature_scale` of 2 and the only
one it can build; convolutions with a bias beside BatchNorm; attention of one head without the
usual scale 1 / sqrt(d); the gates γ of both steps start at 0, so that a new network is a U-Net
with gated skips; positions drawn from a standard normal; everything else torch's initialisation.
The paper's name for the skips promises attention over channels and positions; the official gate
weighs positions alone, and that is what stands here.

Decisions: logits in place of the official sigmoid. The official code fixes the sizes of its
position parameters at those of 512-pixel images; here they follow `image_size`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import conv_bn_relu, double_conv
from baselines.parts.single_task import Segmenter
from resformer.requirements import SizeRule, require_outputs
from resformer.upsampling import resize_bilinear

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

WIDTHS = (32, 64, 128, 256, 512)
QUERY_CHANNELS = 64


class NonLocalStep(nn.Module):
    """One step of MsTNL: softmax over keys of qᵀk + qᵀR, times v, gated by γ and added to a map.

    Args:
        channels: Channels C of all maps.
        side: Height and width of the maps.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, QUERY_CHANNELS, 1)
        self.key = nn.Conv2d(channels, QUERY_CHANNELS, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.rel_h = nn.Parameter(torch.randn(1, QUERY_CHANNELS, side, 1))
        self.rel_w = nn.Parameter(torch.randn(1, QUERY_CHANNELS, 1, side))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, query_map: Tensor, memory: Tensor, x: Tensor) -> Tensor:
        """Add to a map what its positions find in a memory.

        Args:
            query_map: Source of the queries, `[B, C, side, side]`.
            memory: Source of the keys and values, `[B, C, side, side]`.
            x: Map to add to, `[B, C, side, side]`.

        Returns:
            `[B, C, side, side]`.
        """
        query = self.query(query_map).flatten(2).mT
        key = self.key(memory).flatten(2).mT
        value = self.value(memory).flatten(2).mT
        position = (self.rel_h + self.rel_w).flatten(2)
        attended = F.scaled_dot_product_attention(
            query[:, None],
            key[:, None],
            value[:, None],
            attn_mask=(query @ position)[:, None],
            scale=1.0,
        )
        return self.gamma * attended[:, 0].mT.reshape(x.shape) + x


class MsTNL(nn.Module):
    """Multi-scale transformer non-local module: queries from all scales, then a second look.

    Args:
        skip_channels: Channels of the encoder's finer maps, finest first.
        channels: Channels C of its coarsest map.
        side: Height and width of the coarsest map.
    """

    def __init__(self, skip_channels: tuple[int, ...], channels: int, side: int) -> None:
        super().__init__()
        self.embeds = nn.ModuleList(conv_bn_relu(width, channels) for width in skip_channels)
        self.encoder_step = NonLocalStep(channels, side)
        self.decoder_step = NonLocalStep(channels, side)

    def forward(self, skips: list[Tensor], x: Tensor) -> Tensor:
        """Enrich the coarsest map `[B, C, h, w]` with the help of the finer ones."""
        # Q0 = sum over i of ReLU(BN(Conv3×3(downsampled x_i)))
        scales = [
            embed(resize_bilinear(skip, (x.shape[2], x.shape[3]), align_corners=False))
            for embed, skip in zip(self.embeds, skips, strict=True)
        ]
        y = self.encoder_step(torch.stack(scales).sum(0), x, x)
        return self.decoder_step(x, y, x)


class MsGCS(nn.Module):
    """Gate of a skip: one weight per position from the decoder's map and the skip itself.

    Args:
        channels: Channels of the skip, and of the decoder's map.
        side: Height and width of both.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            *conv_bn_relu(2 * channels, channels // 2, 1, bias=True),
            *conv_bn_relu(channels // 2, 1, 1, bias=True),
        )
        self.rel_h = nn.Parameter(torch.randn(1, 1, side, 1))
        self.rel_w = nn.Parameter(torch.randn(1, 1, 1, side))
        self.bn = nn.BatchNorm2d(1)

    def forward(self, decoder: Tensor, skip: Tensor) -> Tensor:
        """Weigh a skip `[B, channels, side, side]` with the help of a map of its shape."""
        m = self.mix(torch.cat([decoder, skip], dim=1))
        return torch.sigmoid(self.bn((self.rel_h + self.rel_w) * m)) * skip


class MsTGANetDecoderLevel(nn.Module):
    """Nearest ×2 and a convolution that halves the channels, then the gated skip beside it.

    Args:
        channels: Channels of the skip and of the output; half of the input's.
        side: Height and width of the skip and of the output.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.up_conv = conv_bn_relu(2 * channels, channels, bias=True)
        self.gate = MsGCS(channels, side)
        self.block = double_conv(2 * channels, channels, bias=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map `[B, 2 channels, side / 2, side / 2]` to `[B, channels, side, side]`."""
        d = self.up_conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.block(torch.cat([self.gate(d, skip), d], dim=1))


class MsTGANet(nn.Module):
    """The network: five encoder blocks, MsTNL, four decoder levels, a 1×1 convolution.

    Args:
        image_size: Height and width of the images.
        classes: Channels of the output.
    """

    def __init__(self, image_size: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            double_conv(before, after, bias=True)
            for before, after in zip((3, *WIDTHS), WIDTHS, strict=False)
        )
        self.mstnl = MsTNL(WIDTHS[:-1], WIDTHS[-1], image_size // 16)
        self.decoder = nn.ModuleList(
            MsTGANetDecoderLevel(WIDTHS[level], image_size >> level) for level in (3, 2, 1, 0)
        )
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to logits `[B, classes, H, W]`."""
        x = self.encoder[0](image)
        skips = []
        for block in self.encoder[1:]:
            skips.append(x)
            x = block(F.max_pool2d(x, 2))
        x = self.mstnl(skips, x)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            x = level(x, skip)
        return self.head(x)


def build(*, image_size: int, n_seg: int | None, n_cls: int | None) -> Segmenter:
    """Build MsTGANet with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels, a multiple of 16; `forward` takes no other.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.

    Raises:
        ValueError: If the size does not work or `n_seg` is missing.
    """
    SizeRule("mstganet", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    network = MsTGANet(image_size, require_outputs("mstganet", "n_seg", n_seg) + 1)
    sizes = SizeRule("mstganet", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size)
    return Segmenter(network, sizes)
