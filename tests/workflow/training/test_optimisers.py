"""Optimisers: each step against its formula written out, and multi-adaptive against its own."""

import math

import pytest
import torch
from torch import nn

from workflow.config.load import load_config
from workflow.config.training import OPTIMIZERS, overlaid
from workflow.networks.device import computing
from workflow.training.losses import LossParts
from workflow.training.optimisers import (
    BUILDERS,
    STEPPERS,
    make_optimizer,
    make_stepper,
    one_backward,
    takes_verdict,
)

RATE, DECAY, BETAS, EPS = 0.05, 0.1, (0.9, 0.99), 1e-8


def protocol(**changes):
    given = {"learning_rate": RATE, "weight_decay": DECAY, "betas": BETAS, "threads": 1}
    return overlaid(load_config().training, {**given, **changes})


class TwoTasks(nn.Module):
    """A shared weight, and one for each task alone, in float64."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("shared", "first", "second"):
            values = torch.linspace(-1, 2, 6, dtype=torch.float64).reshape(2, 3) + len(name) / 7
            setattr(self, name, nn.Parameter(values))

    def losses(self, step: int) -> LossParts:
        one = (self.shared * self.first - math.sin(step)).tanh().square().sum()
        other = 100 * (self.shared + self.second * math.cos(step)).sin().mean()
        return LossParts(one + other, one, other)


def adam(gradients):
    """Adam's direction after some steps: m / (sqrt(v) + eps), both corrected for their start."""
    m = v = torch.zeros_like(gradients[0])
    for gradient in gradients:
        m = BETAS[0] * m + (1 - BETAS[0]) * gradient
        v = BETAS[1] * v + (1 - BETAS[1]) * gradient**2
    steps = len(gradients)
    return (m / (1 - BETAS[0] ** steps)) / ((v / (1 - BETAS[1] ** steps)).sqrt() + EPS)


def gradients_of(loss, parameters):
    return torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)


def run(training, steps=30):
    """The parameters after some steps, every step at a rate of its own."""
    model = TwoTasks()
    stepper = make_stepper(model.parameters(), training)
    for step in range(steps):
        stepper.step(model.losses(step), RATE / (step + 1))
    return [parameter.detach() for parameter in model.parameters()]


def test_multi_adaptive_is_the_sum_of_the_tasks_adam_steps():
    model, seen = TwoTasks(), {"segmentation": [], "classification": []}
    parameters = list(model.parameters())
    for step in range(30):
        losses = model.losses(step)
        for task, gradients in seen.items():
            gradients.append(gradients_of(getattr(losses, task), parameters))
        rate = RATE / (step + 1)
        with torch.no_grad():
            for i, parameter in enumerate(parameters):
                update = sum(adam([g[i] for g in of_task]) for of_task in seen.values())
                parameter.copy_(parameter * (1 - rate * DECAY) - rate * update)
    for found, expected in zip(run(protocol(optimizer="multi_adaptive")), parameters, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-12)


def test_multi_adaptive_does_not_feel_how_tasks_are_scaled():
    class Rescaled(TwoTasks):
        def losses(self, step):
            total, one, other = super().losses(step)
            return LossParts(total, 1000 * one, other / 10)

    moved = []
    for kind in (TwoTasks, Rescaled):
        model = kind()
        stepper = make_stepper(model.parameters(), protocol(optimizer="multi_adaptive"))
        for step in range(20):
            stepper.step(model.losses(step), RATE)
        moved.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    # But for Adam's epsilon, where a gradient is tiny.
    torch.testing.assert_close(*moved, rtol=0, atol=1e-3)
    summed = nn.utils.parameters_to_vector(run(protocol(), steps=20))
    assert (moved[0] - summed).abs().max() > 0.1


def test_multi_adaptive_keeps_gradients_in_the_layout_of_their_parameters():
    # The fused optimisers refuse or slow down where the two differ, on a GPU.
    layer = nn.Conv2d(4, 4, 3, bias=False).to(memory_format=torch.channels_last)
    unused = nn.Conv2d(4, 4, 3, bias=False).to(memory_format=torch.channels_last)
    stepper = make_stepper([layer.weight, unused.weight], protocol(optimizer="multi_adaptive"))
    found = layer(torch.randn(2, 4, 8, 8)).square()
    before = unused.weight.detach().clone()
    stepper.step(LossParts(found.sum(), found.sum(), found.mean()), 0.5)
    for weight in (layer.weight, unused.weight):
        assert weight.grad.stride() == weight.stride()
    # A weight that no task reaches still decays, once.
    torch.testing.assert_close(unused.weight.detach(), before * (1 - 0.5 * DECAY))


