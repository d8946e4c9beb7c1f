"""A step that cannot be done ends with one line, whatever the reason is, and no traceback."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from tests.conftest import ROOT, TINY
from workflow.base.digests import digest_file, record_json
from workflow.base.errors import ConfigError, DataError
from workflow.config.load import load_raw
from workflow.data import make, prepare
from workflow.networks import tensors
from workflow.running.step import read_config, run_step


@pytest.fixture
def written(tiny_config) -> Path:
    """The configuration of `tiny_config`, as a run writes it down."""
    file = tiny_config.results / "config.json"
    record_json(file, load_raw(ROOT / "config.yaml", TINY))
    return file


def ended(file: Path, error: BaseException) -> str:
    def step(_: object) -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run_step(step, file)
    return str(end.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("seeds: found x"), "error: seeds: found x"),
        (DataError("a.png: damaged"), "error: a.png: damaged"),
        (MemoryError(), "error: memory ran out; let fewer jobs run at a time"),
        (OSError(errno.ENOSPC, "full", "a.npy"), "error: a.npy: no space left; free some, and giv"),
        (
            OSError(errno.EDQUOT, "quota"),
            "error: the disk of the results: no space left; free some",
        ),
        (OSError("524288 requested and 1024 written"), "error: the disk of the results: no space"),
    ],
)
def test_what_is_no_fault_of_the_code_is_one_line(written, error, said):
    message = ended(written, error)
    assert message.startswith(said)
    assert "\n" not in message


def test_any_other_error_is_a_fault_of_the_code(written):
    with pytest.raises(ZeroDivisionError):
        run_step(lambda _: 1 / 0, written)
    with pytest.raises(FileNotFoundError):
        run_step(lambda _: Path("none").read_text(), written)


def test_a_damaged_configuration_is_told(written):
    digest_file(written).write_text(f"{'0' * 64}  config.json\n")
    with pytest.raises(ConfigError, match=r"config\.json: damaged .+Start snakemake again"):
        read_config(written)
    with pytest.raises(SystemExit, match=r"error: results/.+config\.json: damaged"):
        run_step(lambda _: None, written)


def test_a_disk_that_is_full_is_noticed_before_anything_is_prepared(
    written, tiny_config, tiny_tree, monkeypatch
):
    """An array that is written through memory would otherwise end the process by SIGBUS."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prepare.os, "posix_fallocate", full)
    folder = tiny_config.results / "data"
    folder.unlink()
    source = tiny_tree / folder / "isic2017"
    (folder / "isic2017").mkdir(parents=True)
    for name in ("inventory.csv", "inputs.csv", "split.csv"):
        (folder / "isic2017" / name).write_bytes((source / name).read_bytes())
    with pytest.raises(SystemExit, match="no space left; free some"):
        run_step(make.prepare, written, "isic2017")
    assert not [*folder.rglob("*.npy")]


def test_weights_that_do_not_fit_are_a_full_disk_too(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise SafetensorError(
            "Error while serializing: IoError(Os { code: 28, kind: StorageFull })"
        )

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(OSError, match="StorageFull") as error:
        tensors.write_tensors(tmp_path / "weights.safetensors", {"x": torch.zeros(2)})
    assert error.value.errno == errno.ENOSPC
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_weights_follow_the_umask_as_other_files_do(tmp_path, mask):
    before = os.umask(mask)
    try:
        tensors.write_tensors(tmp_path / "weights.safetensors", {"x": torch.zeros(2)})
        (tmp_path / "other").write_text("x")
    finally:
        os.umask(before)
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {0o666 & ~mask}
    found = tensors.read_tensors(tmp_path / "weights.safetensors")
    assert np.array_equal(found["x"], np.zeros(2))
