"""What a run leaves beside its weights: its history, and what run.json says of the machine."""

import hashlib
import platform
import resource
import socket
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from workflow.base.digests import record_text
from workflow.base.files import csv_text
from workflow.training.progress import Epoch

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def write_history(path: Path, history: list[Epoch]) -> None:
    """One line per epoch, as CSV; a run that failed in its first epoch leaves the heading alone."""
    columns = [field.name for field in fields(Epoch)]
    record_text(path, csv_text(columns, (asdict(epoch) for epoch in history)))


def machine(device: torch.device) -> dict[str, Any]:
    """What computed: host, processor, driver of the GPU, threads."""
    return {
        "host": socket.gethostname(),
        "device": processor(device),
        "driver": _driver() if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
    }


def processor(device: torch.device) -> str:
    """The name of what computed: the GPU's, or the CPU's as the system gives it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _driver() -> str | None:
    """The version of the GPU's driver, where the system tells it."""
    if not NVIDIA_DRIVER.is_file():
        return None
    words = NVIDIA_DRIVER.read_text().splitlines()[0].split()
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of the GPU's allocator, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def weights_hash(weights: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names and bytes of all tensors: equal if and only if every bit is."""
    whole = hashlib.sha256()
    for name in sorted(weights):
        whole.update(name.encode())
        whole.update(weights[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()
