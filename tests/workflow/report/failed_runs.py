"""Runs that failed, as training and evaluation leave them."""

import json

from workflow.config import paths
from workflow.metrics.counts_file import write_failed_counts_file


def fail(config, dataset, method, seed):
    """Leave what training leaves of a run that failed in its third epoch."""
    file = paths.run(config, dataset, method, seed) / "run.json"
    record = json.loads(file.read_text())
    del record["best_epoch"]
    record["failure"] = {"kind": "diverged", "message": "the loss is not finite"}
    file.write_text(json.dumps(record))
    counts = paths.evaluation(config, dataset, method, seed) / "counts.parquet"
    write_failed_counts_file(counts, "the loss is not finite")
