"""HTC-Net (Tang H. et al., BSPC 2024; reference [36]), Tables VI and VII, segmentation.

The first stages of an EfficientNet-B3, a Swin encoder on their map at 1/8, a trident multi-layer
fusion (TMF) at the bottleneck, a Swin decoder and a convolutional one, each skip joined by a united
attention block (UA).

As in the official code: everything that takes part in its forward pass. Left out is what it builds
and never uses, 57 of its 116 million parameters: a fourth UA, the other stages of EfficientNet, the
head of the Swin-UNet it grew from and three BatchNorms.

Decisions: the official code fixes a token grid of 28×28 and pooling windows for 224-pixel images;
here the grid is 1/8 of the image, the pooling global, and the attention window 1/32 of the image,
at 224 pixels all the same. The official code starts from ImageNet and Swin weights; here all are
random, linear layers by Swin's rule as in that code, convolutions by torch's default. The front's
stages are timm's and drawn by its rule, normal over the fan-out; the library that the official code
takes them from leaves them at torch's default. EfficientNet's BatchNorms keep their momentum of
0.01: their running statistics need some hundred steps, and a shorter run is scored far below what
it has learnt.
"""

from collections.abc import Sequence

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import conv_bn_relu
from baselines.parts.initialisation import initialise_transformer
from baselines.parts.single_task import Segmenter
from baselines.parts.swin import PatchExpand, SwinPatchMerging, SwinStage, stage_windows, window_for
from resformer.requirements import SizeRule, require_outputs
from resformer.upsampling import resize_bilinear

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 64

CNN_CHANNELS = (40, 32, 48)
CHANNELS = (192, 384, 768)
HEADS = (6, 12, 24)
DROP_PATH = ((0.0, 0.04), (0.08, 0.12), (0.16, 0.2))


def to_map(tokens: Tensor) -> Tensor:
    """View tokens `[B, H, W, C]` as a map `[B, C, H, W]`."""
    return tokens.permute(0, 3, 1, 2)


def to_tokens(x: Tensor) -> Tensor:
    """View a map `[B, C, H, W]` as tokens `[B, H, W, C]`."""
    return x.permute(0, 2, 3, 1)


def upsample(x: Tensor) -> Tensor:
    """Map `[B, C, H, W]` to `[B, C, 2 H, 2 W]`, bilinear with corners aligned."""
    return resize_bilinear(x, (2 * x.shape[2], 2 * x.shape[3]), align_corners=True)


class EfficientNetFront(nn.Module):
    """Stem and blocks 0 to 7 of timm's EfficientNet-B3 in TensorFlow's padding and BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        # Stochastic depth of block i is 0.2 i / 26: it grows along all blocks of a B3.
        network = timm.create_model(
            "tf_efficientnet_b3", pretrained=False, drop_path_rate=0.2, bn_momentum=0.01
        )
        self.stem = nn.Sequential(network.get_submodule("conv_stem"), network.get_submodule("bn1"))
        self.stages = nn.ModuleList(network.get_submodule(f"blocks.{stage}") for stage in range(3))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Extract maps at 1/2 (the stem's), 1/4 and 1/8 from images `[B, 3, H, W]`.

        Returns:
            `[B, 40, H/2, W/2]`, `[B, 32, H/4, W/4]` and `[B, 48, H/8, W/8]`.
        """
        half = self.stem(image)
        quarter = self.stages[1](self.stages[0](half))
        return half, quarter, self.stages[2](quarter)


