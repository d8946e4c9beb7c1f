"""What one run costs on a device: seconds, memory and disk.

A training step is taken to compute three times its forward pass, validation and scoring one each.
What a job pays before its first step, and what the processor does with test images, are the
constants below. Pretraining (autoSMIM) is counted as passes of the method's own network, which is
close to its inpainting network.
"""

import math
from typing import NamedTuple

from workflow.config.model import Config
from workflow.config.training import OPTIMIZERS, Training
from workflow.planning.devices import Device, choose
from workflow.planning.images import Images, images_of
from workflow.planning.networks import Network, known_network, network_of

# Seconds that a job takes before its first step: Python, torch and its libraries, data, the network
# (some 4 s on two cores). Compiling on a GPU is an assumption; it was not measured on one.
START = 10.0
COMPILING = 60.0
# Seconds per test image to score it and to write what the report shows, of one processor
# (demo: 302 s for 218 runs of some 40 images each, their starts left out).
SCORING = 0.02
# What convolutions want as workspace, and what the allocator cannot use.
SPARE = 1.25
# A process with torch and its libraries, on the host.
HOST_BYTES = 2.5e9
# Losslessly packed, a predicted mask and its probabilities (isic2017 and OCT alike, some 2 kB).
BYTES_PER_PREDICTION = 3000


class Work(NamedTuple):
    """What one seed of a run computes: FLOPs by phase, and steps."""

    training: float
    validation: float
    pretraining: float
    scoring: float
    steps: int


class Cost(NamedTuple):
    """What one seed of a run costs.

    Attributes:
        training, pretraining, scoring: seconds of a device.
        device_bytes, host_bytes: peak memory.
        weights_bytes, state_bytes: on disk; the state is there while the run trains.
        predictions_bytes: of the test images, on disk.
    """

    training: float
    pretraining: float
    scoring: float
    device_bytes: float
    host_bytes: float
    weights_bytes: float
    state_bytes: float
    predictions_bytes: float

    @property
    def seconds(self) -> float:
        """Of a device, the starts of jobs left out."""
        return self.training + self.pretraining + self.scoring


def steps_of(training: Training, images: int) -> int:
    """Optimiser steps of a run that patience does not end; as `Trainer` counts them."""
    # A last batch of one image is left out: batch statistics need two.
    batches = images // training.batch_size + (images % training.batch_size > 1)
    steps = training.epochs * batches
    return steps if training.max_steps is None else min(steps, training.max_steps)


def work(config: Config, dataset: str, method: str, network: Network, images: Images) -> Work:
    """What one seed computes."""
    training = config.training_for(dataset, method)
    steps = steps_of(training, images.train)
    seen = min(steps * training.batch_size, training.epochs * images.train)
    epochs = math.ceil(seen / max(images.train, 1))
    validation = images.test if training.validation == "test" else images.val
    pretraining = 0.0
    if settings := config.methods[method].pretraining:
        count = min(settings.images or images.train, images.train)
        passes = 3 * count * (2 * settings.epochs + settings.proxy_epochs)
        searched = min(settings.search_images or count, count // 5)
        pretraining = network.flops * (passes + 2 * settings.trials * searched)
    return Work(
        training=3.0 * network.flops * seen,
        validation=1.0 * network.flops * epochs * validation,
        pretraining=pretraining,
        scoring=1.0 * network.flops * images.test,
        steps=steps,
    )


def cost(config: Config, dataset: str, method: str, device: Device) -> Cost:
    """What one seed of a run costs on a device; a control costs only its scoring.

    Raises:
        ConfigError: the data set's size is not known yet.
    """
    network = network_of(config, dataset, method)
    if network is not None:
        return _cost(config, dataset, method, device, network)
    test = images_of(config, dataset).test
    return Cost(0, 0, SCORING * test, 0, HOST_BYTES, 0, 0, float(BYTES_PER_PREDICTION * test))


def _cost(config: Config, dataset: str, method: str, device: Device, network: Network) -> Cost:
    """What one seed of a network that is trained costs."""
    images = images_of(config, dataset)
    training = config.training_for(dataset, method)
    done = work(config, dataset, method, network, images)
    rate, forward = device.rate(method), device.evaluation_rate(method)
    weights = 4.0 * network.parameters
    state = (1 + OPTIMIZERS[training.optimizer].moments) * weights
    size = config.datasets[dataset].image_size ** 2
    pixels = (images.train + images.val) * size * (4 if config.datasets[dataset].color else 2)
    return Cost(
        training=done.training / rate + done.validation / forward,
        pretraining=done.pretraining / rate,
        scoring=done.scoring / forward + SCORING * images.test,
        device_bytes=device.memory_factors.get(method, SPARE)
        * step_bytes(network, training, device.precision)
        + pixels,
        host_bytes=HOST_BYTES + pixels + 2 * weights,
        weights_bytes=weights,
        state_bytes=weights + state,  # the best weights beside the last
        predictions_bytes=float(BYTES_PER_PREDICTION * images.test),
    )


def step_bytes(network: Network, training: Training, precision: str) -> float:
    """What a training step must hold: weights, gradients, moments, what the backward pass needs."""
    weights = 4.0 * network.parameters
    narrow = training.precision != "float32" and precision != "float32"
    kept = network.kept * training.batch_size * (0.5 if narrow else 1.0)
    return (2 + OPTIMIZERS[training.optimizer].moments) * weights + kept


def predicted_runtime(
    config: Config, dataset: str, method: str, seeds: int = 1, device: Device | None = None
) -> float:
    """Minutes that a job takes to train some seeds one after the other; imports no torch.

    Args:
        config: what is trained.
        dataset, method: which run.
        seeds: how many.
        device: on which; the calibrated one or the assumed one if not given.

    Returns:
        0 for a control, and for a network of which nothing is on record.

    Raises:
        ConfigError: the data set's size is not known yet.
    """
    network = known_network(config, dataset, method)
    if network is None:
        return 0.0
    device = device or choose(None)
    seconds = seeds * _cost(config, dataset, method, device, network).training
    return (START + compiling(config.training_for(dataset, method), device) + seconds) / 60


def compiling(training: Training, device: Device) -> float:
    """Seconds that a job pays to compile its network, once for all seeds."""
    compiled = training.compile == "on" or (training.compile == "auto" and device.gpu)
    return COMPILING if compiled else 0.0
