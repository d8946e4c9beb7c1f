"""The learning rate at each step: a linear warm-up, then one of three shapes down to zero."""

import math

from workflow.config import Training


def learning_rate(step: int, steps: int, training: Training) -> float:
    """The rate of step `step` (from 0) out of `steps`.

    `polynomial` is rate * (1 - progress)^power per step, as the released code does; the paper
    names no schedule.
    """
    rising = round(training.warmup * steps)
    if step < rising:
        return training.learning_rate * (step + 1) / rising
    progress = (step - rising) / max(steps - rising, 1)
    if training.schedule == "polynomial":
        return training.learning_rate * (1 - progress) ** training.power
    if training.schedule == "cosine":
        return training.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    return training.learning_rate
