"""The warm server: jobs give the same result as fresh ones, and end as they would."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.workspace import ROOT, environment
from workflow.running import launch as launching
from workflow.running.launch import VARIABLE

JOB = '''"""A job for the test: says what it sees, and ends as it is told."""
import os, sys, time
import torch
print(os.getcwd(), sys.argv[1:], os.environ.get("MARK"), flush=True)
torch.manual_seed(5)
print(torch.randn(1000).double().sum().item().hex(), torch.get_num_threads())
if sys.argv[1] == "message":
    sys.exit("this went wrong")
if sys.argv[1] == "raise":
    raise ValueError("boom")
if sys.argv[1] == "wait":
    open(sys.argv[2], "w").write(str(os.getpid()))
    time.sleep(60)
sys.exit(int(sys.argv[1]) if sys.argv[1].isdigit() else 0)
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server owned by a process that this test ends; yields the environment of jobs."""
    folder = tmp_path_factory.mktemp("warm")
    (folder / "jobs").mkdir()
    (folder / "jobs" / "__init__.py").touch()
    (folder / "jobs" / "job.py").write_text(JOB)
    variables = environment(PYTHONPATH=f"{folder}{os.pathsep}{ROOT}", MARK="here")
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    path = folder / "socket" / "warm.sock"
    path.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "workflow.running.warm", str(path), str(owner.pid)],
        cwd=ROOT,
        env=variables,
    )
    yield folder, {**variables, VARIABLE: str(path)}, process
    owner.kill()
    owner.wait()
    process.wait(timeout=20)
    assert not path.parent.exists()


def launch(server, *arguments, warm=True):
    folder, variables, _ = server
    chosen = variables if warm else {k: v for k, v in variables.items() if k != VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "workflow.running.launch", "jobs.job", *arguments],
        cwd=folder,
        env=chosen,
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.mark.parametrize("argument", ["0", "7", "message", "raise", "two words"])
def test_a_warm_job_ends_as_a_fresh_one_does(server, argument) -> None:
    warm, fresh = launch(server, argument), launch(server, argument, warm=False)
    assert warm.stdout == fresh.stdout
    assert warm.returncode == fresh.returncode
    last = [done.stderr.strip().splitlines()[-1:] for done in (warm, fresh)]
    assert last[0] == last[1]


def test_a_client_that_is_ended_takes_its_job_along(server, tmp_path) -> None:
    client, job = waiting_job(server, tmp_path)
    client.send_signal(signal.SIGTERM)
    assert client.wait(timeout=20) == 128 + signal.SIGTERM
    psutil.wait_procs([job], timeout=20)
    assert not job.is_running()


def test_a_job_killed_from_outside_counts_as_in_a_shell(server, tmp_path) -> None:
    client, job = waiting_job(server, tmp_path)
    job.kill()
    assert client.wait(timeout=20) == 128 + signal.SIGKILL


def test_without_a_server_the_job_runs_by_itself(server, tmp_path) -> None:
    folder, variables, process = server
    gone = (folder, {**variables, VARIABLE: str(tmp_path / "none.sock")}, process)
    assert launch(gone, "3").returncode == 3


def test_inside_a_slurm_job_nothing_is_shared(server) -> None:
    folder, variables, process = server
    inside = (folder, {**variables, "SLURM_JOB_ID": "1", VARIABLE: "/nowhere"}, process)
    done = launch(inside, "4")
    assert done.returncode == 4
    # The overview finds the job by this.
    assert done.stderr.startswith("Slurm job 1 on ")


def waiting_job(server, tmp_path) -> tuple[subprocess.Popen, psutil.Process]:
    """A client whose job has begun and waits, and that job."""
    folder, variables, _ = server
    mark = tmp_path / "pid"
    client = subprocess.Popen(
        [sys.executable, "-m", "workflow.running.launch", "jobs.job", "wait", str(mark)],
        cwd=folder,
        env=variables,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline, "the job never began"
        time.sleep(0.05)
    return client, psutil.Process(int(mark.read_text()))


def test_a_folder_of_a_long_name_is_no_place_for_a_server(tmp_path, monkeypatch):
    """The address of a socket has 107 bytes; each step waited five seconds for it."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(launching.tempfile, "gettempdir", lambda: str(long))
    path = launching._socket_path()
    assert path is not None
    assert len(os.fsencode(path)) <= launching.LONGEST_ADDRESS
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.bind(str(path))
    shutil.rmtree(path.parent)
    monkeypatch.setattr(launching, "SHORT_FOLDERS", ())
    assert launching._socket_path() is None
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        monkeypatch.setattr(launching.time, "sleep", lambda seconds: pytest.fail("waits"))
        assert not launching._connected(connection, str(long / "warm.sock"))
