"""How far a run of Snakemake is: shares and times from jobs that begin and end."""

import pytest

from workflow.config.load import load_config
from workflow.status.progress import SMALL_JOB, SnakemakeProgress, Task, task_of

TRAIN = {n: Task("train_seed0", ("isic2017", f"m{n}"), 100.0, learns=True) for n in range(4)}
EVALUATE = {10 + n: Task("evaluate_seed0", ("isic2017", f"m{n}")) for n in range(4)}


def test_runs_are_done_with_their_last_job():
    progress = SnakemakeProgress(TRAIN | EVALUATE, began=0.0)
    assert (progress.runs, progress.runs_done) == (4, 0)
    progress.start([0], 0.0)
    progress.finish(0, 50.0)
    assert progress.runs_done == 0
    progress.start([10], 50.0)
    progress.finish(10, 52.0)
    assert progress.runs_done == 1


def test_a_pack_of_seeds_ends_as_many_runs():
    progress = SnakemakeProgress({1: Task("evaluate_seed0_1_2", ("isic2017", "unetpp"))}, began=0.0)
    progress.start([1], 0.0)
    progress.finish(1, 1.0)
    assert progress.runs_done == progress.runs == 3


def test_the_time_left_follows_the_machine_and_not_the_plan():
    progress = SnakemakeProgress(TRAIN, began=0.0)
    assert progress.seconds_left(0.0) is None
    progress.start([0, 1], 0.0)
    assert progress.seconds_left(0.0) == pytest.approx(200.0)  # as planned, two at a time
    progress.finish(0, 300.0)  # three times as slow
    progress.finish(1, 300.0)
    progress.start([2, 3], 300.0)
    assert progress.share(300.0) == pytest.approx(0.5)
    assert progress.seconds_left(300.0) == pytest.approx(300.0)
    assert progress.seconds_left(450.0) == pytest.approx(150.0)


def test_a_job_that_takes_longer_than_expected_is_never_done_before_it_ends():
    progress = SnakemakeProgress(TRAIN, began=0.0)
    progress.start([0], 0.0)
    progress.finish(0, 100.0)
    progress.start([1], 100.0)
    assert progress.share(100_000.0) < 0.5
    progress.finish(1, 200.0)
    assert progress.share(200.0) == pytest.approx(0.5)


def test_all_done_leaves_nothing():
    progress = SnakemakeProgress(TRAIN, began=0.0)
    for number, job in enumerate(TRAIN):
        progress.start([job], 10.0 * number)
        progress.finish(job, 10.0 * number + 10)
    assert progress.share(40.0) == 1.0
    assert progress.seconds_left(40.0) == 0.0


def test_training_weighs_by_its_network_and_steps(repo):
    config = load_config(repo / "config.yaml", {"preset": "smoke", "data": {"store": "results/x"}})
    large = task_of(config, "train_seed0", ("isic2017", "resformer_par"))
    small = task_of(config, "train_seed0", ("isic2017", "efficientnet"))
    assert large.learns
    assert large.weight > small.weight >= SMALL_JOB
    assert task_of(config, "table_IV", ()) == Task("table_IV", (), SMALL_JOB)
    assert not task_of(config, "evaluate_seed0", ("isic2017", "unetpp")).learns
