"""What makes a step of the loss: one optimiser for the whole loss, or one for each task."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from workflow.config.training import Training
from workflow.training.divergence import Watch
from workflow.training.losses import LossParts


class Stepper(ABC):
    """Moves parameters down the gradient of a loss.

    Args:
        parameters: what is trained.
        training: the run's protocol.

    Attributes:
        optimizers: whose state is the state of this.
        watch: looks at every gradient; None does not.
    """

    optimizers: list[Optimizer]

    def __init__(self, parameters: Iterable[nn.Parameter], training: Training) -> None:
        self.parameters = list(parameters)
        self.clip = training.gradient_clip
        self.watch: Watch | None = None

    @abstractmethod
    def step(self, loss: LossParts, rate: float) -> None:
        """One step at a learning rate, or none where the watch finds a gradient not finite."""

    def _diverged(self) -> bool:
        """Let the watch look at the gradients that the parameters hold."""
        return self.watch is not None and self.watch.look(self.parameters)

    def _move(self, optimizer: Optimizer, rate: float) -> None:
        """A step along the gradients that the parameters hold."""
        for group in optimizer.param_groups:
            group["lr"] = rate
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        if self.watch is not None and not self.watch.waits:
            optimizer.found_inf = self.watch.found  # pyright: ignore (read by fused optimisers)
        optimizer.step()


class SingleStepper(Stepper):
    """One optimiser of torch, on the weighted sum of the tasks' losses."""

    def __init__(self, parameters: Iterable[nn.Parameter], training: Training) -> None:
        super().__init__(parameters, training)
        self.optimizers = [make_optimizer(self.parameters, training)]

    def step(self, loss: LossParts, rate: float) -> None:
        """One step at a learning rate."""
        (optimizer,) = self.optimizers
        optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        if not self._diverged():
            self._move(optimizer, rate)


class MultiAdaptiveStepper(Stepper):
    """Multi-adaptive optimisation (Hervella et al.): each task has Adam moments of its own.

    The step is rate * sum over tasks of m / (sqrt(v) + eps), so that every parameter weighs the
    tasks by itself, and weights of the loss would have no effect. Weight decay is decoupled, and
    applied once. Gradients are clipped for each task by itself.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], training: Training) -> None:
        super().__init__(parameters, training)
        decay = (training.weight_decay, 0.0)
        self.optimizers = [
            AdamW(
                self.parameters,
                lr=training.learning_rate,
                betas=training.betas,
                weight_decay=weight_decay,
                fused=True,
            )
            for weight_decay in decay
        ]

    def step(self, loss: LossParts, rate: float) -> None:
        """One step at a learning rate."""
        # Both gradients are taken before the first optimiser moves the parameters.
        gradients = [
            self._gradients(loss.segmentation, keep=True),
            self._gradients(loss.classification, keep=False),
        ]
        for of_task in gradients:
            self._hold(of_task)
            if self._diverged():
                return
        for optimizer, of_task in zip(self.optimizers, gradients, strict=True):
            self._hold(of_task)
            self._move(optimizer, rate)

    def _hold(self, gradients: list[Tensor]) -> None:
        """Make these the gradients of the parameters."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def _gradients(self, loss: Tensor, *, keep: bool) -> list[Tensor]:
        """Of one task's loss; zero where it does not reach, so that weight decay still does."""
        for parameter in self.parameters:
            parameter.grad = None
        # Not autograd.grad: only backward gives gradients the memory layout of their parameters.
        loss.backward(retain_graph=keep)
        return [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]


def make_stepper(parameters: Iterable[nn.Parameter], training: Training) -> Stepper:
    """What `training.optimizer` asks for."""
    multiple = training.optimizer == "multi_adaptive"
    return (MultiAdaptiveStepper if multiple else SingleStepper)(parameters, training)


def make_optimizer(parameters: list[nn.Parameter], training: Training) -> Optimizer:
    """An optimiser of torch, in its fused form where it has one."""
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return SGD(parameters, lr=rate, momentum=training.momentum, weight_decay=decay, fused=True)
    if training.optimizer == "rmsprop":
        return RMSprop(
            parameters,
            lr=rate,
            alpha=training.betas[1],
            momentum=training.momentum,
            weight_decay=decay,
        )
    kind = Adam if training.optimizer == "adam" else AdamW
    return kind(parameters, lr=rate, betas=training.betas, weight_decay=decay, fused=True)
