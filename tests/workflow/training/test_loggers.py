"""Each epoch's numbers reach the loggers of `training.log`, and no logger can end a run."""

import importlib.util
import json
import os
import sys
import types

import pytest

from workflow.base.errors import ConfigError
from workflow.config.errors import describe
from workflow.config.training import Training
from workflow.training.loggers.epochs import EpochLoggers
from workflow.training.progress import Epoch


def epoch(number, loss=0.5):
    return Epoch(number, 10, 0.001, loss, 0.3, 0.2, 0.6, float("nan"), 0.7, 2.0)


@pytest.fixture
def own(monkeypatch):
    """A module of the user's own; what its logger is given."""
    given = types.SimpleNamespace(made=[], logged=[], closed=0)

    class Mine:
        def log(self, number, values):
            if number == 3:
                raise OSError("the server is away")
            given.logged.append((number, dict(values)))

        def close(self):
            given.closed += 1

    def make(folder, run):
        given.made.append((folder, run))
        return Mine()

    module = types.ModuleType("my_logger")
    module.make, module.wrong, module.given = make, lambda folder, run: object(), given
    monkeypatch.setitem(sys.modules, "my_logger", module)
    return given


def loggers(names, folder, reported, said):
    report = lambda line, epochs: reported.append((line.epoch, epochs))  # noqa: E731
    return EpochLoggers(names, folder, {"seed": 4}, report, said.append)


def test_a_logger_of_ones_own_is_given_each_epoch(own, tmp_path):
    reported, said = [], []
    told = loggers(["csv", "my_logger:make"], tmp_path, reported, said)
    for number in (1, 2):
        told(epoch(number), 5)
    told.close()
    assert own.made == [(tmp_path, {"seed": 4})]
    assert [number for number, _ in own.logged] == [1, 2]
    values = own.logged[0][1]
    assert values["train_loss"] == 0.5
    assert "val_ji" not in values, "nothing that is not finite"
    assert "epoch" not in values
    assert (reported, said, own.closed) == ([(1, 5), (2, 5)], [], 1)


def test_a_logger_that_fails_is_left_out_and_the_run_goes_on(own, tmp_path):
    reported, said = [], []
    told = loggers(["my_logger:make"], tmp_path, reported, said)
    for number in (1, 2, 3, 4):
        told(epoch(number), 4)
    told.close()
    assert [number for number, _ in own.logged] == [1, 2]
    assert [number for number, _ in reported] == [1, 2, 3, 4]
    assert len(said) == 1
    assert "the server is away" in said[0]
    assert own.closed == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:make", "No module named 'no_such_module'"),
        ("my_logger:nothing", "no attribute 'nothing'"),
        ("my_logger:wrong", r"has no log\(\)"),
    ],
)
def test_a_logger_that_cannot_be_made_ends_the_job_before_it_trains(own, tmp_path, name, said):
    with pytest.raises(ConfigError, match=said):
        loggers([name], tmp_path, [], [])


@pytest.mark.parametrize("names", [["wandb"], ["csv", "csv"], ["a.b:c.d"]])
def test_other_names_are_refused_with_the_key(names):
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as found:
        Training.model_validate({"log": names})
    assert "log" in describe(found.value, Training, "config.yaml")


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"resformer-reproduction\[tensorboard\]"):
        loggers(["tensorboard"], tmp_path, [], [])


@pytest.mark.skipif(
    not (importlib.util.find_spec("tensorboard") or os.environ.get("RESFORMER_TEST_EVERYTHING")),
    reason="the extra `tensorboard` is not installed",
)
def test_tensorboard_reads_back_what_was_logged_also_after_an_interruption(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for numbers, loss in (((1, 2, 3), 0.5), ((3, 4), 0.4)):
        told = loggers(["tensorboard"], tmp_path / "run", [], [])
        for number in numbers:
            told(epoch(number, loss), 4)
        told.close()
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    found = [(one.step, round(one.value, 3)) for one in events.Scalars("train/loss")]
    assert found == [(1, 0.5), (2, 0.5), (3, 0.4), (4, 0.4)]
    assert json.dumps(sorted(events.Tags()["scalars"]))
