"""Initial weights that the transformer methods share."""

from torch import nn


def initialise_transformer(network: nn.Module) -> None:
    """Draw every linear layer anew: normal with standard deviation 0.02, cut at 2; biases zero.

    The rule of the public Swin code. LayerNorms become the identity and convolutions keep torch's
    default; relative-position tables are drawn by their own module.

    Args:
        network: Any module; changed in place. Draws come from torch's default generator.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
