"""torch's own CUDA host code, beside a GPU that is pretended: what raises, waits, and is moved.

Kernels do nothing there, so no value and no speed means anything (`shared/pretended_gpu`).
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import build_pretended, in_a_process
from benchmarks.learning import METHODS
from tests.workspace import ROOT

PRETENDED = ROOT.parent / "shared" / "pretended_gpu"


@pytest.fixture(scope="module")
def beside_gpu(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What to put before a command so that it sees the pretended GPU."""
    lacking = [what for what, there in (
        ("shared/pretended_gpu beside the tree", PRETENDED.is_dir()),
        ("gcc", shutil.which("gcc")),
    ) if not there]  # fmt: skip
    if lacking and not os.environ.get("RESFORMER_TEST_EVERYTHING"):
        pytest.skip(f"not at hand: {', '.join(lacking)}")
    return build_pretended(PRETENDED, tmp_path_factory.mktemp("pretended"))


def measured(method: str, determinism: str, beside_gpu: list[str]) -> dict[str, Any]:
    """What `benchmarks.gpu` finds of a method at the paper's size."""
    arguments = ["--one", method, "--determinism", determinism, "--pretending"]
    found = in_a_process(arguments, beside_gpu)
    assert isinstance(found, dict), found
    return found


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_validates_and_scores_in_strict_and_no_step_waits(
    method: str, beside_gpu: list[str]
) -> None:
    found = measured(method, "strict", beside_gpu)
    assert found["waits"] == 0
    assert 0 < found["scoring"] < found["training"]
    assert found["moved"] > found["training"]


def test_strict_moves_hardly_more_bytes_than_fast(beside_gpu: list[str]) -> None:
    strict, fast = (
        measured("resformer_seq", way, beside_gpu)["moved"] for way in ("strict", "fast")
    )
    assert fast <= strict <= 1.05 * fast


def test_the_command_says_what_failed_and_goes_on(
    beside_gpu: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import gpu

    found = in_a_process(["--one", "no_such_method", "--pretending"], beside_gpu)
    assert isinstance(found, str)
    assert "no_such_method" in found
    assert gpu._row("no_such_method", found).startswith("| no_such_method | failed: ")
