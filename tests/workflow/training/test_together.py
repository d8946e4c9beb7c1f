"""Seeds in processes of their own: codes, signals, order, lines, and the bits of a seed alone."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from workflow.base.errors import DataError
from workflow.base.files import read_json, remove_tree
from workflow.config import paths
from workflow.training import together, train
from workflow.training.state.interruption import TRY_AGAIN, Interruption
from workflow.training.together import train_together


def trained(folder: Path, how: Mapping[str, str | int], seed: str) -> None:
    """Note the start and the end of a seed, and end it as `how` says."""
    note(folder, f"+{seed}")
    match how.get(seed, 0):
        case int(code) if code < 0:
            os.kill(os.getpid(), -code)
        case "data":
            raise DataError("x.npy: found nothing")
        case "error":
            raise ValueError("two\nlines")
        case "saves":
            with Interruption() as interruption:
                note(folder, f"ready {seed}")
                while not interruption.asked:
                    time.sleep(0.01)
            note(folder, interruption.asked.name)
            sys.exit(TRY_AGAIN)
        case int(code):
            time.sleep(0.05)
            note(folder, f"-{seed}")
            sys.exit(code)


def note(folder: Path, text: str) -> None:
    with (folder / "notes").open("a") as stream:
        stream.write(f"{text}\n")


def notes(folder: Path) -> list[str]:
    file = folder / "notes"
    return file.read_text().splitlines() if file.is_file() else []


def when_noted(folder: Path, lines: list[str], do) -> None:
    """Do something in a thread once all lines are noted."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not set(lines) <= set(notes(folder)) and time.monotonic() < deadline:
            time.sleep(0.01)
        do()

    threading.Thread(target=wait).start()


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({}, 0),
        ({"1": 3}, 3),
        ({"0": TRY_AGAIN}, TRY_AGAIN),
        ({"0": TRY_AGAIN, "2": 5}, 5),
        ({"1": 4, "2": 3}, 4),
        ({"1": -signal.SIGKILL}, 128 + signal.SIGKILL),
        # Nobody asked the job to stop, so this seed was not interrupted, but killed.
        ({"1": -signal.SIGTERM}, 128 + signal.SIGTERM),
        ({"1": "data"}, 1),
        ({"1": "error"}, 1),
    ],
)
def test_the_job_ends_as_its_seeds_do(tmp_path, how, code) -> None:
    assert train_together(partial(trained, tmp_path, how), ["0", "1", "2"], 2) == code
    # Whatever became of one, the others were trained to their end.
    for seed in {"0", "1", "2"} - set(how):
        assert f"-{seed}" in notes(tmp_path)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_seeds_start_in_their_order_and_no_more_than_asked_for_run(tmp_path, at_once) -> None:
    seeds = ["3", "0", "2", "1"]
    assert train_together(partial(trained, tmp_path, {}), seeds, at_once) == 0
    said, running = notes(tmp_path), 0
    for line in said:
        running += 1 if line[0] == "+" else -1
        assert 0 <= running <= at_once
    if at_once == 1:
        assert said == [f"{sign}{seed}" for seed in seeds for sign in "+-"]
    assert sorted(said) == sorted(f"{sign}{seed}" for seed in seeds for sign in "+-")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_passed_on_and_the_rest_not_started(tmp_path, number) -> None:
    before = signal.getsignal(number)
    when_noted(tmp_path, ["ready 0", "ready 1"], lambda: os.kill(os.getpid(), number))
    how = dict.fromkeys("012", "saves")
    assert train_together(partial(trained, tmp_path, how), ["0", "1", "2"], 2) == TRY_AGAIN
    assert notes(tmp_path).count(signal.Signals(number).name) == 2
    assert "+2" not in notes(tmp_path)
    assert signal.getsignal(number) is before


