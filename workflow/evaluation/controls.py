"""Controls: `python -m workflow.evaluation.controls CONFIG DATASET METHOD SEED...`.

Predictions made without a network, saved and scored like any method's, that bracket the learned
ones: an oracle, which knows the reference; `all_background`, which finds nothing; `class_prior`,
which draws every pixel's class and every label with its share of the training split.
"""

import sys
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from workflow.base.digests import record_json
from workflow.config import paths
from workflow.config.model import Config
from workflow.data.arrays import NO_MASK, Arrays, load_arrays
from workflow.evaluation.evaluate import write_counts
from workflow.running.provenance import provenance
from workflow.running.step import run_step

# A logit of certainty: its sigmoid is 1 in float32.
CERTAIN = 100.0


def control_seeds(config: Config, dataset: str, method: str, *seeds: str) -> None:
    """Write the counts, masks and record of a control for each seed."""
    kind = config.methods[method].control
    assert kind is not None  # the rule asks for controls only
    train, test = (load_arrays(config, dataset, split) for split in ("train", "test"))
    shared = provenance(config, dataset, method)
    for seed in map(int, seeds):
        masks, logits = predictions(kind, train, test, seed)
        folder = paths.evaluation(config, dataset, method, seed)
        write_counts(config, dataset, test, masks, logits, folder)
        record = {**shared, "seed": seed, "initialisation": "none", "parameters": 0}
        record_json(paths.run(config, dataset, method, seed) / "run.json", record)


def predictions(
    kind: Literal["oracle", "class_prior", "all_background"], train: Arrays, test: Arrays, seed: int
) -> tuple[Tensor, Tensor]:
    """What a control predicts for the test images.

    Args:
        kind: which control.
        train: the images whose pixels and labels `class_prior` counts; those without a mask do not
            count.
        test: the images whose reference `oracle` returns.
        seed: the seed of the draws of `class_prior`.

    Returns:
        Classes uint8 `[N, H, W]` and logits float32 `[N, n_cls]`; an oracle's mask holds 255 where
        there is no reference, and such images are not scored.
    """
    if kind == "oracle":
        masks, labels = np.array(test.masks), np.array(test.labels, bool)
    elif kind == "all_background":
        masks, labels = np.zeros_like(test.masks), np.zeros(test.labels.shape, bool)
    else:
        random = np.random.default_rng(seed)
        known = train.masks[train.masks[:, 0, 0] != NO_MASK]
        share = np.bincount(known.ravel()) / known.size
        masks = random.choice(len(share), size=test.masks.shape, p=share).astype(np.uint8)
        labels = random.random(test.labels.shape) < train.labels.mean(axis=0)
    logits = np.where(labels, CERTAIN, -CERTAIN).astype(np.float32)
    return torch.from_numpy(masks), torch.from_numpy(logits)


if __name__ == "__main__":
    run_step(control_seeds, Path(sys.argv[1]), *sys.argv[2:])
