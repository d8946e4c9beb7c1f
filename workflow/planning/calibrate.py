"""Measures what this device reaches in large matrix products, and in training each network.

Every network trains for a few steps on random images: on a GPU at the configuration's size and
batch, on a processor at 96 x 96 and a batch of two, where a step takes about a second. Rates are
FLOPs a second, so they serve for other sizes; small sizes fill a device less, so that they err to
the cautious side.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psutil
import torch

from workflow.cells import runs
from workflow.config import Config, load_config
from workflow.device import choose_device, choose_precision, computing
from workflow.images import DeviceImages
from workflow.methods import build_method
from workflow.planning.devices import Device
from workflow.planning.networks import network_of
from workflow.training.augmentation import draw_motions
from workflow.training.loop import Splits, Trainer
from workflow.training.record import processor

STEPS = 3
ON_A_PROCESSOR = {"image_size": 96}
SIDE = 2048  # of the matrices


def calibrate(config: Config, seconds: float, report: Callable[[str], None]) -> Device:
    """Measure this device.

    Args:
        config: whose methods to measure, on one data set each.
        seconds: after which no further method is begun; those left get the median share.
        report: called with each finding, a line of text.
    """
    device = choose_device(config.training)
    if device.type != "cuda":
        small = dict.fromkeys(config.datasets, ON_A_PROCESSOR)
        changes = {"datasets": small, "training": {"batch_size": 2}}
        config = load_config(overrides={"preset": config.preset, **changes})
    precision = choose_precision(config.training, device)
    end, rates, evaluating = time.perf_counter() + seconds, {}, {}
    with computing(config.training):
        peak = _peak(device, precision)
        report(f"matrix products: {peak / 1e9:,.0f} GFLOP/s in {_name(precision)}")
        for dataset, method in _one_each(config):
            if time.perf_counter() > end:
                report(f"{method} and those after it: not measured, the time is up")
                break
            network = network_of(config, dataset, method)
            assert network is not None
            step, forward = _seconds(config, dataset, method, device)
            images = config.training_for(dataset, method).batch_size
            rates[method] = 3 * network.flops * images / step
            evaluating[method] = network.flops * images / forward
            report(f"{method}: {rates[method] / 1e9:,.0f} GFLOP/s, {rates[method] / peak:.0%}")
    cuda = device.type == "cuda"
    memory = torch.cuda.mem_get_info(device)[1] if cuda else psutil.virtual_memory().total
    return Device(
        name=processor(device),
        peak=peak,
        memory=float(memory),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        gpu=cuda,
        precision=_name(precision),
        rates=rates,
        evaluating=evaluating,
    )


def _one_each(config: Config) -> Iterator[tuple[str, str]]:
    """(data set, method) for every method that is trained."""
    seen: set[str] = set()
    for dataset, method in runs(config):
        if method not in seen and config.methods[method].module is not None:
            seen.add(method)
            yield dataset, method


def _peak(device: torch.device, precision: torch.dtype) -> float:
    """FLOP/s of a product of two large matrices, the best of several."""
    left, right = torch.randn(2, SIDE, SIDE, device=device).to(precision)
    times = [_timed(lambda: left @ right, device) for _ in range(6)]
    return 2 * SIDE**3 / min(times)


def _seconds(
    config: Config, dataset: str, method: str, device: torch.device
) -> tuple[float, float]:
    """Median seconds of a training step, and of a forward pass of as many images."""
    training, data = config.training_for(dataset, method), config.datasets[dataset]
    size, labels = data.image_size, len(data.labels)
    count = max(training.batch_size, labels)  # weights of the loss need an image of every label
    shape = (count, 3 if data.color else 1, size, size)
    images = DeviceImages(
        images=torch.randint(0, 256, shape, dtype=torch.uint8, device=device),
        masks=torch.randint(0, len(data.lesions) + 1, (count, size, size), device=device).byte(),
        labels=torch.eye(labels, device=device).repeat(count, 1)[:count],
        scale=255.0,
    )
    trainer = Trainer(
        lambda: build_method(config, dataset, method),
        Splits(images, images),
        training,
        seed=0,
        precision=choose_precision(training, device),
        validation_batch=training.batch_size,
    )
    rows = torch.arange(training.batch_size)
    motions = draw_motions(
        count, images.images.shape[-2:], training.augmentation, torch.Generator()
    )
    motions = motions.to(device)[rows]
    (batch,) = images.batches([rows])

    def step() -> None:
        trainer.step(0, batch, motions)

    def forward() -> None:
        with torch.no_grad(), torch.autocast(device.type, trainer.precision):
            trainer.model(batch.images.expand(-1, 3, -1, -1).float())

    trainer.model.train()
    trained = [_timed(step, device) for _ in range(STEPS + 1)][1:]
    trainer.model.eval()
    passed = [_timed(forward, device) for _ in range(STEPS + 1)][1:]
    return statistics.median(trained), statistics.median(passed)


def _timed(what: Callable[[], object], device: torch.device) -> float:
    """Seconds until the device has done something."""
    start = time.perf_counter()
    what()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
