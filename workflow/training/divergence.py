"""Watches for a loss or gradient that is not finite, without making a GPU wait for the answer."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Divergence:
    """Where a run stopped being finite.

    Attributes:
        epoch, step: the step, counted from 1, whose gradients or loss were not finite.
        loss: the loss of that step (or of the validation after it); None where it is not finite.
        learning_rate: the learning rate of that step.
        tensors: tensors whose gradients were not finite; `loss` and `validation loss` stand for
            those.
    """

    epoch: int
    step: int
    loss: float | None
    learning_rate: float
    tensors: list[str]

    @property
    def message(self) -> str:
        """What happened and what to do about it."""
        first, more = self.tensors[0], len(self.tensors) - 1
        named = f"{first} and {more} more" if more else first
        loss = "is not finite" if self.loss is None else f"is {self.loss:.4g}"
        return (
            f"diverged at epoch {self.epoch}, step {self.step}: the loss {loss} at learning rate "
            f"{self.learning_rate:.3g}, and these are not finite: {named}; lower "
            "training.learning_rate for this method, or set training.gradient_clip"
        )

    def record(self) -> dict[str, Any]:
        """As run.json has it."""
        return {"kind": "diverged", "message": self.message, **asdict(self)}


class TrainingDiverged(ArithmeticError):
    """A loss or gradient of a run became infinite or not a number; `divergence` says where."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence.message)
        self.divergence = divergence


class Watch:
    """Remembers the first step that was not finite, and keeps it and later ones from moving.

    Args:
        parameters: the parameters of the network, by name.
        device: the device that they are on.
        waits: whether every step waits for the answer. On a CPU that costs nothing, and an
            optimiser that knows no `found_inf` needs it.

    Attributes:
        found: float32 scalar, 1 from that step on. Fused optimisers of torch take it as
            `found_inf`, and leave all parameters as the last good step left them.
    """

    def __init__(
        self,
        parameters: Sequence[tuple[str, nn.Parameter]],
        device: torch.device,
        *,
        waits: bool,
    ) -> None:
        self.names = ["loss", *(name for name, _ in parameters)]
        self.waits = waits
        self.found = torch.zeros((), device=device)
        self._one = torch.ones((), device=device)
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        self._loss = torch.zeros((), device=device)
        self._wrong = torch.zeros(len(self.names), dtype=torch.bool, device=device)
        self._now: tuple[int, Tensor] = (0, self._loss)

    def begin(self, step: int, loss: Tensor) -> None:
        """A step begins: its number, from 0, and its loss."""
        self._now = (step, loss.detach())

    def look(self, parameters: Sequence[nn.Parameter]) -> bool:
        """Look at the loss and the gradients of this step.

        Args:
            parameters: the parameters in the order that the watch was made with; some may have no
                gradient.

        Returns:
            Whether the optimiser must not move: always False where the answer is not waited for.
        """
        step, loss = self._now
        gradients = [p.grad for p in parameters if p.grad is not None]
        # One pass over all gradients; a sum of squares is finite if, and only if, it means well.
        norms = iter(torch._foreach_norm(gradients) if gradients else ())  # pyright: ignore
        values = [loss, *(next(norms) if p.grad is not None else self._one for p in parameters)]
        wrong = ~torch.stack(values).isfinite()
        first = wrong.any() & (self.found == 0)
        self._step = torch.where(first, step, self._step)
        self._loss = torch.where(first, loss, self._loss)
        # A step may be looked at twice, once for each task.
        self._wrong = torch.where(first | (self._step == step), self._wrong | wrong, self._wrong)
        self.found = torch.where(first, self._one, self.found)
        return self.waits and bool(self.found)

    def result(self) -> tuple[int, float | None, list[str]] | None:
        """Step (from 0), loss and tensors that were not finite; None if all was well. Waits."""
        if not self.found:
            return None
        loss = self._loss.item()
        named = [name for name, bad in zip(self.names, self._wrong.tolist(), strict=True) if bad]
        return int(self._step), loss if math.isfinite(loss) else None, named
