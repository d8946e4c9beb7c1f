"""The parts of a snapshot that every training has: weights, optimiser, random numbers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

RANDOM, RANDOM_CUDA = "random", "random.cuda"


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with `prefix.` before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unnamed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, without it."""
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def optimizer_state(prefix: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter."""
    return {
        f"{prefix}.{index}.{name}": value
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None  # a momentum that is not used
    }


def restore_optimizer(prefix: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser its memory back."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in unnamed(prefix, tensors).items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's default generators, from which dropout draws."""
    states = {RANDOM: torch.get_rng_state()}
    if device.type == "cuda":
        states[RANDOM_CUDA] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Put torch's default generators back to what they were."""
    torch.set_rng_state(tensors[RANDOM])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors[RANDOM_CUDA], device)
