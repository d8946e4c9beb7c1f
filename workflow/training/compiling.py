"""The network's forward pass, compiled where the configuration asks for it.

Shapes are static: a run has at most four of them (whole and last batches, training and
validation). On a GPU the compiled pieces are replayed as CUDA graphs. Random numbers are those of
the uncompiled network, and under strict determinism no kernel is chosen by its measured speed, so
that a run gives the same bits every time. What is compiled for one seed serves the next seeds of
the process.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from resformer.prediction import Prediction
from workflow.base.errors import ConfigError
from workflow.config.training import Training
from workflow.training.optimisers import one_backward

Forward = Callable[[Tensor], Prediction]

# Whole and last batches, training and validation, and room for changes of a network's own.
MOST_VARIANTS = 16


def compiled(model: nn.Module, training: Training, device: torch.device) -> Forward:
    """What to call for a forward pass: the network, or its compiled form.

    Parameters and buffers are those of the network in both cases. Nothing is compiled before the
    first call, and the compiler is not imported where it is not used.

    Args:
        model: the network, on its device.
        training: the run's protocol; `training.compile` decides.
        device: where it computes; `auto` compiles on a GPU.

    Raises:
        ConfigError: `training.compile` is on, and there is no compiler here.
    """
    if training.compile == "off" or (training.compile == "auto" and device.type != "cuda"):
        return model
    lacking = missing(device)
    if lacking and training.compile == "on":
        raise ConfigError(
            f"training.compile: found on, but {lacking}; install it, or use auto or off"
        )
    if lacking:
        _say(f"training.compile: {lacking}, so the network is not compiled")
        return model
    if device.type == "cuda":
        _drop_graphs()
    if not one_backward(training):
        import torch._functorch.config as backward

        backward.donated_buffer = False  # pyright: ignore (a setting of the whole process)
    prepared: Any = torch.compile(  # pyright: ignore (its annotations lack recompile_limit)
        model, dynamic=False, options=options(training, device), recompile_limit=MOST_VARIANTS
    )
    return prepared if training.compile == "on" else _OrEager(prepared, model)


def missing(device: torch.device) -> str | None:
    """What the compiler for a device needs and does not find; None if it is all there."""
    names = [os.environ.get("CXX"), "g++", "clang++"]
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "Triton is not installed"
        names = [os.environ.get("CC"), "gcc", "clang", "cc"]
    if not any(name and shutil.which(name) for name in names):
        language = "C" if device.type == "cuda" else "C++"
        return f"no {language} compiler ({', '.join(filter(None, names))}) is on the PATH"
    return None


def options(training: Training, device: torch.device) -> dict[str, Any]:
    """The options of torch's compiler for a run."""
    return {
        # The same masks of dropout and stochastic depth as without the compiler.
        "fallback_random": True,
        "deterministic": training.determinism == "strict",
        # Graphs reuse memory that a second backward pass would read.
        "triton.cudagraphs": device.type == "cuda" and one_backward(training),
    }


def _drop_graphs() -> None:
    """Free the memory of graphs that belong to the network of the seed before."""
    trees = sys.modules.get("torch._inductor.cudagraph_trees")
    if trees is not None:
        trees.reset_cudagraph_trees()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class _OrEager:
    """The compiled network until the compiler fails on it, then the network itself."""

    def __init__(self, prepared: Forward, model: nn.Module) -> None:
        self._forward, self._model = prepared, model

    def __call__(self, images: Tensor) -> Prediction:
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._forward(images)
        except TorchDynamoException as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            _say(f"training.compile: the network is not compiled, as that failed: {reason}")
            self._forward = self._model
            return self._model(images)
