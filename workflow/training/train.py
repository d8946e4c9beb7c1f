"""Training: `python -m workflow.training.train CONFIG DATASET METHOD SEED...`.

Trains the given seeds of one (data set, method); importing torch and loading the data are paid
once. Each seed's result is the same as if it had been trained alone, and as if it had never been
interrupted: `state.py` says how. Outputs appear when all seeds are done, because Snakemake deletes
those of a job that ends before. The exit code is 75 if a signal ended the job and its state is
saved; a run that diverges is recorded as failed, and the job goes on.
"""

import functools
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workflow.base.digests import read_recorded_json, record_json
from workflow.base.errors import DataError
from workflow.config import paths
from workflow.config.model import Config
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.images import DeviceImages, to_device
from workflow.networks.anchors import flops
from workflow.networks.build import build_method
from workflow.networks.device import choose_device, choose_precision, computing
from workflow.networks.pretrained import start_from
from workflow.networks.tensors import write_tensors
from workflow.running.fingerprint import run_fingerprint
from workflow.running.provenance import provenance
from workflow.running.step import run_step
from workflow.training.compiling import keep_compiled
from workflow.training.divergence import TrainingDiverged
from workflow.training.loggers.epochs import EpochLoggers
from workflow.training.loop import Splits, Trained, Trainer
from workflow.training.placement import state_folder
from workflow.training.pretraining.weights import load_pretraining
from workflow.training.profiling import Profile
from workflow.training.progress import Epoch
from workflow.training.state import saved as state
from workflow.training.state.interruption import TRY_AGAIN, Interrupted, Interruption
from workflow.training.state.record import machine, peak_memory, weights_hash, write_history
from workflow.training.together import train_together

# A line of progress at most this often, so that short epochs do not flood the log.
SECONDS_BETWEEN_LINES = 5.0


def train_seeds(config: Config, dataset: str, method: str, *seeds: str) -> None:
    """Train each seed and write its weights, history and record."""
    training = config.training_for(dataset, method)
    fingerprint = run_fingerprint(config, dataset, method)
    folders = {s: state_folder(config, dataset, method, s, fingerprint) for s in seeds}
    left = [seed for seed in seeds if not state.finished(folders[seed])]
    for seed in sorted(set(seeds) - set(left), key=int):
        state.print_line(
            f"{dataset} {method} seed {seed}: trained before, with the same configuration, data "
            f"and code; its outputs are put back. To train it once more, delete {folders[seed]}"
        )
    if len(left) > 1 and training.seeds_at_once > 1:
        train_one = functools.partial(_train_alone, config, dataset, method, folders)
        code = train_together(train_one, left, training.seeds_at_once)
        if code:
            sys.exit(code)
    elif left:
        _train(config, dataset, method, {seed: folders[seed] for seed in left})
    for seed in seeds:
        state.publish(folders[seed], paths.run(config, dataset, method, seed))
        state.keep_only(folders[seed])


def _train(config: Config, dataset: str, method: str, folders: dict[str, Path]) -> None:
    """Train seeds one after the other in this process."""
    with Interruption() as interruption, computing(config.training_for(dataset, method)):
        _TrainingJob(config, dataset, method, interruption).train(folders)


def _train_alone(
    config: Config, dataset: str, method: str, folders: dict[str, Path], seed: str
) -> None:
    """Train one seed in this process; other seeds have processes of their own."""
    _train(config, dataset, method, {seed: folders[seed]})


