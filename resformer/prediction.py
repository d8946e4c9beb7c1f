"""What every method of this project returns for a batch of images.

One type for single-task and multi-task methods, so that training and evaluation never ask which
kind of network they hold: a task that a method does not do is `None`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Prediction(NamedTuple):
    """Raw network outputs; softmax and sigmoid belong to the loss and to the evaluation.

    Attributes:
        segmentation: Logits `[B, n_seg + 1, H, W]` at the input's resolution, channel 0 being
            the background, or `None` where the method does not segment.
        classification: Logits `[B, n_cls]`, one independent yes/no label each, or `None`
            where the method does not classify.
        auxiliary: Further outputs that only a training loss of the method's own reads, by name;
            `None` in evaluation and for most methods.
    """

    segmentation: Tensor | None
    classification: Tensor | None
    auxiliary: Mapping[str, tuple[Tensor, ...]] | None = None
