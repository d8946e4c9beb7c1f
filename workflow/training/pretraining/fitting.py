"""The training loop of both networks of pretraining, and means over images that are held out."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from workflow.training.pretraining.masking import Masking
from workflow.training.state.saved import Keeper, Snapshot
from workflow.training.state.snapshots import (
    named,
    optimizer_state,
    random_state,
    restore_optimizer,
    restore_random_state,
    unnamed,
)

# The loss of the images in some rows, with random numbers from a generator.
LossOfRows = Callable[[Tensor, torch.Generator], Tensor]


class PretrainingDiverged(ArithmeticError):
    """The loss of a pretraining became infinite or not a number."""


def fit(
    network: nn.Module,
    masking: Masking,
    epochs: int,
    loss: LossOfRows,
    validate: Callable[[], float],
    report: Callable[[str], None],
    keeper: Keeper | None = None,
) -> list[float]:
    """Train with Adam, the rate falling along a cosine; keep the weights that validate best.

    Args:
        network: whose parameters are learned; it ends in evaluation mode.
        masking: its images and settings.
        epochs: passes over the images.
        loss: to be lowered.
        validate: the loss on the images that are held out.
        report: gets a line after each epoch.
        keeper: saves how far this has come, and has the state to go on from, if any.

    Returns:
        The validation loss after each epoch.

    Raises:
        PretrainingDiverged: a validation loss is not finite.
        Interrupted: the run was asked to stop, and its state is saved.
    """
    return _Fit(network, masking, epochs, loss, validate, keeper).run(report)


class _Fit:
    """One call of `fit`: the optimiser, and how far it has come."""

    def __init__(
        self,
        network: nn.Module,
        masking: Masking,
        epochs: int,
        loss: LossOfRows,
        validate: Callable[[], float],
        keeper: Keeper | None,
    ) -> None:
        self.network, self.masking, self.epochs = network, masking, epochs
        self.loss, self.validate, self.keeper = loss, validate, keeper
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=masking.settings.learning_rate, fused=True
        )
        self.learned, _ = masking.rows()
        whole, rest = divmod(len(self.learned), masking.settings.batch_size)
        self.batches = whole + (rest > 1)  # batch norm cannot take a last batch of one image
        self.step = 0
        self.losses: list[float] = []
        self.best: dict[str, Tensor] = {}

    def run(self, report: Callable[[str], None]) -> list[float]:
        """Train to the end."""
        state = self.keeper.load() if self.keeper else None
        if state:
            self._restore(state)
        while len(self.losses) < self.epochs:
            self._epoch(len(self.losses))
            report(f"epoch {len(self.losses)}/{self.epochs}, validation {self.losses[-1]:.4f}")
        self.network.load_state_dict(self.best)
        self.network.eval()
        if self.keeper:
            self._save(self.keeper)
            self.keeper.wait()
        return self.losses

    def _epoch(self, epoch: int) -> None:
        settings, masking = self.masking.settings, self.masking
        self.network.train()
        # Numbers of an epoch of their own, so that one that is taken up again draws them again.
        order = torch.randperm(len(self.learned), generator=masking.generator(f"order {epoch}"))
        parts = self.learned[order].split(settings.batch_size)[: self.batches]
        for batch in range(self.step - epoch * self.batches, self.batches):
            progress = self.step / (self.epochs * self.batches)
            for group in self.optimizer.param_groups:
                group["lr"] = settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2
            value = self.loss(parts[batch], masking.generator(f"views {self.step}"))
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            self.optimizer.step()
            self.step += 1
            if self.keeper and self.keeper.wanted:
                self._save(self.keeper)
                self.keeper.stop_if_asked()
        self.network.eval()
        self.losses.append(self.validate())
        if not math.isfinite(self.losses[-1]):
            raise PretrainingDiverged(
                f"validation loss {self.losses[-1]} after epoch {epoch + 1}; "
                "lower `pretraining.learning_rate` of this method"
            )
        if self.losses[-1] < min(self.losses[:-1], default=math.inf):
            self.best = {k: v.clone() for k, v in self.network.state_dict().items()}

    def _save(self, keeper: Keeper) -> None:
        tensors = {
            **random_state(self.masking.device),
            **named("network", self.network.state_dict()),
            **named("best", self.best),
            **optimizer_state("optimizer", self.optimizer),
        }
        keeper.save(Snapshot(tensors, {"step": self.step, "losses": self.losses}))

    def _restore(self, state: Snapshot) -> None:
        self.network.load_state_dict(unnamed("network", state.tensors))
        restore_optimizer("optimizer", self.optimizer, state.tensors)
        restore_random_state(state.tensors, self.masking.device)
        on_device = unnamed("best", state.tensors).items()
        self.best = {name: value.to(self.masking.device) for name, value in on_device}
        self.step, self.losses = state.facts["step"], state.facts["losses"]


@torch.no_grad()
def mean_loss(masking: Masking, loss: LossOfRows, rows: Tensor) -> float:
    """The mean over images of a loss, with the same random numbers each time it is asked for."""
    generator = masking.generator("evaluation")
    total = torch.zeros((), device=masking.device)
    for part in rows.split(masking.settings.batch_size):
        total += loss(part, generator) * len(part)
    return total.item() / len(rows)
