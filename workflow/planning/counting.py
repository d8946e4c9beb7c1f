"""Counts a network on the meta device: nothing is computed, and no memory is used."""

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from workflow.config.model import Config
from workflow.networks.anchors import flops, parameters
from workflow.networks.build import build_method


def count(config: Config, dataset: str, method: str) -> tuple[int, int, int]:
    """Parameters, FLOPs, and what a training step keeps of one image."""
    with torch.device("meta"):
        network = build_method(config, dataset, method)
    size = config.datasets[dataset].image_size
    # Two images against one: what does not grow with the batch are weights, and not counted.
    one, two = (_kept(network.train(), images, size) for images in (2, 4))
    return parameters(network), flops(network.eval(), size), (two - one) // 2


def _kept(network: torch.nn.Module, images: int, size: int) -> int:
    """Bytes that a forward pass keeps for the backward pass, each tensor once."""
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage._cdata] = storage.nbytes()  # its address; one on meta has no data
        return tensor

    with torch.device("meta"), saved_tensors_hooks(keep, lambda tensor: tensor):
        prediction = network(torch.empty(images, 3, size, size))
    # The prediction holds on to the graph, and so to the storages whose addresses are the keys.
    del prediction
    return sum(seen.values())
