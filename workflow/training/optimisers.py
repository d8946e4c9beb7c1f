"""What makes a step of the loss: one optimiser for the whole loss, or one for each task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

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
        one_backward: whether each forward pass has one backward pass.
        optimizers: whose state is the state of this.
        watch: looks at every gradient; None does not.
    """

    one_backward = True
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

    one_backward = False

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
    return STEPPERS.get(training.optimizer, SingleStepper)(parameters, training)


def one_backward(training: Training) -> bool:
    """Whether each forward pass has one backward pass."""
    return STEPPERS.get(training.optimizer, SingleStepper).one_backward


def takes_verdict(optimizer: Optimizer) -> bool:
    """Whether an optimiser skips its step by itself where it is told of a gradient not finite.

    The fused ones of torch do; for any other the gradients have to be waited for.
    """
    return bool(optimizer.defaults.get("fused"))


def make_optimizer(parameters: list[nn.Parameter], training: Training) -> Optimizer:
    """An optimiser of torch, in its fused form where it has one."""
    return BUILDERS[training.optimizer](parameters, training)


def _adamw(parameters: list[nn.Parameter], training: Training) -> Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    return AdamW(parameters, lr=rate, betas=training.betas, weight_decay=decay, fused=True)


def _adam(parameters: list[nn.Parameter], training: Training) -> Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    return Adam(parameters, lr=rate, betas=training.betas, weight_decay=decay, fused=True)


def _sgd(parameters: list[nn.Parameter], training: Training) -> Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    return SGD(parameters, lr=rate, momentum=training.momentum, weight_decay=decay, fused=True)


def _rmsprop(parameters: list[nn.Parameter], training: Training) -> Optimizer:
    return RMSprop(
        parameters,
        lr=training.learning_rate,
        alpha=training.betas[1],
        momentum=training.momentum,
        weight_decay=training.weight_decay,
    )


# The optimisers of torch by the names of `workflow.config.training.OPTIMIZERS`, and what steps
# otherwise than by one of them on the whole loss.
BUILDERS: dict[str, Callable[[list[nn.Parameter], Training], Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}
STEPPERS: dict[str, type[Stepper]] = {"multi_adaptive": MultiAdaptiveStepper}
