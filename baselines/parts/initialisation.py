"""Initial weights that several methods share."""

from torch import nn


def reset_classifier(network: nn.Module, name: str) -> None:
    """Draw the last layer of one of timm's classification networks anew, by torch's default.

    For networks whose rule in timm makes a head of few labels too large: EfficientNet's is uniform
    within 1 / sqrt(labels), 0.58 for three where it was meant for a thousand, InceptionV3's normal
    with standard deviation 0.1 whatever the 2,048 inputs add up to.

    Args:
        network: Changed in place. Draws come from torch's default generator, after the network's.
        name: Of the layer in it.
    """
    head = network.get_submodule(name)
    assert isinstance(head, nn.Linear)
    head.reset_parameters()


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
