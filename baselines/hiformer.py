"""HiFormer (Heidari et al., WACV 2023; reference [32]), Tables VI and VII, segmentation.

A ResNet up to its third stage feeds a three-stage Swin Transformer, which has no patch embedding
of its own; the finest and the coarsest of the levels exchange what they know in the double-level
fusion (DLF) module, and a small convolutional decoder sums them.

Official: the three variants, the channels, depths and heads, stochastic depth up to 0.1 in Swin
and no dropout. The authors' loss is 0.4 cross-entropy + 0.6 Dice.

Decisions: variant B, the official code's default name; windows of image_size / 32 tokens, with
which that code takes 512-pixel images too; and which DLF (`DoubleLevelFusion`), since the
public code has had two and neither does all of what it holds. Weights are random like ResFormer's.
The authors start the ResNet from ImageNet; the Swin checkpoint that they load as well is
overwritten by the random initialisation that follows.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.parts.initialisation import initialise_transformer
from baselines.parts.single_task import Segmenter
from baselines.parts.swin import (
    SwinPatchMerging,
    SwinStage,
    choose_window,
    drop_path_rates,
    stage_windows,
)
from baselines.parts.vit import ViTBlock
from resformer.requirements import SizeRule, require_choice, require_outputs
from resformer.upsampling import BilinearUpsampling, resize_bilinear

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 64

CHANNELS = (96, 192, 384)  # at strides 4, 8 and 16, as are the next two
HEADS = (3, 6, 12)
DEPTHS = (2, 2, 6)
DROP_PATH = 0.1
SMALL, LARGE = CHANNELS[0], CHANNELS[-1]  # the branches that are fused, by width
DECODER_CHANNELS = 128
HEAD_CHANNELS = 16

Variant = Literal["B", "S", "L"]
Fusion = Literal["paper", "head", "release2022"]


class VariantSettings(NamedTuple):
    """What distinguishes the variants; pairs are (small branch, large branch) of the DLF."""

    resnet: str
    resnet_channels: tuple[int, int, int]
    depths: tuple[int, int]
    heads: tuple[int, int]
    mlp_ratio: int


VARIANTS: dict[Variant, VariantSettings] = {
    "B": VariantSettings("resnet50", (256, 512, 1024), depths=(1, 2), heads=(6, 12), mlp_ratio=2),
    "S": VariantSettings("resnet34", (64, 128, 256), depths=(1, 1), heads=(3, 3), mlp_ratio=1),
    "L": VariantSettings("resnet34", (64, 128, 256), depths=(1, 4), heads=(6, 6), mlp_ratio=4),
}


class HiFormerLevel(nn.Module):
    """One level of the encoder: the ResNet's map as tokens, plus what Swin makes of the level.

    Args:
        resnet_channels: Channels of the ResNet's map.
        channels: Channels C of the tokens.
        heads: Attention heads.
        window: Side of an attention window in tokens.
        drop_path: Stochastic depth of each Swin block.
    """

    def __init__(
        self,
        resnet_channels: int,
        channels: int,
        heads: int,
        window: int,
        drop_path: Sequence[float],
    ) -> None:
        super().__init__()
        self.to_tokens = nn.Conv2d(resnet_channels, channels, 1)
        self.swin = SwinStage(channels, heads, window, drop_path)

    def forward(self, features: Tensor, finer: Tensor | None) -> Tensor:
        """Map `[B, resnet_channels, H, W]` to `[B, H, W, C]`.

        Args:
            features: The ResNet's map.
            finer: The merged tokens `[B, H, W, C]` of the level before, which are what Swin
                works on; `None` at the first level, where it works on the ResNet's tokens.
        """
        tokens = self.to_tokens(features).permute(0, 2, 3, 1)
        return tokens + self.swin(tokens if finer is None else finer)


class HiFormerEncoder(nn.Module):
    """ResNet and Swin Transformer, level by level.

    Args:
        variant: What distinguishes the variants.
        windows: Side of the attention windows at strides 4, 8 and 16.
    """

    def __init__(self, variant: VariantSettings, windows: Sequence[int]) -> None:
        super().__init__()
        # Without a zero scale in each block's last BN, as in torchvision, which the authors use.
        self.resnet = timm.create_model(
            variant.resnet,
            pretrained=False,
            features_only=True,
            out_indices=(1, 2, 3),
            zero_init_last=False,
        )
        rates = drop_path_rates(DROP_PATH, DEPTHS)
        levels = zip(variant.resnet_channels, CHANNELS, HEADS, windows, rates, strict=True)
        self.levels = nn.ModuleList(HiFormerLevel(*arguments) for arguments in levels)
        self.merges = nn.ModuleList(SwinPatchMerging(channels) for channels in CHANNELS[:-1])
        self.norm_small = nn.LayerNorm(SMALL)
        self.norm_large = nn.LayerNorm(LARGE)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map `[B, 3, H, W]` to the sequences of the small and of the large branch.

        Returns:
            `[B, 1 + H / 4 * W / 4, 96]` and `[B, 1 + H / 16 * W / 16, 384]`: a class token,
            which is the mean of the level's normalised tokens, and the tokens in row-major order.
        """
        layer1, layer2, layer3 = self.resnet(image)
        level1 = self.levels[0](layer1, None)
        level2 = self.levels[1](layer2, self.merges[0](level1))
        level3 = self.levels[2](layer3, self.merges[1](level2))
        return _with_class_token(level1, self.norm_small), _with_class_token(
            level3, self.norm_large
        )


