"""Training of one run: the paper's protocol as a plain loop (section IV).

A run is deterministic in its seed. Initialisation, dropout and stochastic depth draw from torch's
default generators, whose states are saved with the run's. The order of images and their motions
are drawn for a whole epoch at once, from generators that seed and epoch decide, so that a run that
is taken up again draws them again.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workflow.base.errors import DataError
from workflow.config.training import Training
from workflow.data.images import Batch, DeviceImages
from workflow.metrics.counts import dice_where_present, jaccard_where_present, pixel_counts
from workflow.networks.conditional import ConditionalLabels, conditional_mixture
from workflow.networks.device import autocast, on_device
from workflow.training.augmentation import augment, draw_motions
from workflow.training.compiling import compiled
from workflow.training.divergence import Divergence, TrainingDiverged, Watch
from workflow.training.losses import class_weights, combined_loss
from workflow.training.optimisers import make_stepper, takes_verdict
from workflow.training.profiling import Profile, no_profile
from workflow.training.progress import BEST, Epoch, RunProgress
from workflow.training.schedule import learning_rate
from workflow.training.state.saved import Keeper, Snapshot
from workflow.training.state.snapshots import (
    named,
    optimizer_state,
    random_state,
    restore_optimizer,
    restore_random_state,
    unnamed,
)


@dataclass(frozen=True)
class Trained:
    """A finished run: the chosen checkpoint's weights, and how it was reached."""

    weights: dict[str, Tensor]
    history: list[Epoch]
    best: Epoch


