"""Every trained method of config.yaml, for the tests that hold for all of them.

A method that is added to the configuration is tested without being named anywhere else. Entries
that build the same network are one.
"""

import json

import torch
from torch import nn

from tests.conftest import ROOT
from workflow.config.load import load_config
from workflow.networks.build import build_network

CONFIG = load_config(ROOT / "config.yaml")
N_SEG, N_CLS = 2, 3


def _distinct():
    found = {}
    for name, entry in CONFIG.methods.items():
        if entry.module:
            key = json.dumps([entry.module, entry.network_options, entry.tasks], sort_keys=True)
            found.setdefault(key, name)
    return list(found.values())


METHODS = _distinct()
COMPARED = [name for name in METHODS if not CONFIG.methods[name].module.startswith("resformer.")]


def build(name, image_size, n_seg=N_SEG, **options):
    entry = CONFIG.methods[name]
    return build_network(entry, image_size=image_size, n_seg=n_seg, n_cls=N_CLS, **options)


def size_at_least(name, smallest):
    """The smallest size from `smallest` up that the method takes."""
    sizes = CONFIG.methods[name].sizes
    step = sizes.multiple_of
    return max(sizes.minimum, -(-smallest // step) * step)


def outputs(prediction):
    """The logits of the tasks that a method does."""
    return [x for x in (prediction.segmentation, prediction.classification) if x is not None]


def as_torch_draws(*layers):
    """The layers, if their weights can be torch's default: uniform within 1 / sqrt(fan-in)."""
    for layer in layers:
        fan_in = layer.weight[0].numel()
        drawn = torch.cat([layer.weight.flatten(), layer.bias]).detach()
        spread = drawn.std().item() * (3 * fan_in) ** 0.5
        assert drawn.abs().max().item() <= fan_in**-0.5
        # Four standard errors; a uniform's fourth moment is 9/5 of its variance squared.
        assert abs(spread - 1) < 4 * (0.2 / drawn.numel()) ** 0.5
        assert layer.bias.any()
    return layers


def quieten(network):
    """Switch dropout and stochastic depth off, and open gates that start closed."""
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
        for name in ("drop_prob", "drop_rate", "rate"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network
