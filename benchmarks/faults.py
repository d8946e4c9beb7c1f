"""What a cluster does to a run in the middle of training, and what becomes of the tables.

`python -m benchmarks.faults [CASE…]` starts a real Slurm of two virtual nodes on this machine (see
`tests/test_slurm.py`: root, and no other Slurm), makes one table undisturbed, and then once more
for each case, with the fault as soon as training has saved a state. It prints a line per case:
whether the tables are the same bytes, how often jobs of training were started, how much longer it
took, and what Snakemake or training said of the fault. The exit code is 1 if a table differs or is
missing.
"""

import argparse
import contextlib
import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.test_slurm import SCRIPTS, Watcher, slurm
from tests.workspace import copy_tree, environment

# A small network: its state is saved after every step, so that a fault never comes too early; steps
# for a minute, as Slurm looks at time limits twice a minute.
METHOD, TABLE, STEPS = "unetpp", "table_VII", 60
# Another method of that table, whose loss is not finite after one step.
DIVERGING = "efficientnet"
STATES = f"results/smoke/state/isic2017/{METHOD}"
PREPARED = ("results/smoke/data/isic2017/gates.json", "results/smoke/data/isic2017/manifest.json")
SAID = re.compile(
    r"Slurm job \d+ ended as \w+|has not answered for \d+ minutes|would wait for ever \([^)]*\)"
    r"|preemption occured|The last run was killed|of a run that was killed were still in the queue"
    r"|state could not be saved|\d+ runs: .*"
)
NUMBERS = ("metric", "state", "mean", "sd", "low", "high")
SECONDS = 900
# In the comment of a job that trains; see `workflow.cluster.placement.chains`.
TRAINS = f"run_isic2017_{METHOD}"


class Struck(NamedTuple):
    """The first job of training: its id, its node, and the folder of the run."""

    job: str
    node: str
    folder: Path


class Fault(NamedTuple):
    """One case.

    Attributes:
        strike: what is done to the first job of training; it may put it right again.
        arguments: of Snakemake, beside the usual.
        site: what is in slurm/site.yaml.
        kills: whether Snakemake itself is killed, and started again at once.
        accounting: whether Slurm keeps accounts, which `sacct` is asked for.
        diverges: whether another method is trained, too, and diverges.
        disk: MB of a disk of their own for the states of training; None for the folder's disk.
    """

    strike: Callable[[Struck], object] = lambda struck: None
    arguments: tuple[str, ...] = ()
    site: str = ""
    kills: bool = False
    accounting: bool = False
    diverges: bool = False
    disk: int | None = None


class Outcome(NamedTuple):
    """How a run ended: table bytes by file, seconds, starts of training, what was said."""

    tables: dict[str, bytes]
    seconds: float
    started: int
    said: list[str]


def _slurm(*command: str) -> None:
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _node_down(struck: Struck) -> None:
    _slurm("scontrol", "update", f"nodename={struck.node}", "state=down", "reason=drill")
    time.sleep(3)
    _slurm("scontrol", "update", f"nodename={struck.node}", "state=resume")


def _restart_controller(_: Struck) -> None:
    _slurm("scontrol", "shutdown", "slurmctld")
    time.sleep(8)
    _slurm("slurmctld")


def _preempt(_: Struck) -> None:
    _slurm("sbatch", "-p", "gpu", "-N", "2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5")


def _restart_accounting(_: Struck) -> None:
    state = Path("/etc/slurm/slurmdbd.conf").resolve().parent
    os.kill(int((state / "run/slurmdbd.pid").read_text()), signal.SIGTERM)
    time.sleep(30)
    os.environ["MYSQL_UNIX_PORT"] = str(state / "mysql/m.sock")
    _slurm("slurmdbd")


def _fill_disk(struck: Struck) -> None:
    filler = struck.folder / STATES / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(2**20))
    time.sleep(20)
    filler.unlink()


# Its signal comes 120 s before the limit: now, as a job that trains is under a minute old.
SHORT = "TimeLimit=2"
FAULTS = {
    "cancelled": Fault(lambda struck: _slurm("scancel", struck.job)),
    "time-limit": Fault(lambda struck: _slurm("scontrol", "update", f"jobid={struck.job}", SHORT)),
    "killed": Fault(kills=True),
    "node-down": Fault(_node_down),
    "controller": Fault(_restart_controller),
    "memory": Fault(
        arguments=("--set-resources", "train_seed0:mem_mb=600", "evaluate_seed0:mem_mb=600")
    ),
    "preempt-requeue": Fault(_preempt, site="partition: scav\n"),
    "preempt-cancel": Fault(_preempt, site="partition: scavc\n"),
    "diverges": Fault(diverges=True),
    "disk-full": Fault(_fill_disk, disk=1500),
    "sacct-down": Fault(
        _restart_accounting, arguments=("--slurm-status-command=sacct",), accounting=True
    ),
}


