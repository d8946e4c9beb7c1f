"""Training: `python -m workflow.training.train CONFIG DATASET METHOD SEED...`.

Trains the given seeds of one (data set, method) one after the other; importing torch and loading
the data are paid once. Each seed's result is the same as if it had been trained alone.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from workflow import paths
from workflow.anchors import flops
from workflow.config import Config
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.errors import DataError
from workflow.device import choose_device, choose_precision, computing
from workflow.files import replacing, write_json
from workflow.images import DeviceImages, to_device
from workflow.methods import build_method
from workflow.provenance import provenance
from workflow.step import run_step
from workflow.training.loop import Epoch, Splits, Trainer, TrainingDiverged
from workflow.training.pretrained import start_from
from workflow.training.pretraining.weights import load_pretraining
from workflow.training.record import (
    peak_memory,
    processor,
    weights_hash,
    write_history,
)

# A line of progress at most this often, so that short epochs do not flood the log.
SECONDS_BETWEEN_LINES = 5.0


def train_seeds(config: Config, dataset: str, method: str, *seeds: str) -> None:
    """Train each seed and write its weights, history and record."""
    training = config.training_for(dataset, method)
    device = choose_device(training)
    with computing(training):
        splits = Splits(
            _images(config, dataset, method, "train", device),
            _images(config, dataset, method, training.validation, device),
        )
        shared = {**provenance(config, dataset, method), "flops": _flops(config, dataset, method)}
        for seed in seeds:
            _train_seed(config, dataset, method, int(seed), splits, shared)


def _flops(config: Config, dataset: str, method: str) -> int:
    """FLOPs of the network's forward pass of one image, counted without computing anything."""
    with torch.device("meta"):
        network = build_method(config, dataset, method).eval()
    return flops(network, config.datasets[dataset].image_size)


def _train_seed(
    config: Config, dataset: str, method: str, seed: int, splits: Splits, shared: dict
) -> None:
    training = config.training_for(dataset, method)
    device = splits.train.images.device
    precision = choose_precision(training, device)
    start = time.perf_counter()
    network = _Network(config, dataset, method, seed)
    try:
        trained = Trainer(
            network,
            splits,
            training,
            seed=seed,
            precision=precision,
            validation_batch=config.evaluation.batch_size,
        ).run(_Progress(f"{dataset} {method} seed {seed}"))
    except TrainingDiverged as error:
        sys.exit(f"error: {dataset} {method} seed {seed} diverged: {error}")
    seconds = time.perf_counter() - start
    folder = paths.run(config, dataset, method, seed)
    with replacing(folder / "weights.safetensors") as temporary:
        save_file({k: v.contiguous() for k, v in trained.weights.items()}, temporary)
    write_history(folder / "history.csv", trained.history)
    write_json(
        folder / "run.json",
        {
            **shared,
            "seed": seed,
            "initialisation": network.initialisation,
            "device": processor(device),
            "precision": str(precision).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "parameters": trained.parameters,
            "weights_sha256": weights_hash(trained.weights),
            "best_epoch": trained.best.epoch,
            "best_validation": {
                "loss": trained.best.val_loss,
                "ji": _number(trained.best.val_ji),
                "dsc": _number(trained.best.val_dsc),
            },
            "steps": trained.history[-1].steps,
            "steps_per_second": trained.history[-1].steps / sum(e.seconds for e in trained.history),
            "wall_seconds": seconds,
            "peak_memory_bytes": peak_memory(device),
        },
    )


def _images(
    config: Config, dataset: str, method: str, split: str, device: torch.device
) -> DeviceImages:
    """A split on the device.

    Raises:
        DataError: the method segments and some image has no mask to learn from.
    """
    arrays = load_arrays(config, dataset, split)
    without = int((arrays.masks[:, 0, 0] == NO_MASK).sum())
    if "segmentation" in config.methods[method].tasks and without:
        raise DataError(
            f"{arrays.folder}: {without} of {len(arrays.masks)} images have no mask, and {method} "
            "segments; leave them out of the split (index.parquet says which, in has_mask)"
        )
    return to_device(arrays, config.training_for(dataset, method).normalize, device)


class _Network:
    """Builds a run's network when called, and remembers what its weights start from."""

    initialisation: str | dict[str, Any]

    def __init__(self, config: Config, dataset: str, method: str, seed: int) -> None:
        self._config, self._run, self._seed = config, (dataset, method), seed

    def __call__(self) -> nn.Module:
        network = build_method(self._config, *self._run)
        method = self._config.methods[self._run[1]]
        if method.pretraining:
            folder = paths.pretraining(self._config, *self._run, self._seed)
            self.initialisation = load_pretraining(network, folder / "weights.safetensors")
        else:
            self.initialisation = start_from(network, method.pretrained)
        return network


class _Progress:
    """Prints an epoch's losses and the time that is left, now and then."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._start = self._last = time.perf_counter()

    def __call__(self, epoch: Epoch, epochs: int) -> None:
        now = time.perf_counter()
        if epoch.epoch < epochs and now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = (now - self._start) / epoch.epoch * (epochs - epoch.epoch)
        jaccard = f", JI {epoch.val_ji:.3f}" if epoch.val_ji == epoch.val_ji else ""
        sys.stderr.write(
            f"{self._run}: epoch {epoch.epoch}/{epochs}, {epoch.steps} steps, loss "
            f"{epoch.train_loss:.4f}, validation {epoch.val_loss:.4f}{jaccard}, {left:.0f} s left\n"
        )


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value != value else value


if __name__ == "__main__":
    run_step(train_seeds, Path(sys.argv[1]), *sys.argv[2:])
