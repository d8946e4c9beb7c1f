"""Training of one run: the paper's protocol as a plain loop (section IV).

A run is deterministic in its seed: initialisation, dropout and stochastic depth draw from torch's
default generator, the order of images and the augmentation each from a generator of their own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workflow.config import Training
from workflow.data.errors import DataError
from workflow.device import autocast, on_device
from workflow.evaluation.counts import jaccard_where_present, pixel_counts
from workflow.images import DeviceImages
from workflow.training.augmentation import augment
from workflow.training.losses import class_weights, combined_loss
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
        self.model = on_device(build(), splits.train.images.device)
        self.device = splits.train.images.device
        self.splits = splits
        self.training = training
        self.precision = precision
        self.validation_batch = validation_batch
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=training.learning_rate,
            betas=training.betas,
            weight_decay=training.weight_decay,
            fused=True,
        )
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
        """Train to the end, and keep the checkpoint that validates best.

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
            losses += self._step(step, rows) * len(rows)
            images += len(rows)
        total, segmentation, classification = (losses / images).tolist()
        validation, jaccard = self.validate()
        rate = learning_rate(steps[-1], self.steps, self.training)
        if not math.isfinite(total + validation):
            raise TrainingDiverged(
                f"epoch {epoch}: training loss {total}, validation loss {validation} at learning "
                f"rate {rate:.3g}; lower training.learning_rate for this method, or set "
                "training.gradient_clip"
            )
        return Epoch(
            epoch=epoch,
            steps=steps.stop,
            learning_rate=rate,
            train_loss=total,
            train_loss_segmentation=segmentation,
            train_loss_classification=classification,
            val_loss=validation,
            val_ji=jaccard,
            seconds=time.perf_counter() - start,
        )

    def _step(self, step: int, rows: Tensor) -> Tensor:
        """One optimiser step on the given images; returns the detached loss and its two parts."""
        images, masks, labels = self.splits.train.batch(rows.to(self.device))
        images, masks = augment(images, masks, self.training.augmentation, self.motion)
        with autocast(self.device, self.precision):
            prediction = self.model(images.contiguous(memory_format=torch.channels_last))
        loss = combined_loss(prediction, masks, labels, self.class_weights, self.training.loss)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.steps, self.training)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        if self.training.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        self.optimizer.step()
        return torch.stack(loss).detach()

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Validation loss (mean over images) and Jaccard index (0 to 1, NaN if undefined)."""
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
        jaccard = jaccard_where_present(torch.cat(counts)).item() if counts else math.nan
        return losses.item() / len(split), jaccard


def stream(seed: int, name: str) -> int:
    """A seed of its own for each kind of random number, so that none disturbs another."""
    return seed * 1_000_003 + int.from_bytes(name.encode()[:5], "big")


def _batches(images: int, batch_size: int) -> int:
    """Batches per epoch; a last batch of one image is left out, as batch norm cannot take it."""
    whole, rest = divmod(images, batch_size)
    return whole + (rest > 1)


def _score(epoch: Epoch, training: Training) -> float:
    """What checkpoint selection maximises."""
    by_jaccard = training.checkpoint == "ji" and not math.isnan(epoch.val_ji)
    return epoch.val_ji if by_jaccard else -epoch.val_loss
