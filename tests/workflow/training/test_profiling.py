"""The profile of a run: phases, shares and a trace, of a fixed number of steps."""

import csv
import gzip
import json
import subprocess
import sys
import time

import pytest
import torch

from workflow.training import profiling
from workflow.training.profiling import TIMED, TRACED, WARM, Profile, no_profile

ALL = WARM + TRACED + TIMED


def run(profile, steps, *, seconds=0.0):
    """What the loop does: phases of steps, then validation."""
    for _ in range(steps):
        with profile.phase("data"):
            torch.ones(8).add_(1)
        with profile.phase("forward"):
            torch.ones(64, 64) @ torch.ones(64, 64)
            time.sleep(seconds)
        profile.step()
    with profile.phase("validate"):
        pass
    profile.finish()


def phases(folder):
    with (folder / "phases.csv").open(newline="") as stream:
        return {row["phase"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile") / "run"
    run(Profile(folder), ALL + 20, seconds=0.001)
    return folder


def test_shares_add_up_to_a_step(profiled):
    table = phases(profiled)
    assert list(table) == ["data", "forward", "validate", "the rest", "step"]
    inside = ("data", "forward", "the rest")
    assert sum(float(table[name]["share_of_step"]) for name in inside) == pytest.approx(1)
    assert float(table["step"]["share_of_step"]) == 1
    assert float(table["forward"]["seconds"]) >= 0.001
    assert float(table["forward"]["share_of_step"]) > 0.5
    assert table["validate"]["share_of_step"] == ""


def test_no_more_than_a_fixed_number_of_steps_is_timed(profiled):
    table = phases(profiled)
    assert {table[name]["times"] for name in ("data", "forward", "step")} == {str(TIMED)}
    assert table["validate"]["times"] == "1"


def test_the_trace_holds_the_traced_steps_and_their_phases(profiled):
    with gzip.open(profiled / "trace.json.gz", "rt") as stream:
        events = json.load(stream)["traceEvents"]
    names = [event.get("name") for event in events if event.get("ph") == "X"]
    assert names.count("forward") == TRACED
    assert "aten::mm" in names
    assert "aten::mm" in (profiled / "operators.txt").read_text()
    assert sorted(f.name for f in profiled.iterdir()) == [
        "operators.txt",
        "phases.csv",
        "trace.json.gz",
    ]


@pytest.mark.parametrize("steps", [0, 1, WARM, WARM + 1, WARM + TRACED])
def test_a_short_run_leaves_what_there_was(tmp_path, steps, capsys):
    run(Profile(tmp_path), steps)
    assert "step" not in phases(tmp_path)
    assert (tmp_path / "trace.json.gz").exists() == (steps >= WARM)
    assert "too short" in capsys.readouterr().err


def test_an_error_inside_a_phase_passes_through(tmp_path):
    profile = Profile(tmp_path)
    with pytest.raises(ValueError, match="inside"), profile.phase("validate"):
        raise ValueError("inside")


def test_off_writes_nothing_and_starts_no_profiler(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.profiler, "profile", pytest.fail)
    monkeypatch.setattr(profiling, "write_text", pytest.fail)
    nothing = no_profile()
    run(nothing, ALL)
    assert nothing.phase("data") is nothing.phase("forward")
    assert not list(tmp_path.iterdir())


def test_importing_it_brings_no_compiler():
    code = (
        "import sys, workflow.training.profiling, workflow.training.compiling;"
        "assert not {'torch._dynamo', 'torch._inductor'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