class UnitedAttention(nn.Module):
    """UA: a path that weighs channels and one that weighs positions, added.

    Args:
        in_channels: Channels c of the input.
        channels: Channels p of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.channel_convs = nn.Sequential(
            *conv_bn_relu(in_channels, channels),
            nn.Conv2d(channels, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.channel_mlp = nn.Sequential(
            nn.Linear(wide, channels // 2),
            nn.ReLU(),
            nn.Linear(channels // 2, wide),
            nn.Sigmoid(),
        )
        self.channel_shortcut = nn.Sequential(
            nn.Conv2d(in_channels, wide, 1, bias=False), nn.BatchNorm2d(wide)
        )
        self.channel_out = conv_bn_relu(wide, channels)
        self.spatial_conv = nn.Conv2d(2, 1, 7, padding=3)
        self.spatial_out = conv_bn_relu(in_channels, channels)

    def channel_path(self, x: Tensor) -> Tensor:
        """Map `[B, c, H, W]` to `[B, p, H, W]` with one weight per channel."""
        features = self.channel_convs(x)
        # The sum of both weights times the features: of their mean and of their maximum.
        weights = self.channel_mlp(features.mean((2, 3))) + self.channel_mlp(features.amax((2, 3)))
        weighted = weights[:, :, None, None] * features
        return self.channel_out(F.relu(weighted + self.channel_shortcut(x)))

    def spatial_path(self, x: Tensor) -> Tensor:
        """Map `[B, c, H, W]` to `[B, p, H, W]` with one weight per position."""
        statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return self.spatial_out(torch.sigmoid(self.spatial_conv(statistics)) * x)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, c, H, W]` to `[B, p, H, W]`."""
        return self.channel_path(x) + self.spatial_path(x)


class TridentFusion(nn.Module):
    """TMF: three dilated branches, mixed position by position, faded in by a gate that starts at 0.

    Args:
        channels: Channels C of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
            for dilation in (1, 3, 5)
        )
        self.squeeze_excite = nn.Sequential(
            nn.Linear(channels, channels // 16, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 16, channels, bias=False),
            nn.Sigmoid(),
        )
        self.branch_conv = nn.Conv2d(channels, channels, 1)
        self.sum_conv = nn.Conv2d(channels, channels, 1)
        self.choice_conv = nn.Conv2d(channels, len(self.dilated), 3, padding=1)
        self.gate = nn.Parameter(torch.zeros(()))
        self.out = conv_bn_relu(channels, channels, 1)

    def branches(self, x: Tensor) -> list[Tensor]:
        """Return b1, b2, b3, `[B, C, H, W]` each; all but the dilated convolutions is shared."""
        features = [conv(x) for conv in self.dilated]
        weights = [self.squeeze_excite(feature.mean((2, 3))) for feature in features]
        return [
            self.branch_conv(weight[:, :, None, None] * feature)
            for weight, feature in zip(weights, features, strict=True)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H, W]`."""
        b1, b2, b3 = self.branches(x)
        choice = self.choice_conv(F.relu(self.sum_conv(b1 + b2 + b3)))
        a1, a2, a3 = choice.softmax(1).split(1, dim=1)
        fused = a1 * b1 + a2 * b2 + a3 * b3
        return self.out(F.relu(self.gate * fused + (1 - self.gate) * x))


