"""The literal command on a real Slurm: two virtual nodes with two pretended GPUs each."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workspace import ROOT, command, copy_tree, environment

SCRIPTS = ROOT.parent / "shared" / "slurm"


def arguments(*methods: str) -> tuple[str, ...]:
    """A small run of some methods, on pretended GPUs; targets follow."""
    return (
        *("--config", "preset=smoke"),
        f"select={{datasets: [isic2017], methods: [{', '.join(methods)}]}}",
        *("--set-resources", "train_seed0:gpu=1", "--latency-wait=5", "--"),
    )


# Beside what the table needs, so that two jobs want a GPU at a time.
OTHER = "results/smoke/runs/isic2017/unetpp/seed0/run.json"
FIELDS = re.compile(r"(\w+)=(\S+)")


@contextmanager
def slurm(accounting: bool) -> Iterator[None]:
    """A Slurm of this test's own; needs root, and that no other one is up."""
    missing = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]
    missing += [] if SCRIPTS.is_dir() else [str(SCRIPTS)]
    if accounting and not shutil.which("slurmdbd"):
        missing.append("slurmdbd")
    if missing and not os.environ.get("RESFORMER_TEST_EVERYTHING"):
        pytest.skip(f"no Slurm to start: {', '.join(missing)} not found")
    assert not missing
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # its database runs as another user, who cannot enter pytest's folders
    variables = environment(STATE=str(folder), ACCOUNTING=str(int(accounting)), WIPE="1")
    try:
        # Not captured: the daemons would keep the streams open.
        subprocess.run(
            [SCRIPTS / "start.sh"],
            env=variables,
            check=True,
            timeout=120,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        yield
    finally:
        subprocess.run([SCRIPTS / "stop.sh"], env=variables, check=False, timeout=120)


class Watcher(threading.Thread):
    """Looks at all jobs every half second, and may act on what it sees.

    Attributes:
        seen: job -> its fields, as `scontrol show jobs` had them when it ran last.
        shared: GPUs that two running jobs had at the same time.
    """

    def __init__(self, act: Callable[[dict[str, str]], None] = lambda job: None) -> None:
        super().__init__(daemon=True)
        self.act, self.over = act, threading.Event()
        self.seen: dict[str, dict[str, str]] = {}
        self.shared: list[str] = []

    def run(self) -> None:
        while not self.over.wait(0.5):
            text = subprocess.run(
                ["scontrol", "show", "jobs", "-d", "-o"], capture_output=True, text=True
            ).stdout
            running = [dict(FIELDS.findall(line)) for line in text.splitlines()]
            # A job of somebody else may have no comment.
            running = [
                {"Comment": "", **job} for job in running if job.get("JobState") == "RUNNING"
            ]
            gpus = [gpu for job in running if (gpu := self._gpu(job))]
            self.shared += {gpu for gpu in gpus if gpus.count(gpu) > 1}
            for job in running:
                self.seen[job["JobId"]] = job
                self.act(job)

    @staticmethod
    def _gpu(job: dict[str, str]) -> str | None:
        index = re.search(r"gpu\S*\(IDX:([\d,-]+)\)", job.get("GRES", ""))
        return f"{job['Nodes']}:{index[1]}" if index else None

    def of(self, name: str) -> list[dict[str, str]]:
        """The jobs of a rule, or of a group of rules."""
        return [job for job in self.seen.values() if job["Comment"].startswith(f"rule_{name}")]


def run(folder: Path, watcher: Watcher, *arguments: str) -> str:
    """The command, on one processor of this host, and with quick looks at the queue."""
    given = [sys.executable, str(SCRIPTS / "snappy_snakemake.py"), "--cores", "all"]
    watcher.start()
    try:
        done = subprocess.run(
            ["taskset", "-c", "0", *given, "--profile", "slurm", *arguments],
            cwd=folder,
            env=environment(SNAPPY="0.5", PYTHONPATH=str(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
        )
    finally:
        watcher.over.set()
        watcher.join()
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def standings(folder: Path) -> dict[str, tuple[str, str | None]]:
    """Method -> how its run stands and in which job of Slurm's, as the status says."""
    asked = [sys.executable, "-m", "workflow", "status", "smoke", "--json"]
    said = subprocess.run(
        asked, cwd=folder, env=environment(), capture_output=True, text=True, check=True
    ).stdout
    return {run["method"]: (run["stand"], run["slurm_job"]) for run in json.loads(said)["runs"]}


def test_the_command_makes_a_table_without_accounting(tmp_path) -> None:
    tree = copy_tree(tmp_path / "tree")
    running: set[tuple[str, str | None]] = set()

    def look(job: dict[str, str]) -> None:
        if "run_isic2017" in job["Comment"]:
            found = standings(tree).items()
            running.update((method, number) for method, (how, number) in found if how == "running")

    watcher = Watcher(look)
    with slurm(accounting=False):
        said = run(tree, watcher, *arguments("resformer_par", "unetpp"), "table_IV", OTHER)
    assert (tree / "results/smoke/tables/table_IV.md").is_file()
    trained = watcher.of("run_isic2017")
    assert len(trained) == 2
    assert all(job["JOB_GRES"] == "gpu:1" for job in trained)
    # The status was asked for while jobs ran, and knew which run was in which of them: a job's
    # number stands in its log as soon as its step begins.
    methods = ("resformer_par", "unetpp")
    numbers = {
        (name, job["JobId"]) for job in trained for name in methods if name in job["Comment"]
    }
    known = {(method, number) for method, number in running if number}
    assert known
    assert known <= numbers
    assert {method for method, _ in running} <= set(methods)
    after = standings(tree)
    assert [after[method][0] for method in methods] == ["done", "trained"]
    assert watcher.shared == []
    # `--cores all` is one processor here: a rule's two must be asked for all the same.
    assert [job["NumCPUs"] for job in watcher.of("data_isic2017")] == ["2"]
    # Training and evaluation of a run are one job, as are the steps of a data set.
    assert {job["Comment"] for job in trained} == {
        "rule_run_isic2017_resformer_par_seed0_evaluate_seed0_train_seed0",
        "rule_run_isic2017_unetpp_seed0_train_seed0",
    }
    assert all(job["JobName"].startswith("resformer") for job in watcher.seen.values())
    # No job asks for more than the partition's hour, though rules would; one trains only.
    assert sorted(job["TimeLimit"] for job in trained) == ["00:45:00", "01:00:00"]
    logs = tree / "results/smoke/logs/train/isic2017"
    assert all(
        (logs / method / "seed0.log").stat().st_size for method in ("resformer_par", "unetpp")
    )
    assert "preflight: shared: " in said


def test_with_accounting_a_cancelled_job_is_started_again(tmp_path) -> None:
    cancelled: list[str] = []

    def cancel(job: dict[str, str]) -> None:
        if "rule_data" in job["Comment"] and not cancelled:
            cancelled.append(job["JobId"])
            subprocess.run(["scancel", job["JobId"]], check=True)

    tree, watcher = copy_tree(tmp_path / "tree"), Watcher(cancel)
    with slurm(accounting=True):
        said = run(
            tree,
            watcher,
            "--slurm-status-command=sacct",
            *arguments("unetpp"),
            "table_VII",
        )
    assert (tree / "results/smoke/tables/table_VII.md").is_file()
    assert cancelled
    assert f"Slurm job {cancelled[0]} ended as CANCELLED" in said
    first, second = watcher.of("data_isic2017")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("4000M", "8000M")


# As few images as there may be: what is looked at is whose jobs are whose.
SUBMITTED = "has been submitted"
IMAGES = "{isic2017: {train: 12, val: 6, test: 6, size: [64, 48]}}"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Runs that are ended with the test, if they have not ended by themselves."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def start(folder: Path, preset: str, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command for one small step of a preset, which is left to run."""
    given = [sys.executable, str(SCRIPTS / "snappy_snakemake.py"), "--cores", "all"]
    given += ["--profile", "slurm", "--latency-wait=5", *arguments]
    given += ["--config", f"preset={preset}", f"data={{phantom: {IMAGES}}}", "--"]
    with log.open("ab") as stream:
        return subprocess.Popen(
            [*given, f"results/{preset}/data/isic2017/split.csv"],
            cwd=folder,
            env=environment(SNAPPY="0.5", PYTHONPATH=str(folder)),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def wait_for(words: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a run says something."""
    deadline = time.monotonic() + 300
    while words not in log.read_text():
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.2)


def set_nodes(state: str) -> None:
    update = ["scontrol", "update", "nodename=n[1-2]", f"state={state}", "reason=test"]
    subprocess.run(update, check=True)


def test_runs_beside_each_other_keep_their_jobs_and_a_killed_one_is_gone_on_with(
    tmp_path, started
) -> None:
    tree = copy_tree(tmp_path / "tree")
    names = ("smoke", "everything", "killed", "again")
    logs = {name: tmp_path / f"{name}.log" for name in names}
    with slurm(accounting=False):
        first = start(tree, "smoke", logs["smoke"])
        started.append(first)
        wait_for(SUBMITTED, first, logs["smoke"])
        planned = subprocess.run(
            command("--config", "preset=smoke", "--", "plan"),
            cwd=tree,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert planned.returncode == 0, planned.stdout[-4000:] + planned.stderr[-4000:]
        second = start(tree, "everything", logs["everything"])
        started.append(second)
        assert [first.wait(400), second.wait(400)] == [0, 0], logs["smoke"].read_text()[-3000:]
        for name in ("smoke", "everything"):
            said = logs[name].read_text()
            assert (tree / f"results/{name}/data/isic2017/split.csv").is_file()
            assert "CANCELLED" not in said
            assert "killed" not in said
            assert "LockException" not in said
        set_nodes("drain")  # its job waits
        killed = start(tree, "smoke", logs["killed"], "--forceall")
        started.append(killed)
        wait_for(SUBMITTED, killed, logs["killed"])
        killed.kill()
        killed.wait()
        again = start(tree, "smoke", logs["again"], "--forceall")
        started.append(again)
        wait_for("of a run that was killed were still in the queue", again, logs["again"])
        set_nodes("resume")
        assert again.wait(400) == 0, logs["again"].read_text()[-3000:]
    assert "its lock is removed" in logs["again"].read_text()
