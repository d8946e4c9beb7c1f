"""Measures what this device reaches in large matrix products, and in training each network.

Every network trains for a few steps on random images: on a GPU at the configuration's size and
batch, on a processor at 96 x 96 and a batch of two, where a step takes about a second. The fastest
step counts, since others may use the device as well. Rates are FLOPs a second, so they serve for
other sizes; small sizes fill a device less, so that they err to the cautious side. So do networks
that are not compiled, as here unless `training.compile` is on: compiling takes up the time.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import psutil
import torch

from workflow.config.cells import Run, runs
from workflow.config.errors import merge
from workflow.config.load import resolve
from workflow.config.model import Config
from workflow.networks.device import choose_device, choose_precision, computing
from workflow.planning.cost import step_bytes
from workflow.planning.devices import Device
from workflow.planning.networks import network_of
from workflow.training.state.record import processor
from workflow.training.trial import StepTrial

STEPS = 3
ON_A_PROCESSOR = {"image_size": 96}
# Of the matrices: large enough for a GPU, and what a processor multiplies in a tenth of a second.
SIDE = {"cuda": 8192, "cpu": 2048}


class Measured(NamedTuple):
    """Of one network: seconds of a training step and of a forward pass, peak memory of a GPU."""

    step: float
    forward: float
    precision: str
    peak_bytes: int


def calibrate(config: Config, seconds: float, report: Callable[[str], None]) -> Device:
    """Measure this device.

    Args:
        config: the configuration whose networks to measure, those first that compute most;
            methods that share a module are measured as one.
        seconds: the seconds after which no further network is begun; those left get the median
            share.
        report: called with each finding, a line of text.
    """
    device = choose_device(config.training)
    cuda = device.type == "cuda"
    if not cuda:
        changes = {
            "datasets": dict.fromkeys(config.datasets, ON_A_PROCESSOR),
            "training": {"batch_size": 2},
        }
        config = resolve(merge(config.model_dump(mode="json"), changes))
    precision = choose_precision(config.training, device)
    end, found = time.perf_counter() + seconds, _Found({}, {}, {})
    with computing(config.training):
        peak = _peak(device, precision)
        report(f"matrix products: {peak / 1e9:,.0f} GFLOP/s in {_name(precision)}")
        for dataset, method in _one_of_each(config):
            if time.perf_counter() > end:
                report(f"{method} and those after it: not measured, the time is up")
                break
            rate = found.add(config, dataset, method, _measure(config, dataset, method, device))
            report(f"{method}: {rate / 1e9:,.0f} GFLOP/s, {rate / peak:.0%}")
    memory = torch.cuda.mem_get_info(device)[1] if cuda else psutil.virtual_memory().total
    return Device(
        name=processor(device),
        peak=peak,
        memory=float(memory),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        gpu=cuda,
        precision=_name(precision),
        **found._asdict(),
    )


class _Found(NamedTuple):
    """What `Device` holds under these names: of every method whose module was measured."""

    rates: dict[str, float]
    evaluating: dict[str, float]
    memory_factors: dict[str, float]

    def add(self, config: Config, dataset: str, method: str, measured: Measured) -> float:
        """Take in what was measured; returns FLOP/s in training."""
        training = config.training_for(dataset, method)
        network = network_of(config, dataset, method)
        assert network is not None
        module, images = config.methods[method].module, training.batch_size
        for name, entry in config.methods.items():
            if entry.module == module:
                self.rates[name] = 3 * network.flops * images / measured.step
                self.evaluating[name] = network.flops * images / measured.forward
                if measured.peak_bytes:
                    reckoned = step_bytes(network, training, measured.precision)
                    self.memory_factors[name] = measured.peak_bytes / reckoned
        return self.rates[method]


def _one_of_each(config: Config) -> list[Run]:
    """A run of each module, the one that computes most; the modules that do so in all first."""
    flops = {run: network.flops for run in runs(config) if (network := network_of(config, *run))}
    by_module: dict[str, list[Run]] = {}
    for run in flops:
        by_module.setdefault(str(config.methods[run.method].module), []).append(run)
    order = sorted(by_module.values(), key=lambda group: -sum(flops[run] for run in group))
    return [max(group, key=lambda run: flops[run]) for group in order]


def _peak(device: torch.device, precision: torch.dtype) -> float:
    """FLOP/s of a product of two large matrices, the best of several."""
    side = SIDE[device.type]
    left, right = torch.randn(2, side, side, device=device).to(precision)
    times = [_timed(lambda: left @ right, device) for _ in range(6)]
    return 2 * side**3 / min(times)


def _measure(config: Config, dataset: str, method: str, device: torch.device) -> Measured:
    """Train a network for some steps, and pass as many images through it."""
    training = config.training_for(dataset, method)
    if training.compile == "auto":
        training = training.model_copy(update={"compile": "off"})
    already = _start_peak(device)
    trial = StepTrial(config, dataset, method, training)
    trainer = trial.trainer
    (batch,) = trial.images.batches([trial.rows])

    def forward() -> None:
        with torch.no_grad(), torch.autocast(device.type, trainer.precision):
            trainer.model(batch.images.expand(-1, 3, -1, -1).float())

    trained = [_timed(trial.step, device) for _ in range(STEPS + 1)][1:]
    peak_bytes = torch.cuda.max_memory_allocated(device) - already if already else 0
    trainer.model.eval()
    passed = [_timed(forward, device) for _ in range(STEPS + 1)][1:]
    return Measured(min(trained), min(passed), _name(trainer.precision), peak_bytes)


def _start_peak(device: torch.device) -> int:
    """Bytes that a GPU holds already, from where its peak is measured; of a processor 0."""
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _timed(what: Callable[[], object], device: torch.device) -> float:
    """Seconds until the device has done something."""
    start = time.perf_counter()
    what()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