def test_clipping_bounds_each_tasks_gradient():
    norms = []

    class Watching(TwoTasks):
        def note(self):
            norms.append(nn.utils.get_total_norm([p.grad for p in self.parameters()]).item())

    model = Watching()
    stepper = make_stepper(
        model.parameters(), protocol(optimizer="multi_adaptive", gradient_clip=0.25)
    )
    for optimizer in stepper.optimizers:
        optimizer.register_step_pre_hook(lambda *_: model.note())
    stepper.step(model.losses(1), RATE)
    assert norms == pytest.approx([0.25, 0.25], rel=1e-4)


def sgd(weights, gradients, rate):
    velocity = 0.0
    for gradient, weight in zip(gradients, weights, strict=True):
        decayed = gradient + DECAY * weight
        velocity = 0.5 * velocity + decayed
    return weights[-1] - rate * velocity


def rmsprop(weights, gradients, rate):
    mean, velocity = 0.0, 0.0
    for gradient, weight in zip(gradients, weights, strict=True):
        decayed = gradient + DECAY * weight
        mean = BETAS[1] * mean + (1 - BETAS[1]) * decayed**2
        velocity = 0.5 * velocity + decayed / (mean.sqrt() + EPS)
    return weights[-1] - rate * velocity


def adam_with_decay_in_the_gradient(weights, gradients, rate):
    decayed = [g + DECAY * w for g, w in zip(gradients, weights, strict=True)]
    return weights[-1] - rate * adam(decayed)


def adamw(weights, gradients, rate):
    return weights[-1] * (1 - rate * DECAY) - rate * adam(gradients)


@pytest.mark.parametrize(
    ("optimizer", "formula"),
    [
        ("sgd", sgd),
        ("rmsprop", rmsprop),
        ("adam", adam_with_decay_in_the_gradient),
        ("adamw", adamw),
    ],
)
def test_every_optimiser_is_its_formula(optimizer, formula):
    model = TwoTasks()
    parameters = list(model.parameters())
    weights, gradients = [], []
    for step in range(20):
        weights.append([p.detach().clone() for p in parameters])
        gradients.append(gradients_of(model.losses(step).total, parameters))
        with torch.no_grad():
            for i, parameter in enumerate(parameters):
                history = [[past[i] for past in kind] for kind in (weights, gradients)]
                parameter.copy_(formula(*history, RATE / (step + 1)))
    for found, expected in zip(
        run(protocol(optimizer=optimizer, momentum=0.5), steps=20), parameters, strict=True
    ):
        torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-11)


def test_the_papers_optimiser_is_adamw_with_its_numbers():
    weight = nn.Parameter(torch.zeros(2))
    optimizer = make_optimizer([weight], load_config(overrides={"preset": "paper"}).training)
    assert type(optimizer) is torch.optim.AdamW
    wanted = {"lr": 0.003, "betas": (0.9, 0.999), "weight_decay": 1e-4, "fused": True}
    assert {key: optimizer.defaults[key] for key in wanted} == wanted


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop", "multi_adaptive"])
def test_every_optimiser_works_where_only_deterministic_operations_do(optimizer):
    training = protocol(optimizer=optimizer, determinism="strict")
    with computing(training):
        first, second = run(training), run(training)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_every_optimiser_that_the_configuration_allows_is_made_and_no_other():
    assert {*BUILDERS, *STEPPERS} == set(OPTIMIZERS)
    assert not set(BUILDERS) & set(STEPPERS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimiser_keeps_as_many_numbers_as_planning_reckons_with(optimizer):
    model, training = TwoTasks(), protocol(optimizer=optimizer, momentum=0.5)
    stepper = make_stepper(model.parameters(), training)
    stepper.step(model.losses(1), RATE)
    shape = model.shared.shape
    kept = [
        value
        for one in stepper.optimizers
        for value in one.state[model.shared].values()
        if torch.is_tensor(value) and value.shape == shape
    ]
    assert len(kept) == OPTIMIZERS[optimizer].moments


def test_what_the_rest_of_training_asks_of_an_optimiser():
    several = {name for name in OPTIMIZERS if not one_backward(protocol(optimizer=name))}
    waiting = {
        name
        for name in OPTIMIZERS
        for one in make_stepper(TwoTasks().parameters(), protocol(optimizer=name)).optimizers
        if not takes_verdict(one)
    }
    assert (several, waiting) == ({"multi_adaptive"}, {"rmsprop"})