def test_a_signal_before_training_can_take_it_is_an_interruption(tmp_path) -> None:
    def slow(seed: str) -> None:
        note(tmp_path, seed)
        time.sleep(60)

    when_noted(tmp_path, ["0"], lambda: os.kill(os.getpid(), signal.SIGTERM))
    start = time.monotonic()
    assert train_together(slow, ["0"], 2) == TRY_AGAIN
    assert time.monotonic() - start < 30


def test_what_went_wrong_is_said_with_the_seed(tmp_path, capfd) -> None:
    how = {"0": "data", "1": "error", "2": -signal.SIGKILL, "3": 7}
    train_together(partial(trained, tmp_path, how), list("01234"), 5)
    said = capfd.readouterr().err.splitlines()
    for line in (
        "seed 0: error: x.npy: found nothing",
        "seed 1: Traceback (most recent call last):",
        "seed 1: ValueError: two",
        "seed 1: lines",
        "seed 2: killed by SIGKILL, perhaps because memory ran out; its last saved state is kept",
        "seed 3: failed with exit code 7",
    ):
        assert line in said
    assert not [line for line in said if line.startswith("seed 4")]
    place = said.index("seed 1: Traceback (most recent call last):")
    traceback = said[place : said.index("seed 1: lines")]
    assert all(line.startswith("seed 1: ") for line in traceback)


def test_seeds_end_when_their_job_is_killed(tmp_path) -> None:
    how = dict.fromkeys("01", "saves")
    job = multiprocessing.get_context("fork").Process(
        target=train_together, args=(partial(trained, tmp_path, how), ["0", "1"], 2)
    )
    when_noted(tmp_path, ["ready 0", "ready 1"], job.kill)
    job.start()
    job.join()
    deadline = time.monotonic() + 30
    while notes(tmp_path).count("SIGTERM") < 2:
        assert time.monotonic() < deadline, notes(tmp_path)
        time.sleep(0.05)


def test_beside_a_gpu_processes_are_started_afresh(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(together.torch.cuda, "is_available", lambda: True)
    done = train_together(partial(trained, tmp_path, {"1": 3}), ["0", "1"], 2)
    assert (done, sorted(notes(tmp_path))) == (3, ["+0", "+1", "-0", "-1"])


# ---- real runs

DATASET, METHOD, SEEDS = "isic2017", "efficientnet", ("0", "1", "2")


def outputs(config) -> dict[str, tuple[str, list[str]]]:
    """Seed -> hash of its weights, and its history without its seconds; all is removed then."""
    found = {}
    for seed in SEEDS:
        folder = paths.run(config, DATASET, METHOD, seed)
        lines = (folder / "history.csv").read_text().splitlines()
        history = [line.rpartition(",")[0] for line in lines]
        found[seed] = (read_json(folder / "run.json")["weights_sha256"], history)
        remove_tree(folder)
        remove_tree(paths.state(config, DATASET, METHOD, seed))
    return found


def in_a_fresh_process(*arguments) -> None:
    """Train as a job does: autograd cannot be forked from a process that has used it otherwise."""
    job = multiprocessing.get_context("spawn").Process(target=train.train_seeds, args=arguments)
    job.start()
    job.join()
    assert job.exitcode == 0


def test_a_seed_gives_the_same_bits_alone_in_a_row_and_beside_others(tiny_config) -> None:
    def config(at_once: int):
        changes = {"epochs": 1, "max_steps": 2, "seeds_at_once": at_once}
        training = tiny_config.training.model_copy(update=changes)
        return tiny_config.model_copy(update={"training": training})

    found = []
    for seed in SEEDS:
        train.train_seeds(config(2), DATASET, METHOD, seed)
    found.append(outputs(config(1)))
    for at_once in (1, 2):
        in_a_fresh_process(config(at_once), DATASET, METHOD, *SEEDS)
        found.append(outputs(config(1)))
    assert found[0] == found[1] == found[2]
    assert len({weights for weights, _ in found[0].values()}) == 3
    assert all(len(history) == 2 for _, history in found[0].values())
