"""The network's forward pass, compiled where the configuration asks for it.

Shapes are static: a run has at most four of them (whole and last batches, training and
validation). On a GPU the compiled pieces are replayed as CUDA graphs. Random numbers are those of
the uncompiled network. Under strict determinism no kernel that sums is chosen by its measured
speed; among kernels that go element by element the fastest is, and all of them give the same bits.
What is compiled for one seed serves the next seeds of the process.
"""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
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
        device: the device that it computes on; `auto` compiles on a GPU.

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
    import torch._functorch.config as lowering

    # With the forward pass, where a failure still leads to the network itself; else the compiler
    # meets the backward pass in the middle of a step.
    lowering.force_non_lazy_backward_lowering = True  # pyright: ignore (a setting of the process)
    if not one_backward(training):
        lowering.donated_buffer = False  # pyright: ignore (a setting of the process)
    prepared: Any = torch.compile(  # pyright: ignore (its annotations lack recompile_limit)
        model, dynamic=False, options=options(training, device), recompile_limit=MOST_VARIANTS
    )
    return prepared if training.compile == "on" else _OrEager(prepared, model)


def keep_compiled(store: Path, device: torch.device) -> None:
    """Have the compiler keep what it makes, by kind of GPU, where later jobs and runs find it.

    Without this it lies in the node's temporary folder, and every job compiles the same network
    anew. Where the compiler's own variables are set, they stand.

    Args:
        store: the folder of what all presets share, `data.store`.
        device: what is compiled for; for a processor nothing is kept.
    """
    if device.type != "cuda":
        return
    name = re.sub(r"[^A-Za-z0-9]+", "-", torch.cuda.get_device_name(device)).strip("-")
    folder = store.absolute() / "compiled" / f"{name}-torch-{torch.__version__}"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


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
