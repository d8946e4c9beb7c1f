"""Training of one run: the paper's protocol as a plain loop (section IV).

A run is deterministic in its seed: initialisation, dropout and stochastic depth draw from torch's
default generator, the order of images and the augmentation each from a generator of their own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workflow.conditional import ConditionalLabels, conditional_mixture
from workflow.data.errors import DataError
from workflow.device import autocast, on_device
from workflow.evaluation.counts import dice_where_present, jaccard_where_present, pixel_counts
from workflow.images import DeviceImages
from workflow.protocol import Training
from workflow.training.augmentation import augment
from workflow.training.losses import class_weights, combined_loss
from workflow.training.optimisers import make_stepper
from workflow.training.schedule import learning_rate


class TrainingDiverged(ArithmeticError):
    """The loss of a run became infinite or not a number."""


@dataclass(frozen=True)
class Epoch:
    """One line of a run's history; losses are means over images, weights of the parts left out."""

    epoch: int
    steps: int
    learning_rate: float
    train_loss: float
    train_loss_segmentation: float
    train_loss_classification: float
    val_loss: float
    val_ji: float
    val_dsc: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A finished run: the chosen checkpoint's weights, and how it was reached."""

    weights: dict[str, Tensor]
    parameters: int
    history: list[Epoch]
    best: Epoch


@dataclass(frozen=True)
class Splits:
    """The two splits a run sees, on its device."""

    train: DeviceImages
    val: DeviceImages


class Validation(NamedTuple):
    """Loss (mean over images), Jaccard index and Dice (0 to 1, NaN if undefined)."""

    loss: float
    jaccard: float
    dice: float


