"""RetiFluidNet (Rasti et al., IEEE TMI 2023; reference [23]), Table VI, segmentation.

A U-Net whose skips and bottleneck pass parameter-free attention over positions and channels (SDA),
with heads on every decoder level and, beside each, a head for the connectivity of neighbouring
pixels. The latter serve the authors' loss only (`workflow/training/connectivity.py`).

As in the official code: widths 32 to 512, convolutions with a bias beside BatchNorm, SDA on maps
pooled by 4, multi-kernel pooling (RMP) in the bottleneck, nearest-neighbour resizing, no dropout,
Glorot-uniform weights and zero biases.

Decisions: three input channels in place of one; classes are the argmax of the main logits, not of
the connectivity votes that the authors' evaluator counts; BatchNorm keeps torch's eps and momentum
(Keras: 1e-3 and 0.01). Resizing is torch's `nearest-exact`, which picks the pixels TensorFlow
picks where sizes do not divide; `nearest` does not. A pooling window larger than the map is cut
to it; that happens below 192 pixels only, where the bottleneck is smaller than the largest window.

Without `side_outputs` the side and connectivity heads are made, counted and never used.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.convolution import double_conv
from resformer.prediction import Prediction
from resformer.requirements import SizeRule, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32

WIDTHS = (32, 64, 128, 256, 512)
BOTTLENECK_WIDTH = 1024
ATTENTION_POOL = 4
RMP_KERNELS = (2, 3, 5, 6)
NEIGHBOURS = 8


def max_pool(x: Tensor, side: int) -> Tensor:
    """Max-pool by windows of `side`, cut to the map `[B, C, H, W]` where that is smaller."""
    return F.max_pool2d(x, (min(side, x.shape[2]), min(side, x.shape[3])))


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Compute in the inputs' own format; the meta device knows no autocast and needs nothing."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


class SelfDualAttention(nn.Module):
    """SDA: a map plus half of what attention over positions and over channels makes of it.

    Tokens are the positions of the pooled map, X in R^(N×C). There are no projections; each branch
    has one learned scalar in front of its ReLU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pixel_scale = nn.Parameter(torch.ones(()))
        self.channel_scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H, W]`."""
        pooled = max_pool(x, ATTENTION_POOL)
        tokens = pooled.permute(0, 2, 3, 1).flatten(1, 2)
        # softmax(X Xᵀ / sqrt(N)) X, fused: at 512 pixels the finest level has 16,384 tokens.
        one_head = tokens.unsqueeze(1)
        pixel = F.scaled_dot_product_attention(
            one_head, one_head, one_head, scale=tokens.shape[1] ** -0.5
        ).squeeze(1)
        channel = tokens @ self.channel_attention(tokens)
        attended = F.relu(self.pixel_scale * pixel) + F.relu(self.channel_scale * channel)
        attended = attended.unflatten(1, pooled.shape[2:]).permute(0, 3, 1, 2)
        return x + 0.5 * F.interpolate(attended, x.shape[2:], mode="nearest-exact")

    def channel_attention(self, tokens: Tensor) -> Tensor:
        """Return softmax(Xᵀ X / C) over the last axis, `[B, C, C]`, of tokens `[B, N, C]`.

        In float32 also under autocast: a score sums over all N positions, and its bfloat16
        neighbours can lie more than 1 apart, that is factors of the softmax.
        """
        with without_autocast(tokens.device):
            tokens = tokens.float()
            return (tokens.mT @ tokens / tokens.shape[2]).softmax(dim=-1)


class MultiKernelPooling(nn.Module):
    """RMP: max-pools of four sizes, each reduced to one channel, resized, and put beside the map.

    With one channel a ReLU can be closed at every position from the first weights on, and its
    convolution then never learns; so it is in the official code.

    Args:
        channels: Channels C of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, 1, 1) for _ in RMP_KERNELS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C + 4, H, W]`."""
        pooled = (
            F.relu(conv(max_pool(x, kernel)))
            for conv, kernel in zip(self.convs, RMP_KERNELS, strict=True)
        )
        resized = (F.interpolate(p, x.shape[2:], mode="nearest-exact") for p in pooled)
        return torch.cat([x, *resized], dim=1)


class RetiFluidNetDecoderLevel(nn.Module):
    """Transposed convolution ×2, concatenation with the skip and its SDA, two 3×3 convolutions.

    Args:
        in_channels: Channels of the coarser map.
        channels: Channels of the skip and of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, channels, 2, stride=2)
        self.sda = SelfDualAttention()
        self.norm = nn.BatchNorm2d(3 * channels)
        self.convs = double_conv(3 * channels, channels, bias=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` and `[B, C, 2 H, 2 W]` to `[B, C, 2 H, 2 W]`."""
        joined = torch.cat([self.sda(skip), skip, self.up(x)], dim=1)
        return self.convs(F.relu(self.norm(joined)))


class ConnectivityHead(nn.Conv2d):
    """Eight neighbour maps of each class map by a 1×1 convolution 1 -> 8 of the class's own.

    Args:
        classes: Class maps C.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(classes, NEIGHBOURS * classes, 1, groups=classes)

    def forward(self, input: Tensor) -> Tensor:
        """Map scores `[B, C, H, W]` to connectivity logits `[B, C, 8, H, W]`."""
        return super().forward(input).unflatten(1, (-1, NEIGHBOURS))


class RetiFluidNet(nn.Module):
    """The network with all its heads.

    Args:
        classes: Output channels C, background included.
        side_outputs: Whether the forward pass in training evaluates side and connectivity heads.
        sizes: Image sizes that it takes.
    """

    def __init__(self, classes: int, *, side_outputs: bool, sizes: SizeRule) -> None:
        super().__init__()
        self.side_outputs = side_outputs
        self.sizes = sizes
        self.encoder = nn.ModuleList(
            double_conv(before, width, bias=True)
            for before, width in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.bottleneck = nn.Sequential(
            SelfDualAttention(),
            double_conv(WIDTHS[-1], BOTTLENECK_WIDTH, bias=True),
            MultiKernelPooling(BOTTLENECK_WIDTH),
        )
        coarse_to_fine = WIDTHS[::-1]
        coarser = (BOTTLENECK_WIDTH + len(RMP_KERNELS), *coarse_to_fine[:-1])
        self.decoder = nn.ModuleList(
            RetiFluidNetDecoderLevel(before, width)
            for before, width in zip(coarser, coarse_to_fine, strict=True)
        )
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        self.side_heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in WIDTHS[1:])
        self.connectivity_heads = nn.ModuleList(ConnectivityHead(classes) for _ in WIDTHS)

    def forward(self, image: Tensor) -> Prediction:
        """Segment images `[B, 3, H, W]`.

        Returns:
            Logits `[B, C, H, W]`. In training with `side_outputs` also, as `auxiliary`, all
            at the image's resolution and finest level first: `side`, the logits
            `[B, C, H, W]` of levels 1 to 4; `connectivity`, the logits `[B, C, 8, H, W]` of
            the main output and of these four.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        x, skips = image, []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = max_pool(x, 2)
        x = self.bottleneck(x)
        maps = []
        for level, skip in zip(self.decoder, skips[::-1], strict=True):
            x = level(x, skip)
            maps.append(x)
        logits = self.head(x)
        if not (self.training and self.side_outputs):
            return Prediction(logits, None)
        return Prediction(logits, None, self.auxiliary(logits, maps[:-1][::-1]))

    def auxiliary(self, logits: Tensor, maps: list[Tensor]) -> dict[str, tuple[Tensor, ...]]:
        """Evaluate side and connectivity heads.

        Args:
            logits: Of the main output, `[B, C, H, W]`.
            maps: Decoder maps of levels 1 to 4, `[B, w_k, H / 2^k, W / 2^k]`.

        Returns:
            See `forward`.
        """
        side = tuple(
            head(F.interpolate(x, scale_factor=2**level, mode="nearest-exact"))
            for level, (head, x) in enumerate(zip(self.side_heads, maps, strict=True), start=1)
        )
        # The authors' main connectivity head sees scores before the softmax, the others after it.
        scores = (logits, *(x.softmax(dim=1) for x in side))
        connectivity = tuple(
            head(x) for head, x in zip(self.connectivity_heads, scores, strict=True)
        )
        return {"side": side, "connectivity": connectivity}


def initialise(network: nn.Module) -> None:
    """Draw Glorot-uniform weights for every convolution in place, with zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Class by class: the groups of a connectivity head are convolutions of their own.
            for weight in module.weight.chunk(module.groups):
                nn.init.xavier_uniform_(weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def build(
    *, image_size: int, n_seg: int | None, n_cls: int | None, side_outputs: bool = False
) -> RetiFluidNet:
    """Build RetiFluidNet with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        side_outputs: Whether training also evaluates the heads that the authors' loss needs.

    Raises:
        ValueError: If the size does not work or `n_seg` is missing.
    """
    sizes = SizeRule("retifluidnet", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    classes = require_outputs("retifluidnet", "n_seg", n_seg) + 1
    network = RetiFluidNet(classes, side_outputs=side_outputs, sizes=sizes)
    initialise(network)
    return network
