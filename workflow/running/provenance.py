"""Where a result comes from: commit, fingerprint, data, versions, resolved configuration."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workflow.base.digests import read_recorded_json
from workflow.base.files import sha256
from workflow.config import paths
from workflow.config.model import Config
from workflow.running.fingerprint import run_fingerprint

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "timm", "segmentation-models-pytorch", "numpy", "snakemake")


def provenance(config: Config, dataset: str, method: str) -> dict[str, Any]:
    """What made a run, as far as it is the same for all its seeds."""
    manifest = read_recorded_json(paths.prepared(config, dataset) / "manifest.json")
    entry, lock = config.methods[method], ROOT / "uv.lock"
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
        "recipe": entry.recipe,
        "configuration": {
            "training": config.training_for(dataset, method).model_dump(mode="json"),
            "method": entry.model_dump(mode="json"),
            "dataset": config.datasets[dataset].model_dump(mode="json"),
        },
        "versions": {"python": platform.python_version(), **{x: version(x) for x in LIBRARIES}},
    }


def commit() -> str:
    """The git commit of this code, with `+changes` if it was changed since.

    `unknown` without git, and where the code lies in a repository that is not its own, as a tarball
    does that was unpacked in one: that one's commit would say nothing of it.
    """
    try:
        if not ROOT.samefile(_git("rev-parse", "--show-toplevel")):
            return "unknown"
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    """What git says of the repository around this code, whatever the environment points it to."""
    own = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE")}
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, cwd=ROOT, env=own
    ).stdout.strip()
