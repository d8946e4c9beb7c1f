"""The learning rate: values by hand, torch's own schedulers, and its shape."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as schedulers

from workflow.config.load import load_config
from workflow.training.schedule import learning_rate


@pytest.fixture(scope="module")
def paper(repo):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)
        return load_config(overrides={"preset": "paper"}).training


def rates(training, steps, batches=10, **changes):
    changed = training.model_copy(update=changes)
    return [learning_rate(step, steps, batches, changed) for step in range(steps)]


def test_the_papers_protocol_by_hand(paper):
    # 0.003 (1 - t)^0.9 at t = 0, 1/4, 1/2 and 3/4
    found = rates(paper, 4)
    assert found == pytest.approx([0.003, 0.0023157, 0.0016077, 0.00086153], rel=1e-4)


def test_warm_up_by_hand(paper):
    found = rates(paper, 10, warmup=0.4, learning_rate=1.0, power=1.0)
    rising, falling = [0.25, 0.5, 0.75, 1.0], [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert found == pytest.approx(rising + falling)


def test_cosine_by_hand(paper):
    found = rates(paper, 4, schedule="cosine", learning_rate=2.0)
    half = 2**0.5 / 2
    assert found == pytest.approx([2, 1 + half, 1, 1 - half])


def test_constant_stays(paper):
    assert set(rates(paper, 7, schedule="constant", learning_rate=0.1)) == {0.1}
    warm = rates(paper, 10, schedule="constant", learning_rate=0.1, warmup=0.2)
    assert warm == pytest.approx([0.05] + [0.1] * 9)


def test_exponential_by_hand(paper):
    # Three epochs of two batches each, halved after every epoch, then after every second one.
    falling = {"schedule": "exponential", "learning_rate": 8.0, "decay": 0.5}
    assert rates(paper, 6, 2, **falling, decay_epochs=1) == [8, 8, 4, 4, 2, 2]
    assert rates(paper, 6, 2, **falling, decay_epochs=2) == [8, 8, 8, 8, 4, 4]
    assert rates(paper, 6, 2, **falling, decay_epochs=1, minimum_rate=3.0) == [8, 8, 4, 4, 3, 3]


def test_restarts_by_hand(paper):
    # Cycles of one and of two epochs with two batches, from 3 down towards 1.
    found = rates(
        paper,
        8,
        2,
        schedule="restarts",
        restart_epochs=1,
        restart_factor=2,
        learning_rate=3.0,
        minimum_rate=1.0,
    )
    half = 2**0.5 / 2
    assert found == pytest.approx([3, 2, 3, 2 + half, 2, 2 - half, 3, 2 + math.cos(math.pi / 8)])


@pytest.mark.parametrize("schedule", ["polynomial", "cosine"])
def test_the_least_rate_is_where_a_schedule_ends(paper, schedule):
    found = rates(paper, 10_000, schedule=schedule, learning_rate=2.0, minimum_rate=1.0)
    zero = rates(paper, 10_000, schedule=schedule, learning_rate=1.0)
    assert found == pytest.approx([1 + rate for rate in zero])


@pytest.mark.parametrize("schedule", ["exponential", "restarts"])
def test_epochs_are_counted_from_the_end_of_the_warm_up(paper, schedule):
    changes = {"schedule": schedule, "decay_epochs": 1, "restart_epochs": 2}
    warm = rates(paper, 100, 10, warmup=0.2, **changes)
    assert warm[20:] == rates(paper, 100, 10, **changes)[:80]


@pytest.mark.parametrize(
    ("changes", "scheduler"),
    [
        ({"schedule": "polynomial"}, lambda o: schedulers.PolynomialLR(o, 50, power=0.9)),
        ({"schedule": "cosine"}, lambda o: schedulers.CosineAnnealingLR(o, 50)),
        (
            {"schedule": "cosine", "minimum_rate": 1e-4},
            lambda o: schedulers.CosineAnnealingLR(o, 50, eta_min=1e-4),
        ),
        (
            {"schedule": "exponential", "decay": 0.9, "decay_epochs": 1},
            lambda o: schedulers.StepLR(o, step_size=7, gamma=0.9),
        ),
        (
            {"schedule": "exponential", "decay": 0.8, "decay_epochs": 3},
            lambda o: schedulers.StepLR(o, step_size=21, gamma=0.8),
        ),
        (
            {"schedule": "restarts", "restart_epochs": 1, "restart_factor": 2},
            lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=7, T_mult=2),
        ),
        (
            {
                "schedule": "restarts",
                "restart_epochs": 2,
                "restart_factor": 1,
                "minimum_rate": 1e-5,
            },
            lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=14, eta_min=1e-5),
        ),
    ],
)
def test_torch_agrees(paper, changes, scheduler):
    """An epoch has 7 batches here; torch's schedulers are asked after every batch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=paper.learning_rate)
    theirs, expected = scheduler(optimizer), []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(paper, 50, 7, **changes) == pytest.approx(expected, rel=1e-6)


def test_the_length_of_a_run_moves_no_restart(paper):
    changes = {"schedule": "restarts", "restart_epochs": 3}
    assert rates(paper, 20, 5, **changes) == rates(paper, 90, 5, **changes)[:20]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.sampled_from(["polynomial", "cosine", "constant", "exponential"]),
    st.floats(0, 1),
    st.floats(0.1, 5),
)
def test_it_rises_then_falls_and_stays_between_zero_and_the_rate(
    paper, steps, schedule, warmup, power
):
    found = rates(paper, steps, schedule=schedule, warmup=warmup, power=power)
    rising = round(warmup * steps)
    assert len(found) == steps
    assert all(0 < rate <= paper.learning_rate * (1 + 1e-12) for rate in found)
    up, down = found[:rising], found[rising:]
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert (up or down)[-1 if up else 0] == pytest.approx(paper.learning_rate)


@pytest.mark.parametrize("schedule", ["polynomial", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.05])
def test_it_ends_near_zero(paper, schedule, warmup):
    assert rates(paper, 32_000, schedule=schedule, warmup=warmup)[-1] < 1e-3 * paper.learning_rate
