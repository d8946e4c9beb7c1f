"""The search: its objective as corrected, its bounds, and policies that get better."""

import statistics

import pytest

from tests.workflow.training.pretraining.small_network import silent
from workflow.training.pretraining.search import (
    Losses,
    PolicyTrial,
    best,
    objective,
    policy_of,
    search,
)

GRID = [20, 32, 50, 80, 128, 200, 320]
BASE = Losses(inpainting=4.0, proxy=2.0)


def bowl(policy):
    """Lowest at 80 superpixels, a quarter of them masked."""
    distance = abs(GRID.index(policy.superpixels) - 3) / 3
    off = abs(policy.masked / policy.superpixels - 0.25) * 4
    return Losses(inpainting=4.0, proxy=2.0 + distance + off)


def test_the_base_policy_counts_zero():
    assert objective(BASE, BASE) == 0


def test_hard_to_paint_and_easy_to_order_is_good():
    assert objective(Losses(8.0, 2.0), BASE) == pytest.approx(-1)
    assert objective(Losses(4.0, 1.0), BASE) == pytest.approx(-0.5)
    assert objective(Losses(4.0, 3.0), BASE) == pytest.approx(0.5)


def test_twice_the_loss_is_not_the_same():
    """What the official normalisation cannot tell apart: a loss and its double."""
    losses = Losses(6.0, 3.0)
    plain = objective(losses, BASE)
    assert objective(Losses(12.0, 3.0), BASE) == pytest.approx(plain - 1.5)
    assert objective(Losses(6.0, 6.0), BASE) == pytest.approx(plain + 1.5)


def test_units_of_either_loss_do_not_matter():
    scaled = objective(Losses(600.0, 0.3), Losses(400.0, 0.2))
    assert scaled == pytest.approx(objective(Losses(6.0, 3.0), BASE))


@pytest.mark.parametrize("superpixels", [2, 9, 21, 128])
def test_the_ratio_is_bounded(superpixels):
    assert policy_of(superpixels, 0.0).masked == 1
    assert policy_of(superpixels, 0.5).masked == superpixels // 2
    assert policy_of(128, 0.25).masked == 32


def run(seed=0, trials=40, grid=GRID, evaluate=bowl):
    return search(evaluate, BASE, grid, trials, seed, silent)


def test_policies_are_on_the_grid_and_mask_up_to_half():
    trials = run()
    assert len(trials) == 40
    assert {trial.policy.superpixels for trial in trials} <= set(GRID)
    ratios = [trial.policy.masked / trial.policy.superpixels for trial in trials]
    assert 0 < min(ratios) < 0.1
    assert 0.42 < max(ratios) <= 0.5
    assert len({trial.policy.superpixels for trial in trials}) > 3


def test_a_grid_may_be_given_in_any_order_and_have_one_entry():
    assert [t.policy for t in run(grid=GRID[::-1], trials=12)] == [t.policy for t in run(trials=12)]
    single = run(grid=[80], trials=5)
    assert {trial.policy.superpixels for trial in single} == {80}


def test_same_seed_same_trials():
    assert run(3) == run(3)
    assert run(3) != run(4)


def test_each_policy_is_evaluated_once_and_told_with_its_objective():
    asked = []

    def evaluate(policy):
        asked.append(policy)
        return bowl(policy)

    trials = run(trials=6, evaluate=evaluate)
    assert [trial.policy for trial in trials] == asked
    assert [trial.objective for trial in trials] == [objective(bowl(p), BASE) for p in asked]


def test_it_learns_from_what_it_tried():
    firsts, lasts = [], []
    for seed in range(5):
        values = [trial.objective for trial in run(seed)]
        firsts.append(statistics.mean(values[:10]))
        lasts.append(statistics.mean(values[-10:]))
    assert statistics.mean(lasts) < 0.6 * statistics.mean(firsts)


def test_the_best_trial_is_the_lowest_and_the_earliest_of_several():
    made = [
        PolicyTrial(policy_of(20, r), BASE, value) for r, value in ((0.1, 2), (0.2, -1), (0.3, -1))
    ]
    assert best(made) is made[1]
