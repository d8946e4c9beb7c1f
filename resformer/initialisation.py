"""Random initial weights of ResFormer and of the multi-task networks that it is compared with.

The paper says "randomly initialized weights" and no more. The rules below are decisions
(`docs/fidelity.md`): the usual ones of the two parents, ResNet for convolutions and Swin for
linear layers. Attention's relative-position tables set their own.

Prediction heads are another matter, since the fan-out of a head is the handful of its outputs: by
the rule for convolutions a 1×1 head with two of them would have weights of standard deviation 1,
where torch's default has 0.07 for 64 inputs; logits start at 3 to 8, and the softmax saturated. The
authors' code (ResFormer's and He's) leaves its heads at torch's default, and so does this.
"""

from collections.abc import Iterable

from torch import nn


def initialise(network: nn.Module, *, heads: Iterable[nn.Module | None]) -> None:
    """Draw a network's weights in place, but for its prediction heads, which keep what they have.

    Convolutions: Kaiming-normal over the fan-out. Linear layers: normal with standard deviation
    0.02, truncated. Biases: zero. BatchNorm and LayerNorm: scale one, shift zero.

    The order of draws decides the numbers: all come from torch's default generator. The heads have
    theirs since they were made, in their place among the layers that are made around them; what is
    drawn here follows, in the order in which modules were registered, the heads left out.

    Args:
        network: Any module; its parameters may lie on the `meta` device.
        heads: The modules of `network` that give its logits, whole; `None` stands for the head
            of a task that the network does not do.
    """
    kept = {module for head in heads if head is not None for module in head.modules()}
    for module in network.modules():
        if module in kept:
            continue
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
