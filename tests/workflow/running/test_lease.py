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


def test_all_gpus_are_found_where_none_is_chosen(tmp_path, monkeypatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n2\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert lease.devices({}) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("module", "device", "slurm", "expected"),
    [
        ("workflow.training.train", "auto", "", True),
        ("workflow.training.train", "cpu", "", False),
        ("workflow.training.train", "auto", "7", False),
        ("workflow.evaluation.controls", "auto", "", False),
    ],
)
def test_who_needs_a_lease(tmp_path, monkeypatch, module, device, slurm, expected) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", slurm)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"training": {"device": device}}))
    assert lease.needs_lease(module, [str(file)]) is expected


def test_a_senseless_number_of_jobs_is_refused(tmp_path) -> None:
    with pytest.raises(SystemExit, match="RESFORMER_JOBS_PER_GPU: found 'x', expected"):
        lease.lease({lease.VISIBLE: "0", lease.SHARED_BY: "x"}, tmp_path)