class _TrainingJob:
    """Trains seeds of one (data set, method) one after the other, on the same data."""

    def __init__(
        self, config: Config, dataset: str, method: str, interruption: Interruption
    ) -> None:
        self.config, self.dataset, self.method = config, dataset, method
        self.interruption = interruption
        self.training = config.training_for(dataset, method)
        self.device = choose_device(self.training)
        self.precision = choose_precision(self.training, self.device)
        keep_compiled(Path(config.data.store), self.device)
        self.splits = Splits(self._images("train"), self._images(self.training.validation))
        self.shared = {
            **provenance(config, dataset, method),
            **machine(self.device),
            "flops": _flops(config, dataset, method),
            "precision": str(self.precision).removeprefix("torch."),
        }

    def train(self, folders: dict[str, Path]) -> None:
        """Train each seed; leave its outputs in its folder."""
        for seed, folder in folders.items():
            try:
                self._train_seed(int(seed), folder)
            except Interrupted as signal:
                state.print_line(
                    f"{self._name(seed)}: stopped by {signal}; the state is saved, and the same "
                    "command goes on from there"
                )
                sys.exit(TRY_AGAIN)

    def _train_seed(self, seed: int, folder: Path) -> None:
        if self.interruption.asked:
            raise Interrupted(self.interruption.asked.name)
        if failure := self._pretraining_failure(seed):
            state.print_line(f"{self._name(seed)} failed: {failure['message']}")
            self._write(seed, folder, {}, [], {"failure": failure, "steps": 0})
            return
        started = datetime.now(UTC)
        network = _Network(self.config, self.dataset, self.method, seed)
        trainer = Trainer(
            network,
            self.splits,
            self.training,
            seed=seed,
            precision=self.precision,
            validation_batch=self.config.evaluation.batch_size,
            profile=self._profile(seed),
        )
        keeper = state.Keeper(
            folder / state.NAME, self.training.save_seconds, lambda: self.interruption.asked
        )
        loggers = self._loggers(seed)
        try:
            trained = trainer.run(loggers, keeper)
            weights, facts = trained.weights, _chosen(trained)
        except TrainingDiverged as error:
            keeper.wait()
            state.print_line(f"{self._name(seed)} failed: {error}")
            weights = {k: v.detach().cpu() for k, v in trainer.model.state_dict().items()}
            facts = {"failure": error.divergence.record()}
        finally:
            loggers.close()
        facts |= {
            "initialisation": network.initialisation,
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "started": started.isoformat(timespec="seconds"),
            **_course(trainer),
        }
        self._write(seed, folder, weights, trainer.progress.history, facts)

    def _write(
        self,
        seed: int,
        folder: Path,
        weights: dict[str, Tensor],
        history: list[Epoch],
        facts: dict[str, Any],
    ) -> None:
        """Leave the outputs of a run in its folder, the record last."""
        contiguous = {k: v.contiguous() for k, v in weights.items()}
        write_tensors(folder / "weights.safetensors", contiguous)
        write_history(folder / "history.csv", history)
        record = {
            **self.shared,
            "seed": seed,
            **facts,
            "weights_sha256": weights_hash(weights),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "peak_memory_bytes": peak_memory(self.device),
        }
        record_json(folder / state.LAST, record)
        state.clear(folder)

    def _pretraining_failure(self, seed: int) -> dict[str, Any] | None:
        """What a pretraining that diverged left as its record."""
        if not self.config.methods[self.method].pretraining:
            return None
        folder = paths.pretraining(self.config, self.dataset, self.method, seed)
        return read_recorded_json(folder / "policy.json").get("failure")

    def _name(self, seed: int | str) -> str:
        return f"{self.dataset} {self.method} seed {seed}"

    def _loggers(self, seed: int) -> EpochLoggers:
        """What is told of each epoch: a line now and then, and the loggers of `training.log`."""
        return EpochLoggers(
            self.training.log,
            paths.watched(self.config, self.dataset, self.method, seed),
            {"seed": seed, **self.shared},
            _EpochProgress(self._name(seed)),
            state.print_line,
        )

    def _profile(self, seed: int) -> Profile | None:
        if not self.training.profile:
            return None
        folder = paths.profile(self.config, self.dataset, self.method, seed)
        return Profile(folder, self.device)

    def _images(self, split: str) -> DeviceImages:
        """A split on the device.

        Raises:
            DataError: the method segments and some image has no mask to learn from.
        """
        arrays = load_arrays(self.config, self.dataset, split)
        without = int((arrays.masks[:, 0, 0] == NO_MASK).sum())
        if "segmentation" in self.config.methods[self.method].tasks and without:
            raise DataError(
                f"{arrays.folder}: {without} of {len(arrays.masks)} images have no mask, and "
                f"{self.method} segments; leave them out of the split (index.parquet says which, "
                "in has_mask)"
            )
        return to_device(arrays, self.training.normalize, self.device, self.training.images_on)


def _chosen(trained: Trained) -> dict[str, Any]:
    """What run.json says of the checkpoint that was chosen."""
    best = trained.best
    return {
        "best_epoch": best.epoch,
        "best_validation": {
            "loss": best.val_loss,
            "ji": _number(best.val_ji),
            "dsc": _number(best.val_dsc),
        },
    }


def _course(trainer: Trainer) -> dict[str, Any]:
    """What run.json says of how training went, with what was done before an interruption."""
    progress, seconds = trainer.progress, trainer.seconds
    return {
        "steps": progress.step,
        "steps_per_second": progress.step / seconds,
        "wall_seconds": seconds,
        "save_seconds_total": trainer.saving,
        "resumed": [again._asdict() for again in progress.resumed],
    }


def _flops(config: Config, dataset: str, method: str) -> int:
    """FLOPs of the network's forward pass of one image, counted without computing anything."""
    with torch.device("meta"):
        network = build_method(config, dataset, method).eval()
    return flops(network, config.datasets[dataset].image_size)


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


class _EpochProgress:
    """Prints an epoch's losses and the time that is left, now and then."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._start = self._last = time.perf_counter()
        self._done = 0

    def __call__(self, epoch: Epoch, epochs: int) -> None:
        now = time.perf_counter()
        self._done += 1  # epochs before an interruption took no time of this process
        if epoch.epoch < epochs and now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = (now - self._start) / self._done * (epochs - epoch.epoch)
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
