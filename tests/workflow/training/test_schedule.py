"""The learning rate: values by hand, torch's own schedulers, and its shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.config import load_config
from workflow.training.schedule import learning_rate


@pytest.fixture(scope="module")
def paper(repo):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)
        return load_config(overrides={"preset": "paper"}).training


def rates(training, steps, **changes):
    changed = training.model_copy(update=changes)
    return [learning_rate(step, steps, changed) for step in range(steps)]


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


@pytest.mark.parametrize(
    ("schedule", "scheduler"),
    [
        (
            "polynomial",
            lambda optimizer: torch.optim.lr_scheduler.PolynomialLR(optimizer, 50, power=0.9),
        ),
        ("cosine", lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)),
    ],
)
def test_torch_agrees(paper, schedule, scheduler):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=paper.learning_rate)
    theirs, expected = scheduler(optimizer), []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(paper, 50, schedule=schedule) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.sampled_from(["polynomial", "cosine", "constant"]),
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
