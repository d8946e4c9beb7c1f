"""A training job: seeds that are done stay done when it is stopped, failed runs leave a record."""

import math
import signal

import pytest

from workflow.base.files import read_json, remove_tree, sha256
from workflow.config import paths
from workflow.training import loop, train
from workflow.training.state.interruption import TRY_AGAIN, Interruption

DATASET, METHOD = "isic2017", "efficientnet"


@pytest.fixture
def short(tiny_config):
    """Two seeds of two epochs; a state is saved only when the run is asked to stop."""
    training = tiny_config.training.model_copy(
        update={"epochs": 2, "max_steps": None, "batch_size": 6, "save_seconds": 1e6}
    )
    return tiny_config.model_copy(update={"training": training})


def outputs(config, *seeds):
    """Hashes of the weights, and histories without their seconds."""
    found = []
    for seed in seeds:
        folder = paths.run(config, DATASET, METHOD, seed)
        lines = (folder / "history.csv").read_text().splitlines()
        history = [line.rpartition(",")[0] for line in lines]
        found.append((sha256(folder / "weights.safetensors"), history))
    return found


def stop_after(monkeypatch, steps):
    """Ask every job to stop after so many steps in all; how many were done is in the list."""
    done, step = [], loop.Trainer.step
    interruptions = []

    class Listening(Interruption):
        def __init__(self):
            super().__init__()
            interruptions.append(self)

    def counted(self, *arguments):
        done.append(arguments[0])
        if len(done) == steps:
            interruptions[-1].asked = signal.SIGUSR1
        return step(self, *arguments)

    monkeypatch.setattr(train, "Interruption", Listening)
    monkeypatch.setattr(loop.Trainer, "step", counted)
    return done


def test_a_pack_that_is_stopped_goes_on_with_the_seed_it_was_at(short, monkeypatch, capfd) -> None:
    train.train_seeds(short, DATASET, METHOD, "0", "1")
    whole = outputs(short, "0", "1")
    for seed in ("0", "1"):
        remove_tree(paths.state(short, DATASET, METHOD, seed))
        for file in paths.run(short, DATASET, METHOD, seed).iterdir():
            file.unlink()

    done = stop_after(monkeypatch, 6)  # 4 steps a seed
    with pytest.raises(SystemExit) as ended:
        train.train_seeds(short, DATASET, METHOD, "0", "1")
    assert ended.value.code == TRY_AGAIN
    assert "seed 1: stopped by SIGUSR1" in capfd.readouterr().err
    # Nothing that Snakemake could delete is there yet.
    assert not any(paths.run(short, DATASET, METHOD, "0").iterdir())

    train.train_seeds(short, DATASET, METHOD, "0", "1")
    assert done == [0, 1, 2, 3, 0, 1, 2, 3]
    assert outputs(short, "0", "1") == whole
    first, second = (read_json(paths.run(short, DATASET, METHOD, s) / "run.json") for s in "01")
    assert first["resumed"] == []
    assert [(r["epoch"], r["step"]) for r in second["resumed"]] == [(1, 2)]
    assert second["wall_seconds"] > second["resumed"][0]["seconds"]
    assert second["started"] <= second["finished"]


def test_a_finished_job_that_is_started_again_trains_nothing_and_says_so(
    short, monkeypatch, capfd
) -> None:
    train.train_seeds(short, DATASET, METHOD, "0")
    assert "trained before" not in capfd.readouterr().err
    before = outputs(short, "0")
    for file in paths.run(short, DATASET, METHOD, "0").iterdir():
        file.unlink()  # as Snakemake does, if it was killed before it heard that the job had ended
    done = stop_after(monkeypatch, math.inf)
    train.train_seeds(short, DATASET, METHOD, "0")
    assert not done
    assert outputs(short, "0") == before
    assert "To train it once more, delete results/" in capfd.readouterr().err


@pytest.mark.parametrize("change", [{"learning_rate": 0.0001}, {"precision": "bf16"}])
def test_another_protocol_does_not_go_on_from_that_state(short, monkeypatch, change) -> None:
    stop_after(monkeypatch, 3)
    with pytest.raises(SystemExit):
        train.train_seeds(short, DATASET, METHOD, "0")
    other = short.model_copy(update={"training": short.training.model_copy(update=change)})
    done = stop_after(monkeypatch, math.inf)
    train.train_seeds(other, DATASET, METHOD, "0")
    assert done == [0, 1, 2, 3]
    assert len(list(paths.state(short, DATASET, METHOD, "0").iterdir())) == 1


def test_a_run_that_diverges_is_recorded_and_the_next_seed_trained(short, monkeypatch) -> None:
    step, seen = loop.combined_loss, []

    def broken(*arguments):
        loss = step(*arguments)
        seen.append(loss)
        return loss._replace(total=loss.total * math.nan) if len(seen) == 2 else loss

    monkeypatch.setattr(loop, "combined_loss", broken)
    train.train_seeds(short, DATASET, METHOD, "0", "1")
    first, second = (paths.run(short, DATASET, METHOD, seed) for seed in "01")
    failure = read_json(first / "run.json")["failure"]
    assert (failure["kind"], failure["epoch"], failure["step"]) == ("diverged", 1, 2)
    assert failure["loss"] is None
    assert failure["tensors"][0] == "loss"
    assert read_json(first / "run.json")["steps"] == 1
    assert (first / "history.csv").read_text().splitlines() == [
        (second / "history.csv").read_text().splitlines()[0]
    ]
    assert (first / "weights.safetensors").is_file()
    assert "failure" not in read_json(second / "run.json")
    assert read_json(second / "run.json")["steps"] == 4