class SwinEncoder(nn.Module):
    """Token embedding, then three Swin stages with patch merging between them.

    Args:
        in_channels: Channels of the convolutional map.
        windows: Side of the attention windows of each stage.
    """

    def __init__(self, in_channels: int, windows: Sequence[int]) -> None:
        super().__init__()
        self.embed = nn.Conv2d(in_channels, CHANNELS[0], 1)
        self.embed_norm = nn.LayerNorm(CHANNELS[0])
        self.stages = nn.ModuleList(
            SwinStage(*stage) for stage in zip(CHANNELS, HEADS, windows, DROP_PATH, strict=True)
        )
        self.merges = nn.ModuleList(SwinPatchMerging(channels) for channels in CHANNELS[:-1])
        self.norm = nn.LayerNorm(CHANNELS[-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a map `[B, in_channels, H/8, W/8]`.

        Returns:
            Inputs of the first two stages, `[B, H/8, W/8, 192]` and `[B, H/16, W/16, 384]`, as
            skips, and the last stage's output `[B, H/32, W/32, 768]`.
        """
        fine = self.embed_norm(to_tokens(self.embed(x)))
        middle = self.merges[0](self.stages[0](fine))
        coarse = self.merges[1](self.stages[1](middle))
        return fine, middle, self.norm(self.stages[2](coarse))


class SwinDecoder(nn.Module):
    """Two levels of patch expanding, united attention with the skip and a Swin stage; LN.

    Args:
        windows: Side of the attention windows of each encoder stage.
    """

    def __init__(self, windows: Sequence[int]) -> None:
        super().__init__()
        self.expands = nn.ModuleList(PatchExpand(CHANNELS[level + 1]) for level in (1, 0))
        self.unite = nn.ModuleList(
            UnitedAttention(CHANNELS[level + 1], CHANNELS[level]) for level in (1, 0)
        )
        self.stages = nn.ModuleList(
            SwinStage(CHANNELS[level], HEADS[level], windows[level], DROP_PATH[level])
            for level in (1, 0)
        )
        self.norm = nn.LayerNorm(CHANNELS[0])

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Decode tokens `[B, H/32, W/32, 768]` with skips, coarser first.

        Returns:
            `[B, H/8, W/8, 192]`.
        """
        levels = zip(self.expands, self.unite, self.stages, skips, strict=True)
        for expand, unite, stage, skip in levels:
            united = unite(to_map(torch.cat([expand(x), skip], dim=-1)))
            x = stage(to_tokens(united))
        return self.norm(x)


class CNNDecoder(nn.Module):
    """From 1/8 of the image to the image, with convolutional skips at 1/4 and 1/2.

    Args:
        classes: Channels of the output.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        half, quarter, _ = CNN_CHANNELS
        self.conv_more = conv_bn_relu(CHANNELS[0], 128)
        self.unite_quarter = UnitedAttention(128 + quarter, 64)
        self.conv_quarter = conv_bn_relu(64, 64)
        self.unite_half = UnitedAttention(64 + half, 32)
        self.conv_half = conv_bn_relu(32, 32)
        self.conv_full = nn.Sequential(conv_bn_relu(32, 16), conv_bn_relu(16, 16))
        self.head = nn.Conv2d(16, classes, 3, padding=1)

    def forward(self, x: Tensor, quarter: Tensor, half: Tensor) -> Tensor:
        """Decode a map `[B, 192, H/8, W/8]`.

        Args:
            x: The Swin decoder's map.
            quarter: Skip `[B, 32, H/4, W/4]`.
            half: Skip `[B, 40, H/2, W/2]`.

        Returns:
            Logits `[B, classes, H, W]`.
        """
        x = self.unite_quarter(torch.cat([upsample(self.conv_more(x)), quarter], dim=1))
        # Twice the same convolution and BatchNorm, as in the official code.
        x = self.conv_quarter(self.conv_quarter(x))
        x = self.unite_half(torch.cat([upsample(x), half], dim=1))
        x = self.conv_half(self.conv_half(x))
        return self.head(self.conv_full(upsample(x)))


class HTCNet(nn.Module):
    """The network: two encoders in a row, the fusion between them and two decoders in a row.

    Args:
        windows: Side of the attention windows of each Swin stage.
        classes: Channels of the output.
    """

    def __init__(self, windows: Sequence[int], classes: int) -> None:
        super().__init__()
        self.cnn_encoder = EfficientNetFront()
        self.swin_encoder = SwinEncoder(CNN_CHANNELS[-1], windows)
        self.tmf = TridentFusion(CHANNELS[-1])
        self.swin_decoder = SwinDecoder(windows)
        self.cnn_decoder = CNNDecoder(classes)
        initialise_transformer(self)

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to logits `[B, classes, H, W]`."""
        half, quarter, eighth = self.cnn_encoder(image)
        fine, middle, coarse = self.swin_encoder(eighth)
        x = to_tokens(self.tmf(to_map(coarse)))
        x = self.swin_decoder(x, (middle, fine))
        return self.cnn_decoder(to_map(x), quarter, half)


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    window_size: int | None = None,
) -> Segmenter:
    """Build HTC-Net with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels, a multiple of 32; `forward` takes no other.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        window_size: Side of the attention windows in tokens; 1/32 of the image if `None`.

    Raises:
        ValueError: If the size does not work, `n_seg` is missing or the window is empty.
    """
    SizeRule("htcnet", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    window = window_for(image_size) if window_size is None else window_size
    if window < 1:
        raise ValueError(f"htcnet: window_size is {window_size}; it must be at least 1")
    windows = stage_windows(window, image_size, len(CHANNELS), first_stride=8)
    network = HTCNet(windows, require_outputs("htcnet", "n_seg", n_seg) + 1)
    return Segmenter(network, SizeRule("htcnet", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size))
