"""Curves of runs that have ended and of those under way, as text and as files."""

import json

import pytest
import torch
from safetensors.torch import save_file

from workflow.__main__ import main
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.cells import Run
from workflow.status.curves import HEIGHT, RunCurves, as_chart, read_run_curves

RUN = Run("isic2017", "unetpp")
NAMES = ["epoch", "steps", "train_loss", "val_loss", "val_ji"]


def lines(count):
    return [[k + 1, 10, 1 / (k + 1), 1.5 / (k + 1), None] for k in range(count)]


def write_ended(config, seed, count):
    folder = paths.run(config, *RUN, seed)
    folder.mkdir(parents=True)
    text = [",".join(NAMES)]
    text += [",".join("" if v is None else str(v) for v in line) for line in lines(count)]
    (folder / "history.csv").write_text("\n".join(text) + "\n")


def write_state(config, seed, count, name="hash"):
    folder = paths.state(config, *RUN, seed) / name
    folder.mkdir(parents=True)
    history = [dict(zip(NAMES, line, strict=True)) for line in lines(count)]
    facts = {"history": history, "step": 10 * count, "spent": 1.0}
    file = folder / "state.safetensors"
    save_file({"a": torch.zeros(3)}, file, metadata={"facts": json.dumps(facts)})


def test_a_run_that_trains_is_read_from_its_state_and_one_that_ended_from_its_history(tiny_config):
    write_state(tiny_config, 0, 3)
    write_ended(tiny_config, 1, 5)
    training, ended = (read_run_curves(tiny_config, RUN, seed) for seed in (0, 1))
    assert (training.ended, ended.ended) == (False, True)
    assert training.history["train_loss"] == [1, 0.5, 1 / 3]
    assert len(ended.history["epoch"]) == 5
    assert read_run_curves(tiny_config, Run("isic2017", "efficientnet"), 0) is None
    (paths.state(tiny_config, *RUN, 0) / "hash" / "state.safetensors").write_bytes(b"half of it")
    assert read_run_curves(tiny_config, RUN, 0) is None


def test_a_chart_has_its_scale_and_every_epoch():
    history = {"epoch": [1.0, 2.0, 3.0], "train_loss": [4.0, 2.0, 1.0], "val_loss": [3.0] * 3}
    text = as_chart(RunCurves("a run", history, ended=False), ["train_loss", "val_loss"], 60)
    rows = text.splitlines()
    assert rows[0] == "a run: epoch 3, still training"
    drawn = rows[1 : HEIGHT + 1]
    assert drawn[0].lstrip().startswith("4 |o")
    assert drawn[-1].lstrip().startswith("1 |")
    assert drawn[-1].endswith("o")
    assert sum(row.count("o") for row in drawn) == 3
    assert sum(row.count("*") for row in drawn) == 3
    assert "o train_loss 1, * val_loss 3" in rows[-1]


@pytest.mark.parametrize("values", [[float("nan")], [2.0], [2.0, 2.0], [float("inf"), 1.0]])
def test_a_chart_of_little_is_drawn_too(values):
    history = {"epoch": [float(k + 1) for k in range(len(values))], "train_loss": values}
    text = as_chart(RunCurves("a run", history, ended=True), ["train_loss"], 20)
    assert text.startswith("a run: epoch")
    assert ("nothing finite" in text) == all(v != v for v in values)


def test_the_command_draws_in_the_terminal_and_into_files(tiny_config, tmp_path, capsys):
    write_json(tiny_config.results / "config.json", tiny_config.model_dump(mode="json"))
    words = ["curves", str(tiny_config.results / "config.json"), "--dataset", "isic2017"]
    assert main(words) == 1
    assert "has ended an epoch" in capsys.readouterr().err
    write_state(tiny_config, 0, 3)
    write_ended(tiny_config, 1, 5)
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "isic2017 unetpp seed 0: epoch 3, still training" in said
    assert "isic2017 unetpp seed 1: epoch 5\n" in said
    for suffix in ("png", "svg"):
        assert main([*words, "--seed", "1", "--out", str(tmp_path / f"curves.{suffix}")]) == 0
        assert (tmp_path / f"curves.{suffix}").stat().st_size > 1000
    assert main([*words, "--out", "curves.txt"]) == 2
    assert main([*words, "--method", "unet"]) == 2
