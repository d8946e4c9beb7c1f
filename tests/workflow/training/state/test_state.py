"""States of a run: whole or not there, the same bits back, gone when they are not needed."""

import math
import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.workflow.training.test_loop import facts, trainer
from workflow.base.files import remove_tree
from workflow.networks import tensors
from workflow.networks.device import computing
from workflow.training.state import saved as state
from workflow.training.state.interruption import Interrupted, Interruption
from workflow.training.state.record import weights_hash
from workflow.training.state.saved import Keeper, Snapshot


def finish(made, keeper):
    with computing(made.training):
        return made.run(lambda *_: None, keeper)


class StopAt(Keeper):
    """Is asked to stop when it has been asked how it is `step` times."""

    def __init__(self, folder, step):
        super().__init__(folder / state.NAME, math.inf, self.stop)
        self.left = step

    def stop(self):
        self.left -= 1
        return signal.SIGTERM if self.left < 0 else None


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop", "multi_adaptive"])
@pytest.mark.parametrize("stop", [0, 1, 4, 7, 11])
def test_a_run_taken_up_again_gives_the_same_bits(tmp_path, optimizer, stop) -> None:
    # Each epoch asks five times: after its three steps, and before two batches of validation.
    whole = finish(trainer(4, optimizer=optimizer), None)
    with pytest.raises(Interrupted, match="SIGTERM"):
        finish(trainer(4, optimizer=optimizer), StopAt(tmp_path, stop))
    made = trainer(4, optimizer=optimizer)
    torch.rand(9)  # what other runs drew in between
    again = finish(made, Keeper(tmp_path / state.NAME, math.inf))
    assert weights_hash(again.weights) == weights_hash(whole.weights)
    assert facts(again.history) == facts(whole.history)
    assert again.best.epoch == whole.best.epoch
    (resumed,) = made.progress.resumed
    assert resumed.epoch == stop // 5 + 1
    assert resumed.step == 3 * (stop // 5) + min(stop % 5 + 1, 3)


def test_saving_changes_no_bit(tmp_path) -> None:
    plain = finish(trainer(2), None)
    keeper = Keeper(tmp_path / state.NAME, 0)
    saved = finish(trainer(2), keeper)
    assert weights_hash(plain.weights) == weights_hash(saved.weights)
    assert facts(plain.history) == facts(saved.history)
    assert keeper.file.is_file()
    assert keeper.spent > 0


def test_the_time_of_interrupted_processes_counts(tmp_path) -> None:
    with pytest.raises(Interrupted):
        finish(trainer(1), StopAt(tmp_path, 7))
    kept = state.read(tmp_path / state.NAME).facts
    made = trainer(1)
    finish(made, Keeper(tmp_path / state.NAME, math.inf))
    assert made.seconds > kept["spent"] > 0
    assert made.progress.resumed[0].seconds == kept["spent"]


class TestFiles:
    @given(
        shape=st.lists(st.integers(0, 4), min_size=0, max_size=5),
        last=st.booleans(),
        kind=st.sampled_from([torch.float32, torch.bfloat16, torch.uint8, torch.int64]),
        facts=st.dictionaries(st.text(), st.floats() | st.text() | st.none(), max_size=3),
    )
    def test_what_is_read_is_what_was_written(self, tmp_path_factory, shape, last, kind, facts):
        tensor = (torch.rand(shape) * 200).to(kind)
        if last and len(shape) == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        path = tmp_path_factory.mktemp("state") / "s.safetensors"
        state.write(path, Snapshot({"a.b": tensor}, facts))
        found, read_facts = state.read(path)
        assert torch.equal(found["a.b"], tensor)
        assert found["a.b"].dtype == kind
        if tensor.numel():
            assert found["a.b"].stride() == tensor.stride()
        assert repr(read_facts) == repr(facts)  # NaN is not equal to itself

    def test_a_copy_is_taken_before_the_run_goes_on(self, tmp_path, monkeypatch):
        gate, value = threading.Event(), torch.zeros(3)
        write = state.write
        monkeypatch.setattr(state, "write", lambda *a: (gate.wait(5), write(*a)))
        keeper = Keeper(tmp_path / state.NAME, 0)
        keeper.save(Snapshot({"x": value}, {}))
        value += 1
        gate.set()
        keeper.wait()
        assert keeper.load().tensors["x"].tolist() == [0, 0, 0]

    def test_a_disk_that_is_full_ends_nothing_and_the_last_state_stays(
        self, tmp_path, monkeypatch, capfd
    ):
        keeper = Keeper(tmp_path / state.NAME, 0)
        keeper.save(Snapshot({"x": torch.zeros(1)}, {}))
        keeper.wait()

        def full(tensors, path, metadata):
            Path(path).write_bytes(b"begun")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(tensors, "save_file", full)
        keeper.save(Snapshot({"x": torch.ones(1)}, {}))
        keeper.wait()
        assert "No space left" in capfd.readouterr().err
        assert keeper.load().tensors["x"].item() == 0
        assert {file.name for file in tmp_path.iterdir()} == {state.NAME, f".{state.NAME}.sha256"}

    @pytest.mark.parametrize("damage", [b"", b"garbage", None])
    def test_a_state_that_cannot_be_read_is_said_and_the_run_starts_anew(
        self, tmp_path, damage, capfd
    ):
        path = tmp_path / state.NAME
        if damage is None:
            save_file({"x": torch.zeros(2)}, path)  # no facts
        else:
            path.write_bytes(damage)
        assert Keeper(tmp_path / state.NAME, 1).load() is None
        assert "starts anew" in capfd.readouterr().err


class TestOutputs:
    def make(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name in ("weights.safetensors", "history.csv", "run.json", ".begun.csv", state.NAME):
            (folder / name).write_text(name)

    def test_outputs_are_put_in_place_and_stay(self, tmp_path):
        self.make(tmp_path / "state" / "key")
        state.publish(tmp_path / "state" / "key", tmp_path / "run")
        expected = {"weights.safetensors", "history.csv", "run.json"}
        found = {file.name for file in (tmp_path / "run").iterdir()}
        assert found == expected | {f".{name}.sha256" for name in expected}
        assert (tmp_path / "state" / "key" / "run.json").is_file()

    def test_without_links_they_are_copied(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)
        self.make(tmp_path / "state" / "key")
        state.publish(tmp_path / "state" / "key", tmp_path / "run")
        assert (tmp_path / "run" / "run.json").read_text() == "run.json"

    def test_states_of_another_protocol_go(self, tmp_path):
        for key in ("old", "new"):
            self.make(tmp_path / key)
        state.keep_only(tmp_path / "new")
        assert [folder.name for folder in tmp_path.iterdir()] == ["new"]

    def test_after_evaluation_nothing_is_left(self, tmp_path):
        root = tmp_path / "state"
        for seed in ("seed0", "seed1"):
            self.make(root / "data" / "method" / seed / "key")
        remove_tree(root / "data" / "method" / "seed0", levels=3)
        assert (root / "data" / "method" / "seed1").is_dir()
        remove_tree(root / "data" / "method" / "seed1", levels=3)
        assert not root.exists()
        remove_tree(root / "data" / "method" / "seed1", levels=3)  # nothing to do


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_remembered_and_its_handler_put_back(number) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.asked is None
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked == number
    assert signal.getsignal(number) == before
