"""The Vision Transformer's pre-norm block and stack, for every method with global attention."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class ViTSize(NamedTuple):
    """Size of a Vision Transformer.

    Attributes:
        channels: Channels C of a token, a multiple of `heads`.
        layers: Blocks.
        heads: Attention heads of a block.
        hidden: Width of a block's MLP.
    """

    channels: int
    layers: int
    heads: int
    hidden: int


VIT_BASE = ViTSize(channels=768, layers=12, heads=12, hidden=3072)
VIT_LARGE = ViTSize(channels=1024, layers=24, heads=16, hidden=4096)


class SelfAttention(nn.Module):
    """Multi-head self-attention over a sequence, scale 1 / sqrt(channels of a head).

    Args:
        channels: Channels C of a token, a multiple of `heads`.
        heads: Attention heads.
        dropout: Dropout after the output projection.
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.projection = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, N, C]` to `[B, N, C]`."""
        batch, tokens, channels = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(batch, tokens, channels)
        return self.dropout(self.projection(mixed))


class ViTBlock(nn.Module):
    """LN, self-attention, add; LN, MLP with GELU, add.

    Args:
        channels: Channels C of a token.
        heads: Attention heads.
        hidden: Width of the MLP.
        dropout: Dropout after each layer of the MLP.
        projection_dropout: Dropout after the attention's output projection.
        eps: Of both LayerNorms.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        hidden: int,
        *,
        dropout: float = 0.0,
        projection_dropout: float = 0.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attention = SelfAttention(channels, heads, projection_dropout)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, channels),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, N, C]` to `[B, N, C]`."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Dropout on the tokens with their positions, the blocks, a last LN.

    Args:
        size: Width and depth.
        dropout: Dropout on the tokens and after each layer of the MLPs.
        projection_dropout: Dropout after the output projection of each attention.
    """

    def __init__(self, size: ViTSize, *, dropout: float, projection_dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(
                ViTBlock(
                    size.channels,
                    size.heads,
                    size.hidden,
                    dropout=dropout,
                    projection_dropout=projection_dropout,
                )
                for _ in range(size.layers)
            )
        )
        self.norm = nn.LayerNorm(size.channels, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `[B, N, C]` to `[B, N, C]`."""
        return self.norm(self.blocks(self.dropout(tokens)))