def main() -> int:
    """Run the cases and print what came of each; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(FAULTS)}")
    cases = parser.parse_args().cases or list(FAULTS)
    if unknown := set(cases) - set(FAULTS):
        parser.error(f"found {', '.join(sorted(unknown))}; known: {', '.join(FAULTS)}")
    same: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        prepared = copy_tree(Path(scratch) / "prepared")
        _local(prepared)
        for accounting in sorted({FAULTS[case].accounting for case in cases}):
            with slurm(accounting):
                whole = run(prepared, Path(scratch) / f"whole{accounting:d}", Fault())
                print(
                    f"{'undisturbed':<16} {len(whole.tables)} files of tables, "
                    f"{whole.seconds:.0f} s, Slurm {'with' if accounting else 'without'} accounts",
                    flush=True,
                )
                same.append(bool(whole.tables))
                for case in cases:
                    if FAULTS[case].accounting == accounting:
                        same.append(_shown(case, prepared, Path(scratch) / case, whole))
    return int(not all(same))


def _config(diverges: bool = False) -> list[str]:
    """What the runs are of, as arguments of Snakemake."""
    methods = f"{METHOD}, {DIVERGING}" if diverges else METHOD
    steps = f"epochs: 1000, max_steps: {STEPS}, batch_size: 4, save_seconds: 0, threads: 1"
    config = [f"select={{datasets: [isic2017], methods: [{methods}]}}", f"training={{{steps}}}"]
    if diverges:
        config.append(f"methods={{{DIVERGING}: {{training: {{learning_rate: 1.0e+30}}}}}}")
    return ["--config", "preset=smoke", *config]


def _shown(case: str, prepared: Path, folder: Path, whole: Outcome) -> bool:
    found = run(prepared, folder, FAULTS[case])
    same = found.tables == whole.tables
    if FAULTS[case].diverges:  # there is another row, too
        same = _rows(found) == _rows(whole) != []
    line = (
        f"{case:<16} {'the same' if same else 'DIFFERENT'}; training started {found.started} times"
    )
    line += f"; {found.seconds - whole.seconds:+.0f} s; said: {'; '.join(found.said) or 'nothing'}"
    print(line, flush=True)
    return same


def _rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """The numbers of the method that trains in all cases, but for its place among others."""
    text = outcome.tables.get(f"{TABLE}.csv", b"").decode()
    lines = [line for line in csv.DictReader(io.StringIO(text)) if line["method"] == METHOD]
    return [tuple(line[name] for name in NUMBERS) for line in lines if line["state"] == "value"]


def _local(folder: Path) -> None:
    """Prepare the data without Slurm, once for all cases."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--quiet",
        "all",
        *_config(),
        "--",
    ]
    subprocess.run(
        [*command, *PREPARED], cwd=folder, env=environment(), check=True, stdout=sys.stderr
    )


@contextlib.contextmanager
def _disk(folder: Path, megabytes: int | None) -> Iterator[None]:
    """A small disk of its own for the states of training, while the block runs."""
    if megabytes is None:
        yield
        return
    place = folder / STATES
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(place)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def run(prepared: Path, folder: Path, fault: Fault) -> Outcome:
    """Make the table in a copy of the prepared tree, with one fault."""
    shutil.copytree(prepared, folder, symlinks=True)
    if fault.site:
        (folder / "slurm/site.yaml").write_text(fault.site)
    with _disk(folder, fault.disk):
        return _run(folder, fault)


def _run(folder: Path, fault: Fault) -> Outcome:
    struck: list[str] = []

    def act(job: dict[str, str]) -> None:
        if struck or TRAINS not in job["Comment"]:
            return
        if not list((folder / STATES).rglob("state.safetensors")):
            return
        struck.append(job["JobId"])
        fault.strike(Struck(job["JobId"], job.get("NodeList", ""), folder))
        if fault.kills:
            process.kill()

    watcher = Watcher(act)
    began, log = time.monotonic(), folder / "said.txt"
    process = _start(folder, fault, log)
    watcher.start()
    try:
        process.wait(SECONDS)
        if fault.kills:
            process = _start(folder, fault, log)
            process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"no end after {SECONDS} s; the last of {log}:\n{log.read_text()[-2000:]}")
    finally:
        process.kill()
        watcher.over.set()
        watcher.join()
        _slurm("scancel", "--user", str(os.getuid()))  # what was left of a run that did not end
    said = log.read_text()
    for file in (folder / "results/smoke/logs/train").rglob("*.log"):
        said += file.read_text()
    if process.returncode:
        sys.stderr.write(said[-3000:])
    tables = {
        file.name: file.read_bytes() for file in (folder / "results/smoke/tables").glob("table_*")
    }
    trained = [job for job in watcher.seen.values() if TRAINS in job["Comment"]]
    starts = sum(1 + int(job.get("Restarts", 0)) for job in trained)
    return Outcome(tables, time.monotonic() - began, starts, sorted(set(SAID.findall(said))))


def _start(folder: Path, fault: Fault, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPTS / "snappy_snakemake.py"), "--cores", "all"]
    command += ["--profile", "slurm", "--latency-wait=5", *_config(fault.diverges)]
    command += [*fault.arguments, "--"]
    with log.open("a") as stream:
        return subprocess.Popen(
            [*command, TABLE],
            cwd=folder,
            env=environment(SNAPPY="0.5", PYTHONPATH=str(folder)),
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
        )


if __name__ == "__main__":
    sys.exit(main())
