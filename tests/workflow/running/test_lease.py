"""GPUs on a workstation: each job has its own, and a job that is killed gives its own back."""

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workspace import ROOT, environment
from workflow.running import lease

JOB = """
import os, sys, time
from pathlib import Path
from workflow.running.lease import lease
lease(os.environ, Path(sys.argv[1]))
begun = time.monotonic()
time.sleep(float(sys.argv[2]))
print(os.environ["CUDA_VISIBLE_DEVICES"], begun, time.monotonic(), flush=True)
"""


def start(folder: Path, seconds: float, gpus: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder), str(seconds)],
        cwd=ROOT,
        env=environment(CUDA_VISIBLE_DEVICES=gpus, **variables),
        stdout=subprocess.PIPE,
        text=True,
    )


def spans(jobs: list[subprocess.Popen[str]]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for job in jobs:
        said, _ = job.communicate(timeout=60)
        gpu, begun, ended = said.split()
        found.setdefault(gpu, []).append((float(begun), float(ended)))
    return {gpu: sorted(times) for gpu, times in found.items()}


def test_jobs_never_share_a_gpu_and_use_all_of_them(tmp_path) -> None:
    found = spans([start(tmp_path, 0.5, "0,GPU-abc") for _ in range(6)])
    assert set(found) == {"0", "GPU-abc"}
    for times in found.values():
        for (_, ended), (begun, _) in itertools.pairwise(times):
            assert begun >= ended


def test_as_many_share_a_gpu_as_the_user_says(tmp_path) -> None:
    jobs = [start(tmp_path, 4, "3", RESFORMER_JOBS_PER_GPU="2") for _ in range(2)]
    (first, second) = spans(jobs)["3"]
    assert second[0] < first[1]


def test_a_killed_job_gives_its_gpu_back(tmp_path) -> None:
    job = start(tmp_path, 600, "0")
    while not (tmp_path / "0.0").exists():
        time.sleep(0.05)
    job.kill()
    job.wait()
    chosen = {lease.VISIBLE: "0"}
    assert lease.lease(chosen, tmp_path) is not None


def test_without_a_gpu_nothing_is_leased(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lease.devices({}) == []
    chosen = {lease.VISIBLE: ""}
    assert lease.lease(chosen, tmp_path) is None
    assert chosen == {lease.VISIBLE: ""}


WHOLE = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-f3d5eeb0-0bf8-46b0-9c1b-4c5d6e7f8091)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-5c89852c/1/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-f3d5eeb0-0bf8-46b0-9c1b-4c5d6e7f8091)
"""
SLICES = [
    "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",
    "MIG-GPU-5c89852c/1/0",
    "GPU-f3d5eeb0-0bf8-46b0-9c1b-4c5d6e7f8091",
]


@pytest.mark.parametrize(
    ("said", "given", "expected"),
    [
        (WHOLE, {}, ["0", "1"]),
        (DIVIDED, {}, SLICES),
        ("No devices were found\n", {}, []),
        # Slurm names those of the node, and the node shows all of its own.
        (WHOLE, {"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "1"}, ["1"]),
        (WHOLE, {"SLURM_JOB_ID": "7", "SLURM_STEP_GPUS": "0"}, ["0"]),
        # It shows none but those that were given, which it numbers anew.
        (WHOLE, {"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "5,7"}, ["0", "1"]),
    ],
)
def test_all_gpus_are_found_where_none_is_chosen(tmp_path, monkeypatch, said, given, expected):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] || exit 2\ncat <<'END'\n{said}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert lease.devices(given) == expected


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("-1", []),
        ("", []),
        ("NoDevFiles", []),
        ("none", []),
        ("0, 2", ["0", "2"]),
        ("1,-1,0", ["1"]),
        ("0,0", ["0"]),
        ("MIG-GPU-5c/1/0,GPU-abc", ["MIG-GPU-5c/1/0", "GPU-abc"]),
        ("$(touch x)", []),
        ("../../escape", []),
    ],
)
def test_a_choice_is_read_as_cuda_reads_it(chosen, expected):
    assert lease.devices({lease.VISIBLE: chosen}) == expected


@pytest.mark.parametrize(
    ("module", "device", "expected"),
    [
        ("workflow.training.train", "auto", True),
        ("workflow.training.train", "cpu", False),
        ("workflow.evaluation.controls", "auto", False),
    ],
)
def test_who_needs_a_lease(tmp_path, module, device, expected) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"training": {"device": device}}))
    assert lease.needs_lease(module, [str(file)]) is expected


def test_a_slurm_job_with_one_gpu_has_it_and_one_with_several_hands_them_out(monkeypatch, tmp_path):
    monkeypatch.setattr(lease.tempfile, "gettempdir", lambda: str(tmp_path))
    alone = {lease.VISIBLE: "3", "SLURM_JOB_ID": "7"}
    assert lease.lease(alone) is None
    assert alone[lease.VISIBLE] == "3"
    # Two jobs on one node may both have a GPU 0, which are two GPUs.
    several = [{lease.VISIBLE: "0,1", "SLURM_JOB_ID": job} for job in ("7", "7", "8")]
    held = [lease.lease(one) for one in several]
    assert None not in held
    assert [one[lease.VISIBLE] for one in several] == ["0", "1", "0"]


def test_a_folder_of_locks_that_cannot_be_had_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(lease.tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    with pytest.raises(SystemExit, match=r"it holds the locks of GPUs\. Set TMPDIR"):
        lease.lease({lease.VISIBLE: "0"})


def test_a_senseless_number_of_jobs_is_refused(tmp_path) -> None:
    with pytest.raises(SystemExit, match="RESFORMER_JOBS_PER_GPU: found 'x', expected"):
        lease.lease({lease.VISIBLE: "0", lease.SHARED_BY: "x"}, tmp_path)
