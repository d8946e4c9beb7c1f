"""The learning rate at each step: a linear warm-up, then a shape that falls or stays."""

import math

from workflow.config.training import Training


def learning_rate(step: int, steps: int, batches: int, training: Training) -> float:
    """The rate of step `step` (from 0) out of `steps`, `batches` of them an epoch.

    `polynomial` is rate * (1 - progress)^power per step, as the released code does; the paper
    names no schedule. `exponential` and `restarts` are counted in epochs after the warm-up,
    whatever the length of the run.
    """
    rising = round(training.warmup * steps)
    if step < rising:
        return training.learning_rate * (step + 1) / rising
    step, least = step - rising, training.minimum_rate
    progress = step / max(steps - rising, 1)
    if training.schedule == "polynomial":
        return least + (training.learning_rate - least) * (1 - progress) ** training.power
    if training.schedule == "cosine":
        return least + (training.learning_rate - least) * (1 + math.cos(math.pi * progress)) / 2
    if training.schedule == "restarts":
        progress = _since_restart(step, training.restart_epochs * batches, training.restart_factor)
        return least + (training.learning_rate - least) * (1 + math.cos(math.pi * progress)) / 2
    if training.schedule == "exponential":
        times = step // (training.decay_epochs * batches)
        return max(training.learning_rate * training.decay**times, least)
    return training.learning_rate


def _since_restart(step: int, length: int, factor: int) -> float:
    """How far a cycle has come, 0 to 1; the first has `length` steps, each next `factor` times."""
    while step >= length:
        step, length = step - length, length * factor
    return step / length
