"""Random initial weights of the two ResFormer networks.

The paper says "randomly initialized weights" and no more. The rules below are decisions
(``docs/fidelity.md``): the usual ones of the two parents, ResNet for convolutions and Swin for
linear layers. Attention's relative-position tables and the classification head set their own.
"""

from torch import nn


def initialise(network: nn.Module) -> None:
    """Draw the weights of every convolution and linear layer in place; norms become identity.

    Convolutions: Kaiming-normal over the fan-out. Linear layers: normal with standard deviation
    0.02, truncated. Biases: zero. BatchNorm and LayerNorm: scale one, shift zero. Draws come from
    torch's default generator, in the order in which the modules were registered.

    Args:
        network: Any module; its parameters may lie on the ``meta`` device.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.ConvTranspose2d):
            # A transposed convolution stores [in, out, k, k], so what torch calls the fan-in of
            # this weight is out × k × k: the fan-out meant above.
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