class Trainer:
    """One run: a network, its optimiser, and the random numbers of one seed.

    Args:
        build: makes the network; called once, after torch is seeded.
        splits: training and validation images, on the device to train on.
        training: the resolved protocol of this run.
        seed: decides initialisation, order, augmentation and dropout.
        precision: format of the forward pass; weights and losses are float32.
        validation_batch: batch size of validation.

    Raises:
        DataError: there are too few training images for a batch.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        splits: Splits,
        training: Training,
        *,
        seed: int,
        precision: torch.dtype,
        validation_batch: int,
    ) -> None:
        torch.manual_seed(seed)
        network = build()
        if training.loss.classification_form == "conditional":
            network = ConditionalLabels(network, conditional_mixture(splits.train.labels))
        self.model = on_device(network, splits.train.images.device)
        self.device = splits.train.images.device
        if training.shuffle_labels:
            splits = replace(splits, train=shuffled(splits.train, seed))
        self.splits = splits
        self.training = training
        self.precision = precision
        self.validation_batch = validation_batch
        self.stepper = make_stepper(self.model.parameters(), training)
        self.class_weights = class_weights(splits.train.labels, training.loss)
        self.order = torch.Generator().manual_seed(stream(seed, "order"))
        self.motion = torch.Generator().manual_seed(stream(seed, "motion"))
        self.batches = _batches(len(splits.train), training.batch_size)
        if not self.batches:
            raise DataError("the training split has one image, and a batch takes two or more")
        self.steps = training.epochs * self.batches
        if training.max_steps is not None:
            self.steps = min(self.steps, training.max_steps)
        self.epochs = math.ceil(self.steps / self.batches)

    def run(self, report: Callable[[Epoch, int], None]) -> Trained:
        """Train to the end, or until patience ends, and keep the checkpoint that validates best.

        Args:
            report: called after each epoch with its line and the number of epochs.

        Raises:
            TrainingDiverged: naming the epoch, when a loss is no longer finite.
        """
        history: list[Epoch] = []
        best: Epoch | None = None
        weights: dict[str, Tensor] = {}
        for epoch in range(1, self.epochs + 1):
            line = self._epoch(epoch)
            history.append(line)
            if best is None or _score(line, self.training) > _score(best, self.training):
                best = line
                weights = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            report(line, self.epochs)
            if _exhausted(line, best, self.training):
                break
        assert best is not None  # there is at least one epoch
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return Trained(weights, parameters, history, best)

    def _epoch(self, epoch: int) -> Epoch:
        """Train on each image once (or until the last step), then validate."""
        start, done = time.perf_counter(), (epoch - 1) * self.batches
        steps = range(done, min(done + self.batches, self.steps))
        chosen = torch.randperm(len(self.splits.train), generator=self.order)
        losses = torch.zeros(3, device=self.device)
        images = 0
        self.model.train()
        for step, rows in zip(steps, chosen.split(self.training.batch_size), strict=False):
            # Summed on the device: reading a loss here would make every step wait for it.
            losses += self.step(step, rows) * len(rows)
            images += len(rows)
        total, segmentation, classification = (losses / images).tolist()
        validation = self.validate()
        rate = learning_rate(steps[-1], self.steps, self.batches, self.training)
        if not math.isfinite(total + validation.loss):
            raise TrainingDiverged(
                f"epoch {epoch}: training loss {total}, validation loss {validation.loss} at "
                f"learning rate {rate:.3g}; lower training.learning_rate for this method, or set "
                "training.gradient_clip"
            )
        return Epoch(
            epoch=epoch,
            steps=steps.stop,
            learning_rate=rate,
            train_loss=total,
            train_loss_segmentation=segmentation,
            train_loss_classification=classification,
            val_loss=validation.loss,
            val_ji=validation.jaccard,
            val_dsc=validation.dice,
            seconds=time.perf_counter() - start,
        )

    def step(self, step: int, rows: Tensor) -> Tensor:
        """One optimiser step on the given images; returns the detached loss and its two parts."""
        images, masks, labels = self.splits.train.batch(rows.to(self.device))
        images, masks = augment(images, masks, self.training.augmentation, self.motion)
        with autocast(self.device, self.precision):
            prediction = self.model(images.contiguous(memory_format=torch.channels_last))
        loss = combined_loss(prediction, masks, labels, self.class_weights, self.training.loss)
        self.stepper.step(loss, learning_rate(step, self.steps, self.batches, self.training))
        return torch.stack(loss).detach()

    @torch.no_grad()
    def validate(self) -> Validation:
        """Loss and overlap on the validation images, which are never augmented or shuffled."""
        self.model.eval()
        split = self.splits.val
        losses = torch.zeros((), device=self.device)
        counts: list[Tensor] = []
        rows = torch.arange(len(split), device=self.device)
        for part in rows.split(self.validation_batch):
            images, masks, labels = split.batch(part)
            with autocast(self.device, self.precision):
                prediction = self.model(images.contiguous(memory_format=torch.channels_last))
            loss = combined_loss(prediction, masks, labels, self.class_weights, self.training.loss)
            losses += loss.total * len(part)
            if prediction.segmentation is not None:
                lesions = prediction.segmentation.shape[1] - 1
                counts.append(pixel_counts(prediction.segmentation.argmax(1), masks, lesions))
        loss = losses.item() / len(split)
        if not counts:
            return Validation(loss, math.nan, math.nan)
        counted = torch.cat(counts)
        jaccard, dice = jaccard_where_present(counted), dice_where_present(counted)
        return Validation(loss, jaccard.item(), dice.item())


def stream(seed: int, name: str) -> int:
    """A seed of its own for each kind of random number, so that none disturbs another."""
    return seed * 1_000_003 + int.from_bytes(name.encode()[:5], "big")


def _batches(images: int, batch_size: int) -> int:
    """Batches per epoch; a last batch of one image is left out, as batch norm cannot take it."""
    whole, rest = divmod(images, batch_size)
    return whole + (rest > 1)


def shuffled(images: DeviceImages, seed: int) -> DeviceImages:
    """Images with the mask and labels of another one each: a control, with nothing to learn.

    They are passed on along one random circle through all images, so that none keeps its own.
    """
    generator = torch.Generator().manual_seed(stream(seed, "pairs"))
    order = torch.randperm(len(images), generator=generator)
    source = torch.empty_like(order)
    source[order] = order.roll(1)
    source = source.to(images.images.device)
    return replace(images, masks=images.masks[source], labels=images.labels[source])


def _score(epoch: Epoch, training: Training) -> float:
    """What checkpoint selection maximises; the loss decides where no image holds a lesion."""
    score = {"loss": math.nan, "ji": epoch.val_ji, "dsc": epoch.val_dsc}[training.checkpoint]
    return -epoch.val_loss if math.isnan(score) else score


def _exhausted(epoch: Epoch, best: Epoch, training: Training) -> bool:
    """Whether the run ends here, because patience has run out."""
    waited = epoch.epoch - max(best.epoch, training.patience_from)
    return training.patience is not None and waited >= training.patience
