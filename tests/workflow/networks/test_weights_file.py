"""Files of weights: found in every wrapping, and refused with what is there instead."""

import argparse
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from workflow.base.errors import DataError
from workflow.networks.pretrained import start_from
from workflow.networks.weights_file import read_weights


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1))


def weights():
    return {name: value + 1.5 for name, value in network().state_dict().items()}


def saved(folder, content, name="given.pth", **options):
    file = folder / name
    torch.save(content, file, **options)
    return file


def message_of(file):
    with pytest.raises(DataError) as caught:
        read_weights(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    assert text.isprintable()
    assert "weights_only" not in text
    assert len(text) < 900
    return text.removeprefix(f"{file}: ")


WRAPPINGS = ("state_dict", "model", "net", "network", "teacher", "student", "model_state_dict",
             "encoder", "params", "ema", "module", "backbone")  # fmt: skip


@pytest.mark.parametrize("key", WRAPPINGS)
def test_the_one_state_dictionary_is_found_under_any_key(tmp_path, key):
    beside = {
        "epoch": 3,
        "best": torch.tensor(0.9),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(4, 3, 3, 3)}}, "param_groups": [{}]},
        "lr_scheduler": {"last_lr": torch.zeros(2)},
    }
    for content in (beside | {key: weights()}, {"outer": {key: weights()}} | beside):
        found = read_weights(saved(tmp_path, content))
        assert list(found) == list(weights())
        assert all(torch.equal(found[name], value) for name, value in weights().items())


def test_the_usual_one_of_several_is_taken(tmp_path):
    averaged = {name: value * 0 for name, value in weights().items()}
    for usual in ("model", "state_dict"):
        found = read_weights(saved(tmp_path, {"ema": averaged, usual: weights()}))
        assert torch.equal(found["0.weight"], weights()["0.weight"])


def test_of_several_sets_none_is_guessed(tmp_path):
    said = message_of(saved(tmp_path, {"teacher": weights(), "student": weights(), "epoch": 2}))
    assert "holds several sets of named tensors: teacher (9 tensors), student (9 tensors)" in said
    assert "torch.save(torch.load(FILE)[KEY], NEW)" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            {"epoch": 3, "args": {"lr": 1}},
            "but the keys epoch (int), args (dict); expected",
        ),
        ({"optimizer": {"m": torch.zeros(3)}}, "but the keys optimizer (dict); expected"),
        ({"net": {"layers": [torch.zeros(3)]}}, "but the keys net (dict)"),
        ({f"k{n}": n for n in range(40)}, "k11 (int) and 28 more"),
        ({}, "it is empty"),
        ([torch.zeros(3)], "holds no named tensors, but a list"),
        (torch.zeros(3), "holds no named tensors, but a Tensor"),
        (7, "holds no named tensors, but a int"),
        ({0: torch.zeros(3), 1: torch.zeros(3)}, "found a tensor under 0, a int (2 such tensors)"),
        ({"net": {("a", 1): torch.zeros(3)}}, "found a tensor under ('a', 1) in net, a tuple"),
        ({"a": torch.zeros(3), 5: torch.zeros(3)}, "found a tensor under 5, a int (1 such"),
    ],
)
def test_what_is_there_instead_is_said(tmp_path, content, says):
    assert says in message_of(saved(tmp_path, content))


def test_tensors_that_cannot_be_copied_are_named(tmp_path):
    dense = torch.eye(3)
    odd = {
        "sparse (sparse_coo)": dense.to_sparse(),
        "sparse (sparse_csr)": dense.to_sparse_csr(),
        "quantised (qint8)": torch.quantize_per_tensor(dense, 0.1, 0, torch.qint8),
        "complex (complex64)": dense.to(torch.complex64),
        "nested": torch.nested.nested_tensor([dense, dense[:2]]),
    }
    for kind, value in odd.items():
        said = message_of(saved(tmp_path, {"a.weight": dense, "b.weight": value}))
        if "cannot be read" not in said:  # which PyTorch itself decides, by its version
            assert f"tensor 'b.weight' is {kind}, which cannot be copied" in said


def test_an_empty_safetensors_is_refused(tmp_path):
    save_file({}, tmp_path / "none.safetensors")
    assert "holds no named tensors: it is empty" in message_of(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x10\0\0\0\0\0\0\0{", b"\xff" * 200])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".SAFETENSORS"])
def test_files_that_are_none_are_refused_in_plain_words(tmp_path, content, suffix):
    file = tmp_path / f"w{suffix}"
    file.write_bytes(content)
    assert "these weights cannot be read (" in message_of(file)


def test_python_objects_are_named_and_no_escape_code_is_shown(tmp_path):
    for content, says in (
        ({"model": weights(), "args": argparse.Namespace(lr=1)}, "object, argparse.Namespace"),
        ({"model": weights(), "best": np.float64(0.5)}, "a Python object, numpy."),
        ({"model": weights(), "at": Path("a")}, "a Python object, pathlib"),
        (network(), "a Python object, torch.nn.modules.container.Sequential"),
    ):
        said = message_of(saved(tmp_path, content))
        assert says in said
        assert "save the tensors alone, by torch.save(model.state_dict(), FILE)" in said


def test_archives_of_programs_are_named(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "a.pth"))
    assert "it is a TorchScript archive" in message_of(tmp_path / "a.pth")
    with tarfile.open(tmp_path / "b.pth", "w") as archive:
        (tmp_path / "x").write_text("x")
        archive.add(tmp_path / "x", "pickle")
    assert "these weights cannot be read (" in message_of(tmp_path / "b.pth")


# ---- numbers that are none


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_numbers_that_are_not_finite_are_told_as_such(tmp_path, value, suffix):
    given = weights()
    given["0.weight"][1, 2, 0, 0] = given["1.running_var"][2] = value
    file = tmp_path / f"w{suffix}"
    save_file(given, file) if suffix == ".safetensors" else torch.save(given, file)
    says = re.escape(
        f"{file}: found numbers that are not finite (NaN or infinity) in 0.weight (1 of 108), "
        "1.running_var (1 of 4); a network"
    )
    with pytest.raises(DataError, match=says):
        start_from(network(), str(file))


def test_a_number_too_large_for_the_network_is_not_finite_there(tmp_path):
    given = {name: value.double() for name, value in weights().items()}
    given["2.bias"][0] = 1e300
    with pytest.raises(DataError, match=r"not finite .* in 2\.bias \(1 of 5\)"):
        start_from(network(), str(saved(tmp_path, given)))


def test_whole_numbers_are_no_weights(tmp_path):
    given = weights() | {"0.weight": torch.ones(4, 3, 3, 3, dtype=torch.int8)}
    with pytest.raises(DataError, match=r"tensor '0\.weight' holds int8, and the network's 0\."):
        start_from(network(), str(saved(tmp_path, given)))


def test_what_is_not_copied_may_hold_anything(tmp_path):
    given = weights() | {"head.weight": torch.full((7, 7), float("nan"))}
    assert start_from(network(), str(saved(tmp_path, given)))["matched"] == 8
