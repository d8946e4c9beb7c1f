"""What a run leaves beside its weights: its history, and run.json with where it came from."""

import csv
import hashlib
import platform
import resource
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from workflow import paths
from workflow.config import Config
from workflow.files import read_json, replacing, sha256
from workflow.fingerprint import run_fingerprint
from workflow.training.loop import Epoch

LIBRARIES = ("torch", "timm", "segmentation-models-pytorch", "numpy", "snakemake")


def write_history(path: Path, history: list[Epoch]) -> None:
    """One line per epoch, as CSV."""
    rows = [asdict(epoch) for epoch in history]
    with replacing(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def provenance(config: Config, dataset: str, method: str) -> dict[str, Any]:
    """What made a run, as far as it is the same for all its seeds."""
    manifest = read_json(paths.prepared(config, dataset) / "manifest.json")
    lock = Path("uv.lock")
    return {
        "dataset": dataset,
        "method": method,
        "preset": config.preset,
        "origin": config.data.origin,
        "commit": commit(),
        "fingerprint": run_fingerprint(config, dataset, method),
        "data_hash": manifest["hash"],
        "split": config.datasets[dataset].split,
        "lock_sha256": sha256(lock) if lock.is_file() else None,
        "initialisation": "random",
        "configuration": {
            "training": config.training_for(dataset, method).model_dump(mode="json"),
            "method": config.methods[method].model_dump(mode="json"),
            "dataset": config.datasets[dataset].model_dump(mode="json"),
        },
        "versions": {"python": platform.python_version(), **{x: version(x) for x in LIBRARIES}},
    }


def commit() -> str:
    """The git commit of the working tree, with `+changes` if it has any; `unknown` without git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


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