def _with_class_token(x: Tensor, norm: nn.Module) -> Tensor:
    """Flatten `[B, H, W, C]` to `[B, 1 + H * W, C]`, led by the mean of the normed tokens."""
    tokens = x.flatten(1, 2)
    return torch.cat([norm(tokens).mean(1, keepdim=True), tokens], dim=1)


def _translation(channels: int, other_channels: int) -> nn.Sequential:
    """What carries a class token over to the other branch's width: LN, GELU, linear."""
    return nn.Sequential(nn.LayerNorm(channels), nn.GELU(), nn.Linear(channels, other_channels))


class CrossAttention(nn.Module):
    """A visiting class token attends to itself and to the patch tokens of its host branch.

    Args:
        channels: Channels C of the host branch, a multiple of `heads`.
        heads: Attention heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.projection = nn.Linear(channels, channels)

    def forward(self, visitor: Tensor, patches: Tensor) -> Tensor:
        """Map class tokens `[B, 1, C]`, with patch tokens `[B, N, C]`, to `[B, 1, C]`."""
        batch, _, channels = visitor.shape
        tokens = self.norm(torch.cat([visitor, patches], dim=1))
        by_head = (batch, -1, self.heads, channels // self.heads)
        query = self.query(tokens[:, :1]).reshape(by_head).transpose(1, 2)
        key, value = (
            part.reshape(by_head).transpose(1, 2)
            for part in self.key_value(tokens).chunk(2, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return visitor + self.projection(mixed.transpose(1, 2).reshape(visitor.shape))


class ClassTokenVisit(nn.Module):
    """A branch's class token visits the other branch and comes back.

    Args:
        channels: Channels of the token's own branch.
        host_channels: Channels of the branch that it visits.
        heads: Attention heads of the branch that it visits.
    """

    def __init__(self, channels: int, host_channels: int, heads: int) -> None:
        super().__init__()
        self.there = _translation(channels, host_channels)
        self.attention = CrossAttention(host_channels, heads)
        self.back = _translation(host_channels, channels)

    def forward(self, home: Tensor, host: Tensor) -> Tensor:
        """Renew the class token of `home [B, 1 + N, C]` from `host [B, 1 + M, C_host]`."""
        visitor = self.attention(self.there(home[:, :1]), host[:, 1:])
        return torch.cat([self.back(visitor), home[:, 1:]], dim=1)


class DoubleLevelFusion(nn.Module):
    """DLF: each branch attends to itself, and their class tokens visit each other.

    All three orders hold the same parameters:

    * `paper`: the visits, then self-attention on what they brought. Evidently what the present
      public code means to do, and the only order that trains all of the module (decision).
    * `head`: the present public code. It evaluates the same and then returns its inputs, so that
      nothing here has any effect; the evaluation is left out, the dead parameters are kept. Dead
      with them are the norms behind the class tokens, which nobody else reads.
    * `release2022`: the first public release. Self-attention, then the visits, which change
      nothing but the class tokens, and those are dropped after this module.

    Args:
        variant: What distinguishes the variants.
        order: `paper`, `head` or `release2022`.
    """

    def __init__(self, variant: VariantSettings, order: Fusion) -> None:
        super().__init__()
        self.order = order

        def blocks(channels: int, depth: int, heads: int) -> nn.Sequential:
            hidden = variant.mlp_ratio * channels
            return nn.Sequential(
                *(ViTBlock(channels, heads, hidden, eps=1e-5) for _ in range(depth))
            )

        small_heads, large_heads = variant.heads
        self.small_visit = ClassTokenVisit(SMALL, LARGE, large_heads)
        self.large_visit = ClassTokenVisit(LARGE, SMALL, small_heads)
        self.small_blocks = blocks(SMALL, variant.depths[0], small_heads)
        self.large_blocks = blocks(LARGE, variant.depths[1], large_heads)

    def forward(self, small: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        """Map `[B, 1 + N, 96]` and `[B, 1 + M, 384]` to the same shapes."""
        if self.order == "head":
            return small, large
        if self.order == "release2022":
            return self._visit(*self._attend(small, large))
        return self._attend(*self._visit(small, large))

    def _visit(self, small: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        return self.small_visit(small, large), self.large_visit(large, small)

    def _attend(self, small: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        return self.small_blocks(small), self.large_blocks(large)


def _conv_gn_relu(in_channels: int, channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
        nn.GroupNorm(32, channels),
        nn.ReLU(),
    ]


class HiFormerDecoder(nn.Module):
    """Bring both branches to stride 4, sum them, and go on to single pixels.

    Args:
        classes: Output channels.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.large = nn.Sequential(
            *_conv_gn_relu(LARGE, DECODER_CHANNELS),
            BilinearUpsampling(2, align_corners=False),
            *_conv_gn_relu(DECODER_CHANNELS, DECODER_CHANNELS),
            BilinearUpsampling(2, align_corners=False),
        )
        self.small = nn.Sequential(*_conv_gn_relu(SMALL, DECODER_CHANNELS))
        self.reduce = nn.Conv2d(DECODER_CHANNELS, HEAD_CHANNELS, 1)
        self.head = nn.Conv2d(HEAD_CHANNELS, classes, 3, padding=1)

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Decode `[B, 96, H / 4, W / 4]` and `[B, 384, H / 16, W / 16]`.

        Returns:
            Logits `[B, classes, H, W]`.
        """
        x = F.relu(self.reduce(self.small(small) + self.large(large)))
        size = (4 * x.shape[2], 4 * x.shape[3])
        return self.head(resize_bilinear(x, size, align_corners=False))


class HiFormer(nn.Module):
    """Encoder, positions, DLF module, decoder.

    Args:
        classes: Output channels.
        image_size: Height and width of the image in pixels.
        variant: What distinguishes the variants.
        windows: Side of the attention windows at strides 4, 8 and 16.
        dlf: Order of the DLF module.
    """

    def __init__(
        self,
        classes: int,
        image_size: int,
        variant: VariantSettings,
        windows: Sequence[int],
        dlf: Fusion,
    ) -> None:
        super().__init__()
        self.encoder = HiFormerEncoder(variant, windows)
        self.small_position = nn.Parameter(torch.empty(1, 1 + (image_size // 4) ** 2, SMALL))
        self.large_position = nn.Parameter(torch.empty(1, 1 + (image_size // 16) ** 2, LARGE))
        self.dlf = DoubleLevelFusion(variant, dlf)
        self.small_norm = nn.LayerNorm(SMALL)
        self.large_norm = nn.LayerNorm(LARGE)
        self.decoder = HiFormerDecoder(classes)
        initialise_transformer(self)
        for position in (self.small_position, self.large_position):
            nn.init.trunc_normal_(position, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        """Map `[B, 3, H, W]` to logits `[B, classes, H, W]`."""
        small, large = self.encoder(image)
        small, large = self.dlf(small + self.small_position, large + self.large_position)
        height, width = image.shape[2:]
        small = self.small_norm(small)[:, 1:].unflatten(1, (height // 4, width // 4))
        large = self.large_norm(large)[:, 1:].unflatten(1, (height // 16, width // 16))
        return self.decoder(small.permute(0, 3, 1, 2), large.permute(0, 3, 1, 2))


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    variant: Variant = "B",
    window_size: int | None = None,
    dlf: Fusion = "paper",
) -> Segmenter:
    """Build HiFormer with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; `forward` takes no other.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        variant: `B` (ResNet-50), `S` or `L` (ResNet-34 and a smaller or larger DLF).
        window_size: Side of an attention window in tokens; `None` for `image_size / 32`.
        dlf: `paper`, `head` or `release2022`, see `DoubleLevelFusion`.

    Raises:
        ValueError: If the size does not work, `n_seg` is missing or an option's value is wrong.
    """
    SizeRule("hiformer", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    classes = require_outputs("hiformer", "n_seg", n_seg) + 1
    require_choice("hiformer", "variant", variant, get_args(Variant))
    require_choice("hiformer", "dlf", dlf, get_args(Fusion))
    window = choose_window("hiformer", window_size, image_size)
    windows = stage_windows(window, image_size, len(CHANNELS))
    network = HiFormer(classes, image_size, VARIANTS[variant], windows, dlf)
    sizes = SizeRule("hiformer", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size)
    return Segmenter(network, sizes)
