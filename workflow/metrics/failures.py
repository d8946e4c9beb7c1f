"""Runs that failed: training says so in run.json, evaluation in counts without rows.

A failed run has all its files, so that the workflow goes on, and no number anywhere.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from workflow.base.digests import read_recorded_json
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.metrics.counts_file import FAILURE_KEY


def failure(config: Config, run: Run, seed: int) -> str:
    """Why a run failed, in training or in evaluation; empty for any other."""
    return training_failure(config, run, seed) or _evaluation_failure(config, run, seed)


def failures(config: Config, run: Run) -> dict[int, str]:
    """Seed -> why it failed, of the seeds that did."""
    reasons = {seed: failure(config, run, seed) for seed in config.seeds}
    return {seed: text for seed, text in reasons.items() if text}


def training_failure(config: Config, run: Run, seed: int | str) -> str:
    """Why the training of a run failed; empty if it did not, or has not ended."""
    file = paths.run(config, *run, seed) / "run.json"
    found = read_recorded_json(file).get("failure") if file.is_file() else None
    return found["message"] if found else ""


def _evaluation_failure(config: Config, run: Run, seed: int) -> str:
    """What the counts say where a network gave no finite answers; empty for any others."""
    file = paths.evaluation(config, *run, seed) / "counts.parquet"
    if not file.is_file():
        return ""
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowException):
        return ""  # whoever reads its numbers says what is wrong with it
    return metadata.get(FAILURE_KEY.encode(), b"").decode()
