"""What a machine can do, measured, and what a training step must do at the least."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workflow.networks.device import autocast

PASSES = 3  # of a forward pass's FLOPs in a step: forward, and two of backward
# Float32 values that fused AdamW reads or writes for a parameter: four in, three out.
MOVED = 7


class Machine(NamedTuple):
    """Measured rates: FLOPs a second of matrix products, bytes a second of a copy."""

    bf16: float
    float32: float
    bandwidth: float


def measure(device: torch.device) -> Machine:
    """Measure this machine; a second or two."""
    side = 8192 if device.type == "cuda" else 2048
    rates = []
    for dtype in (torch.bfloat16, torch.float32):
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        rates.append(2 * side**3 / fastest(lambda a=a, b=b: a @ b, device))
    source = torch.zeros(2**26, device=device)
    target = torch.empty_like(source)
    moved = 2 * source.nbytes / fastest(lambda: target.copy_(source), device)
    return Machine(rates[0], rates[1], moved)


def fastest(work: Callable[[], object], device: torch.device, times: int = 8) -> float:
    """Seconds of the fastest of some calls; the others were disturbed."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


class Needs(NamedTuple):
    """FLOPs and bytes of one training step."""

    flops: float
    bytes: float


def needs(network: nn.Module, images: Tensor, precision: torch.dtype, forward_flops: int) -> Needs:
    """What a step needs at the least.

    Every value that is kept for the backward pass is written once and read once, and the optimiser
    reads and writes its state: a lower bound, since a value may be read more than once.

    Args:
        network: a network on the device of the images; its BatchNorm statistics move.
        images: one batch `[B, 3, H, W]`.
        precision: the precision of the forward pass.
        forward_flops: FLOPs of one forward pass of one image.
    """
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, autocast(images.device, precision):
        prediction = network(images)
    del prediction
    count = sum(parameter.numel() for parameter in network.parameters())
    moved = 2 * sum(kept.values()) + 4 * MOVED * count
    return Needs(PASSES * len(images) * forward_flops, moved)