@dataclass(frozen=True)
class Splits:
    """The two splits a run sees."""

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
        splits: training and validation images, for the device to train on.
        training: the resolved protocol of this run.
        seed: decides initialisation, order, augmentation and dropout.
        precision: format of the forward pass; weights and losses are float32.
        validation_batch: batch size of validation.
        profile: what measures the phases of a step; nothing by default.

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
        profile: Profile | None = None,
    ) -> None:
        torch.manual_seed(seed)
        network = build()
        if training.loss.classification_form == "conditional":
            network = ConditionalLabels(network, conditional_mixture(splits.train.labels))
        self.device = splits.train.device
        self.model = on_device(network, self.device)
        self.forward = compiled(self.model, training, self.device)
        if training.shuffle_labels:
            splits = replace(splits, train=shuffled(splits.train, seed))
        self.splits = splits
        self.training = training
        self.seed = seed
        self.precision = precision
        self.validation_batch = validation_batch
        self.profile = profile or no_profile()
        self.stepper = make_stepper(self.model.parameters(), training)
        steps_itself = all(takes_verdict(optimizer) for optimizer in self.stepper.optimizers)
        waits = self.device.type != "cuda" or not steps_itself
        self.watch = Watch(list(self.model.named_parameters()), self.device, waits=waits)
        self.stepper.watch = self.watch
        self.class_weights = class_weights(splits.train.labels, training.loss)
        self.batches = _batches(len(splits.train), training.batch_size)
        if not self.batches:
            raise DataError("the training split has one image, and a batch takes two or more")
        self.steps = training.epochs * self.batches
        if training.max_steps is not None:
            self.steps = min(self.steps, training.max_steps)
        self.epochs = math.ceil(self.steps / self.batches)
        self.progress = RunProgress(torch.zeros(3, device=self.device))
        self.keeper: Keeper | None = None
        self._start = self._epoch_start = time.perf_counter()

    def run(self, report: Callable[[Epoch, int], None], keeper: Keeper | None = None) -> Trained:
        """Train to the end, or until patience ends, and keep the checkpoint that validates best.

        Args:
            report: called after each epoch with its line and the number of epochs.
            keeper: saves the run's state as it goes, and has the state to go on from, if any.

        Raises:
            TrainingDiverged: a loss or gradient is no longer finite; parameters are those before.
            Interrupted: the run was asked to stop, and its state is saved.
        """
        self._start = self._epoch_start = time.perf_counter()
        self.keeper = keeper
        state = keeper.load() if keeper else None
        if state:
            self.restore(state)
        progress = self.progress
        while len(progress.history) < self.epochs:
            line = self._epoch()
            progress.history.append(line)
            if progress.best is None or _score(line, self.training) > _score(
                progress.best, self.training
            ):
                progress.best = line
                values = self.model.state_dict().items()
                progress.weights = {k: v.detach().cpu().clone() for k, v in values}
            progress.begin_epoch()
            report(line, self.epochs)
            if _exhausted(line, progress.best, self.training):
                break
        assert progress.best is not None  # there is at least one epoch
        self.profile.finish()
        if keeper:
            keeper.wait()
        return Trained(progress.weights, progress.history, progress.best)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, in this process and in those before."""
        return self.progress.spent + time.perf_counter() - self._start

    @property
    def saving(self) -> float:
        """Seconds that training has waited for its state to be saved."""
        return self.progress.saving + (self.keeper.spent if self.keeper else 0.0)

    def snapshot(self) -> Snapshot:
        """Everything that decides how the run goes on; tensors are those in use, not copies."""
        tensors, facts = self.progress.snapshot()
        values = {
            **tensors,
            **random_state(self.device),
            **named("model", self.model.state_dict()),
        }
        for number, optimizer in enumerate(self.stepper.optimizers):
            values |= optimizer_state(f"optimizer{number}", optimizer)
        now = time.perf_counter()
        facts |= {
            "seconds": self.progress.seconds + now - self._epoch_start,
            "spent": self.seconds,
            "saving": self.saving,
        }
        return Snapshot(values, facts)

    def restore(self, state: Snapshot) -> None:
        """Go on from a snapshot of the same run."""
        self.model.load_state_dict(unnamed("model", state.tensors))
        for number, optimizer in enumerate(self.stepper.optimizers):
            restore_optimizer(f"optimizer{number}", optimizer, state.tensors)
        restore_random_state(state.tensors, self.device)
        self.progress = RunProgress.restored(state, self.progress.losses)

    def _epoch(self) -> Epoch:
        """Train on each image once (or until the last step), then validate."""
        progress, split = self.progress, self.splits.train
        self._epoch_start = time.perf_counter()
        epoch, size = progress.epoch, self.training.batch_size
        begin = (epoch - 1) * self.batches
        end = min(begin + self.batches, self.steps)
        parts, motions = self._plan(epoch)
        done = progress.step - begin  # by a process that was interrupted
        self.model.train()
        batches = iter(split.batches(parts[done : end - begin]))
        for moved in motions.split(size)[done : end - begin]:
            with self.profile.phase("data"):
                batch = next(batches)
            # Summed on the device: reading a loss here would make every step wait for it.
            progress.losses += self.step(progress.step, batch, moved) * len(batch.labels)
            progress.images += len(batch.labels)
            progress.step += 1
            self.profile.step()
            self._keep()
        total, segmentation, classification = (progress.losses / progress.images).tolist()
        self._check()
        with self.profile.phase("validate"):
            validation = self.validate()
        rate = learning_rate(end - 1, self.steps, self.batches, self.training)
        if not math.isfinite(validation.loss):
            where = Divergence(epoch, end, None, rate, ["validation loss"])
            raise TrainingDiverged(where)
        return Epoch(
            epoch=epoch,
            steps=end,
            learning_rate=rate,
            train_loss=total,
            train_loss_segmentation=segmentation,
            train_loss_classification=classification,
            val_loss=validation.loss,
            val_ji=validation.jaccard,
            val_dsc=validation.dice,
            seconds=progress.seconds + time.perf_counter() - self._epoch_start,
        )

    def _plan(self, epoch: int) -> tuple[tuple[Tensor, ...], Tensor]:
        """The rows of each step of an epoch, and the motions `[N, 2, 3]` of all its images."""
        count, split = len(self.splits.train), self.splits.train
        order = torch.randperm(count, generator=_generator(self.seed, "order", epoch))
        motions = draw_motions(
            count,
            split.images.shape[-2:],
            self.training.augmentation,
            _generator(self.seed, "motion", epoch),
        )
        return order.split(self.training.batch_size), motions.to(self.device)

    def step(self, step: int, batch: Batch, motions: Tensor) -> Tensor:
        """One optimiser step.

        Args:
            step: its number, from 0; decides the learning rate.
            batch: images, masks and labels on the device.
            motions: how each image is moved, `[B, 2, 3]`.

        Returns:
            The loss and its two parts, `[3]`, detached.

        Raises:
            TrainingDiverged: something is not finite; not raised before `run` looks, on a GPU.
        """
        phase = self.profile.phase
        with phase("augment"):
            scale = self.splits.train.scale
            images, masks = augment(batch.images, batch.masks, motions, scale)
        with phase("forward"), autocast(self.device, self.precision):
            prediction = self.forward(images)
        with phase("loss"):
            weights, form = self.class_weights, self.training.loss
            loss = combined_loss(prediction, masks, batch.labels, weights, form)
        with phase("backward+optimiser"):
            self.watch.begin(step, loss.total)
            rate = learning_rate(step, self.steps, self.batches, self.training)
            self.stepper.step(loss, rate)
        if self.watch.waits:
            self._check()
        return torch.stack(loss).detach()

    def _check(self) -> None:
        """End the run if the watch has found something that is not finite."""
        found = self.watch.result()
        if found:
            step, loss, tensors = found
            rate = learning_rate(step, self.steps, self.batches, self.training)
            epoch = self.progress.epoch
            raise TrainingDiverged(Divergence(epoch, step + 1, loss, rate, tensors))

    def _keep(self) -> None:
        """Save the state if it is time to; end the run if it is asked to stop."""
        keeper = self.keeper
        if keeper is None or not keeper.wanted:
            return
        self._check()  # a state that is saved is a good one
        with self.profile.phase("save"):
            state = self.snapshot()
            keeper.save(
                state, frozenset(name for name in state.tensors if name.startswith(f"{BEST}."))
            )
        keeper.stop_if_asked()

    @torch.no_grad()
    def validate(self) -> Validation:
        """Loss and overlap on the validation images, which are never augmented or shuffled."""
        self.model.eval()
        split = self.splits.val
        losses = torch.zeros((), device=self.device)
        counts: list[Tensor] = []
        for batch in split.in_order(self.validation_batch):
            self._keep()
            images, masks, labels = split.ready(batch)
            with autocast(self.device, self.precision):
                prediction = self.forward(images.contiguous(memory_format=torch.channels_last))
            loss = combined_loss(prediction, masks, labels, self.class_weights, self.training.loss)
            losses += loss.total * len(labels)
            if prediction.segmentation is not None:
                lesions = prediction.segmentation.shape[1] - 1
                counts.append(pixel_counts(prediction.segmentation.argmax(1), masks, lesions))
        loss = losses.item() / len(split)
        if not counts:
            return Validation(loss, math.nan, math.nan)
        counted = torch.cat(counts)
        jaccard, dice = jaccard_where_present(counted), dice_where_present(counted)
        return Validation(loss, jaccard.item(), dice.item())


def stream(seed: int, name: str, epoch: int = 0) -> int:
    """A seed of its own for each kind of random number and epoch, so that none disturbs another."""
    whole = (seed * 1_000_003 + int.from_bytes(name.encode()[:5], "big")) * 100_003 + epoch
    return whole % 2**63


def _generator(seed: int, name: str, epoch: int) -> torch.Generator:
    """A generator on the CPU, so that every device draws the same numbers."""
    return torch.Generator().manual_seed(stream(seed, name, epoch))


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
    masks, labels = (part[source.to(part.device)] for part in (images.masks, images.labels))
    return replace(images, masks=masks, labels=labels)


def _score(epoch: Epoch, training: Training) -> float:
    """What checkpoint selection maximises; the loss decides where no image holds a lesion."""
    score = {"loss": math.nan, "ji": epoch.val_ji, "dsc": epoch.val_dsc}[training.checkpoint]
    return -epoch.val_loss if math.isnan(score) else score


def _exhausted(epoch: Epoch, best: Epoch, training: Training) -> bool:
    """Whether the run ends here, because patience has run out."""
    waited = epoch.epoch - max(best.epoch, training.patience_from)
    return training.patience is not None and waited >= training.patience
