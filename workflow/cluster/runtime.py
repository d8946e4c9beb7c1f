"""How long a cluster's training job may take: more than the plan predicts, as that is uncertain."""

import contextlib
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from workflow.base.errors import ConfigError
from workflow.config.model import Config
from workflow.planning.cost import predicted_runtime
from workflow.planning.devices import (
    ASSUMED_DEVICE,
    ASSUMED_SHARE,
    SHARE_RANGE,
    Device,
    calibrations,
    choose,
    known_device,
)

# The plan assumes which share of its peak a GPU reaches; at the least that it thinks possible,
# training takes so many times longer.
FACTOR = ASSUMED_SHARE / SHARE_RANGE[0]
# A job that ends early frees its GPU; one that is too short is started again.
LEAST_MINUTES = 60


def device_of(model: str | None) -> Device:
    """The site's type of GPU, or the GPU calibrated last, or the one that the plan assumes."""
    if model:
        with contextlib.suppress(ConfigError):  # a type that the plan does not know
            return choose(model)
    measured = (device for device in calibrations() if device.gpu)
    return next(measured, known_device(ASSUMED_DEVICE))


def to_train(config: Config, device: Device) -> Callable[[Any, int, int], int]:
    """What says how many minutes a job asks for that trains.

    Args:
        config: what is trained.
        device: the GPU.

    Returns:
        A function of a job's wildcards `dataset` and `method`, the number of seeds that it trains,
        and the minutes where the plan has no answer, or would have to import torch for one.
    """

    @cache
    def minutes(dataset: str, method: str, seeds: int, otherwise: int) -> int:
        try:
            predicted = predicted_runtime(config, dataset, method, seeds, device)
        except ConfigError:
            return otherwise  # the data set's size is not known yet
        return max(LEAST_MINUTES, math.ceil(FACTOR * predicted)) if predicted else otherwise

    def asked(wildcards: Any, seeds: int, otherwise: int) -> int:
        return minutes(wildcards.dataset, wildcards.method, seeds, otherwise)

    return asked
