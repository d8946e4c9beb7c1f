"""Where and how a step computes: device, number format, threads, determinism."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import nn

from workflow.base.errors import ConfigError
from workflow.config.training import Training

# Parameters of glibc's mallopt, as <malloc.h> numbers them.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
# Without one of these a processor emulates bf16, slower than float32.
BF16_FLAGS = {"amx_bf16", "avx512_bf16"}


def choose_device(training: Training) -> torch.device:
    """The device that the configuration asks for; `auto` is a GPU where there is one.

    Raises:
        ConfigError: cuda is asked for and there is none.
    """
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("training.device: found cuda, but torch sees no GPU; use auto or cpu")
    wanted = training.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def choose_precision(training: Training, device: torch.device) -> torch.dtype:
    """bfloat16 or float32; `auto` takes bfloat16 where the hardware computes in it."""
    if training.precision == "auto":
        native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
        return torch.bfloat16 if native else torch.float32
    return {"bf16": torch.bfloat16, "float32": torch.float32}[training.precision]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """The context a network's forward pass runs in."""
    if precision == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, precision)


def on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device, its weights in the layout that convolutions are fastest in."""
    # torch's annotations leave out that `to` takes a memory format with or without a device.
    return model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore


@contextlib.contextmanager
def computing(training: Training) -> Iterator[None]:
    """Set threads and determinism for a block, and put them back after it.

    `strict` determinism makes torch refuse any operation that could give other bits next time.
    What the process frees, it keeps for its next tensors, also after the block.
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    _keep_freed_memory()
    # cuBLAS reads this once, when the first CUDA context is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(min(training.threads, available_cpus()))
    # The switch of torch.use_deterministic_algorithms(True), which imports the compiler too (4 s).
    torch.set_deterministic_debug_mode("error" if training.determinism == "strict" else "default")
    torch.backends.cudnn.benchmark = training.determinism == "fast"
    # By default a GPU's convolutions round float32 operands to the ten bits of TF32.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # Filling memory that is about to be written costs a tenth of a step and changes no result.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)


def _keep_freed_memory() -> None:
    """Let this process keep what it frees, so that the next step's tensors lie in the same pages.

    Else large tensors are handed back to the system when they are freed, and each step waits for
    the system to clear their pages again.
    """
    if platform.libc_ver()[0] == "glibc":
        allocator = ctypes.CDLL(None)
        allocator.mallopt(MMAP_MAX, 0)
        allocator.mallopt(TRIM_THRESHOLD, -1)  # never


def available_cpus() -> int:
    """The processors this process may use (a cluster job sees fewer than the node has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_has_bf16() -> bool:
    information = Path("/proc/cpuinfo")
    if not information.is_file():
        return False
    flags = next((x for x in information.read_text().splitlines() if x.startswith("flags")), "")
    return bool(BF16_FLAGS & set(flags.split()))
