"""What a run leaves beside its weights: its history, and what run.json says of the machine."""

import csv
import hashlib
import platform
import resource
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from workflow.files import replacing
from workflow.training.loop import Epoch


def write_history(path: Path, history: list[Epoch]) -> None:
    """One line per epoch, as CSV."""
    rows = [asdict(epoch) for epoch in history]
    with replacing(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def processor(device: torch.device) -> str:
    """The name of what computed: the GPU's, or the CPU's as the system gives it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


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
