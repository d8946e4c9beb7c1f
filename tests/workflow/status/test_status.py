"""The overview of a reproduction: how runs stand, by the files they leave, and how it is shown."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.status.status_tree import (
    CHOSEN,
    CRASH,
    NOW,
    OLD,
    PAIR,
    STOPPED,
    line,
    make_tree,
)
from tests.workspace import ROOT
from workflow.__main__ import main
from workflow.base.files import write_json, write_text
from workflow.base.wording import two_units
from workflow.config import cells, paths
from workflow.config.load import load_raw
from workflow.status.estimate import estimate
from workflow.status.overview import overview
from workflow.status.runs import standings


@pytest.fixture
def tree(tmp_path, monkeypatch):
    return make_tree(tmp_path, monkeypatch)


def test_a_run_with_no_file_waits(tree):
    assert tree.stands() == "wwwww"
    assert tree.standing(pair=("isic2017", "control_oracle")).step == "control"
    assert tree.standing(pair=("isic2017", "autosmim")).step == "pretrain"


def test_a_run_that_trains_tells_epoch_and_time_left(tree):
    tree.log("train", line(3, left=700), at=NOW - 60)
    found = tree.standing()
    assert (found.stand, found.done, found.epochs, found.left) == ("running", 3, 100, 640.0)


def test_a_younger_state_knows_better_than_the_log(tree):
    tree.log("train", line(3), at=NOW - 200)
    tree.state(epochs=4, step=45, spent=450.0, at=NOW - 20)
    found = tree.standing()
    # 1000 steps in all at 10 s each; the state is 20 s old.
    assert (found.stand, found.done, found.left) == ("running", 4, 955 * 10 - 20)
    assert found.jaccard == 0.5


def test_a_younger_log_knows_better_than_the_state(tree):
    tree.state(epochs=2, step=29, at=NOW - 100)
    tree.log("train", line(3, left=500), at=NOW - 10)
    assert tree.standing().left == 490.0
    assert tree.standing().done == 3


def test_no_time_is_told_before_an_epoch_has_ended(tree):
    tree.log("train", "", at=NOW - 30)
    tree.state(epochs=0, step=7, at=NOW)
    found = tree.standing()
    assert (found.stand, found.done, found.left) == ("running", 0, None)


def test_max_steps_shortens_the_time_that_a_state_tells(tmp_path, monkeypatch):
    tree = make_tree(tmp_path, monkeypatch, training={"max_steps": 55})
    tree.state(epochs=3, step=35, spent=350.0)
    found = tree.standing()
    assert (found.epochs, found.left) == (6, 200.0)


@pytest.mark.parametrize("saved", [True, False])
def test_a_run_without_a_sign_of_life_has_stopped(tree, saved):
    tree.log("train", line(3) if saved else "", at=OLD)
    if saved:
        tree.state(at=OLD)
    found = tree.standing()
    assert (found.stand, found.saved, found.done) == ("stopped", saved, 3 if saved else 0)
    assert tree.standing(young=2 * 86400).stand == "running"
    assert tree.stands() == "swwww"


def test_a_run_that_a_signal_stopped_has_stopped_at_once(tree):
    tree.log("train", line(3) + STOPPED, at=NOW - 1)
    tree.state(at=NOW - 1)
    assert tree.standing().stand == "stopped"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (CRASH, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
        ("error: config: training.epochs: found 0\n", "config: training.epochs: found 0"),
        ("workflow.training.train: its warm process went away; start it again\n", "went away"),
    ],
)
def test_a_job_that_failed_says_why(tree, said, reason):
    tree.log("train", line(3) + said, at=NOW - 1)
    tree.state()
    found = tree.standing()
    assert found.stand == "failed"
    assert reason in found.reason
    assert found.log == "results/paper/logs/train/isic2017/unetpp/seed0.log"


def test_an_error_before_the_last_epoch_ended_nothing(tree):
    tree.log("train", CRASH + line(3))
    assert tree.standing().stand == "running"


def test_slurm_says_why_where_the_job_cannot(tree):
    why = "JOB 17 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO NODE FAILURE"
    tree.log("train", line(3), at=NOW - 50)
    tree.slurm(
        "train",
        f"slurmstepd: error: *** {why} ***\nsrun: error: n1: task 0: Killed\n",
        17,
        at=NOW - 1,
    )
    found = tree.standing()
    assert (found.stand, found.slurm_job) == ("failed", "17")
    assert found.reason == why
    # A job started since then writes its log anew.
    tree.log("train", "", at=NOW)
    assert tree.standing().slurm_job == "17"
    tree.log("train", "", at=NOW + 60)
    assert (tree.standing().stand, tree.standing().slurm_job) == ("running", None)


def test_a_job_of_several_seeds_works_on_one_at_a_time(tree):
    tree.log("train", "", seeds="0_1_2", at=NOW)
    assert tree.stands() == "rwwww"
    tree.record(folder=paths.state(tree.config, *PAIR, 0) / "abc")
    tree.log("train", line(100) + line(2, seed=1), seeds="0_1_2")
    assert tree.stands() == "trwww"
    assert tree.standing(seed=1).done == 2


def test_seeds_that_train_at_the_same_time_fail_apart(tree):
    crash = "".join(f"seed 1: {text}\n" for text in CRASH.splitlines())
    text = line(2) + line(2, seed=1) + crash + "seed 1: failed with exit code 1\n" + line(3)
    tree.log("train", text, seeds="0_1_2")
    assert tree.stands() == "rfwww"
    assert tree.standing(seed=1).reason == "failed with exit code 1"
    killed = (
        "seed 1: killed by SIGKILL, perhaps because memory ran out; its last saved state is kept"
    )
    tree.log("train", line(2) + line(2, seed=1) + killed + "\n" + line(3), seeds="0_1_2")
    assert "memory ran out" in tree.standing(seed=1).reason


def test_outputs_say_what_is_done(tree):
    tree.record()
    assert (tree.standing().stand, tree.standing().step) == ("trained", "evaluate")
    # What a run leaves among its states until it is evaluated says nothing of its evaluation.
    tree.state()
    tree.record(folder=paths.state(tree.config, *PAIR, 0) / "abc")
    assert (tree.standing().stand, tree.standing().step) == ("trained", "evaluate")
    tree.log("evaluate", "", at=NOW)
    assert tree.standing().stand == "running"
    tree.counts()
    assert tree.standing().stand == "done"
    tree.record(pair=("isic2017", "control_oracle"))
    tree.counts(pair=("isic2017", "control_oracle"))
    assert tree.stands(("isic2017", "control_oracle")) == "dwwww"


def test_a_run_that_diverged_has_failed_whatever_its_outputs(tree):
    failure = {"kind": "diverged", "message": "diverged at epoch 3, step 25", "epoch": 3}
    tree.done(failure=failure)
    found = tree.standing()
    assert (found.stand, found.step, found.done) == ("failed", "train", 2)
    assert found.reason == failure["message"]


def test_an_evaluation_without_results_has_failed(tree):
    tree.done()
    tree.log("evaluate", "isic2017 unetpp seed 0: no results, failed: not finite\n")
    assert (tree.standing().stand, tree.standing().reason) == ("failed", "not finite")


def test_the_log_of_an_evaluation_before_the_last_training_says_nothing(tree):
    tree.log("evaluate", CRASH, at=OLD)
    tree.record(at=NOW - 10)
    assert tree.standing().stand == "trained"
    tree.log("evaluate", CRASH, at=NOW)
    assert tree.standing().stand == "failed"


@pytest.mark.parametrize(
    "text", [b"", b"\x08", b"\xff" * 64, b'\x10\0\0\0\0\0\0\0{"__metadata__":1']
)
def test_a_state_that_cannot_be_read_is_as_none(tree, text):
    file = paths.state(tree.config, *PAIR, 0) / "abc" / "state.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    os.utime(file, (OLD, OLD))
    assert tree.standing().stand == "waiting"


def test_a_record_that_is_cut_short_is_as_none(tree):
    tree.file(paths.run(tree.config, *PAIR, 0) / "run.json", "{", NOW)
    assert tree.standing().stand == "waiting"


def test_time_left_counts_what_runs_beside_each_other(tree):
    for seed in (0, 1):
        tree.log("train", line(50, seed=seed, left=500), seeds=str(seed), at=NOW)
    found = [x for x in standings(tree.config, NOW) if x.method == "unetpp"]
    left = estimate(found)
    # Two run for 500 s; of the three that wait, 1000 s each, two take their places, then one.
    assert (left.work, left.clock, left.at_once) == (4000.0, 2500.0, 2)
    assert estimate([x for x in found if x.stand == "waiting"]).work is None


def test_time_left_is_taken_from_the_nearest_runs_there_are(tree):
    tree.done()
    left = estimate(standings(tree.config, NOW))
    # Four seeds of unetpp; five of autosmim, which no run tells of. Controls do not train.
    assert (left.work, left.known, left.left) == (9000.0, 1, 2)
    assert left.clock is None


def test_everything_is_shown(tree):
    tree.done(seed=0)
    tree.log("train", line(3, seed=1), seeds="1")
    tree.state(seed=2, at=OLD)
    tree.log("train", CRASH, seeds="3")
    text = overview(tree.config, NOW).as_text()
    rows = text.splitlines()
    assert "unetpp          #>=X." in rows
    assert "control_oracle  ....." in rows
    assert "15 runs: 11 waiting, 1 running, 1 stopped, 1 done, 1 failed" in rows
    assert "  isic2017 unetpp seed 1: epoch 4/100, 12 min left" in rows
    assert "  isic2017 unetpp seed 2: at epoch 4/100, its state is saved" in rows
    assert "  isic2017 unetpp seed 3: train failed" in rows
    assert "data: isic2017 waits for its step download" in rows
    assert "CUDA out of memory" in text
    assert max(map(len, rows)) <= 100


def test_data_that_failed_say_why(tree):
    log = tree.config.results / "logs" / "download" / "isic2017.log"
    tree.file(log, "error: no space left on the disk\nneeds 50 GB\n", NOW)
    rows = overview(tree.config, NOW).as_text().splitlines()
    assert "data: isic2017 waits for its step download, which failed" in rows
    assert "    no space left on the disk needs 50 GB" in rows


def test_durations_are_in_units_that_say_enough():
    said = [two_units(seconds, 60) for seconds in (12, 100, 3600, 5 * 3600 + 90 * 60, 100 * 3600)]
    assert said == ["12 s", "2 min", "1 h 0 min", "6 h 30 min", "4 d 4 h"]


def test_the_command_says_what_to_name_where_nothing_ran(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").symlink_to(ROOT / "config.yaml")
    command = [sys.executable, "-m", "workflow", "status"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "results/demo/config.json: no such file" in ran.stderr
    write_text(tmp_path / "results" / "paper" / "config.json", "{}")
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert "these have run: paper" in ran.stderr


def test_the_command_watches_until_all_is_done(tree, monkeypatch, capsys):
    Path("workflow").symlink_to(ROOT / "workflow")  # where the configuration's files are
    file = tree.config.results / "config.json"
    write_json(file, load_raw(ROOT / "config.yaml", {"preset": "paper", "select": CHOSEN}))
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        for run in cells.runs(tree.config):
            for seed in tree.config.seeds:
                tree.done(seed, run)

    monkeypatch.setattr(time, "sleep", sleep)
    assert main(["status", str(file), "--json", "--watch", "7"]) == 0
    before, after = map(json.loads, capsys.readouterr().out.splitlines())
    assert slept == [7.0]
    assert (before["counts"]["waiting"], after["counts"]["done"]) == (15, 15)
    assert after["runs"][0]["dataset"] == "isic2017"


def test_the_command_starts_without_anything_heavy():
    code = (
        "import sys, workflow.status.overview, workflow.commands.status; "
        "sys.stderr.write(' '.join({'torch', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert not ran.stderr
