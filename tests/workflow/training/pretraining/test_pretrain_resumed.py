"""A pretraining that is stopped goes on from there, and one that diverges fails its run alone."""

import math
import signal

import pytest
from safetensors.torch import load_file

from tests.workflow.training.pretraining.test_pretrain import RUN, pretrain, record_of
from workflow.base.files import read_json, sha256
from workflow.config import paths
from workflow.training.pretraining import fitting, stages
from workflow.training.pretraining import pretrain as pretraining
from workflow.training.state.interruption import TRY_AGAIN, Interruption
from workflow.training.train import train_seeds


def stop_at(monkeypatch, moment):
    """Ask jobs to stop after so many optimiser steps and evaluated policies; what was done."""
    done, listening = [], []

    class Listening(Interruption):
        def __init__(self):
            super().__init__()
            listening.append(self)

    def count(what):
        done.append(what)
        if len(done) == moment:
            listening[-1].asked = signal.SIGUSR1

    remembered = stages.Stages.remembered

    class Adam(fitting.torch.optim.Adam):
        def step(self, *arguments):
            count("step")
            return super().step(*arguments)

    def counted(self, evaluate):
        return remembered(self, lambda policy: (count("policy"), evaluate(policy))[1])

    monkeypatch.setattr(pretraining, "Interruption", Listening)
    monkeypatch.setattr(fitting.torch.optim, "Adam", Adam)
    monkeypatch.setattr(stages.Stages, "remembered", counted)
    return done


@pytest.mark.parametrize("moment", [1, 3, 7, 10, 14])
def test_it_goes_on_where_it_was_stopped(pretraining_config, monkeypatch, moment) -> None:
    (whole,) = pretrain(pretraining_config, "0")
    expected = sha256(whole / "weights.safetensors"), record_of(whole)
    for file in whole.iterdir():
        file.unlink()
    done = stop_at(monkeypatch, moment)
    with pytest.raises(SystemExit) as ended:
        pretrain(pretraining_config, "0")
    assert ended.value.code == TRY_AGAIN
    assert not any(whole.iterdir())
    stopped = list(done)
    pretrain(pretraining_config, "0", anew=False)
    assert (sha256(whole / "weights.safetensors"), record_of(whole)) == expected
    # Nothing was done twice: as many steps and policies as in one go.
    done_once = len(done)
    done.clear()
    monkeypatch.setattr(pretraining, "Interruption", Interruption)
    pretrain(pretraining_config, "0")
    assert done_once == len(done) > len(stopped)


def test_one_that_diverges_fails_its_run_and_no_other(pretraining_config, monkeypatch) -> None:
    fit = fitting.mean_loss

    def diverging(masking, loss, rows):
        return math.nan if masking.seed == 0 else fit(masking, loss, rows)

    monkeypatch.setattr("workflow.training.pretraining.inpainting.mean_loss", diverging)
    first, second = pretrain(pretraining_config, "0", "1")
    assert "diverged" in read_json(first / "policy.json")["failure"]["message"]
    assert load_file(first / "weights.safetensors") == {}
    assert "failure" not in read_json(second / "policy.json")
    train_seeds(pretraining_config, *RUN, "0", "1")
    failed, trained = (
        read_json(paths.run(pretraining_config, *RUN, seed) / "run.json") for seed in (0, 1)
    )
    assert failed["failure"]["kind"] == "diverged"
    assert "pretraining" in failed["failure"]["message"]
    assert failed["steps"] == 0
    assert "failure" not in trained
