"""What a cluster does to a run in the middle of training, and what becomes of the tables.

`python -m benchmarks.faults [CASE…]` starts a real Slurm of two virtual nodes on this machine (see
`tests/test_slurm.py`: root, and no other Slurm), makes one table undisturbed, and then once more
for each case, with the fault as soon as training has saved a state. It prints a line per case:
whether the tables are the same bytes, how often jobs of training were started, how much longer it
took, and what Snakemake said of the fault. The exit code is 1 if a table differs or is missing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.test_slurm import SCRIPTS, Watcher, slurm
from tests.workspace import copy_tree, environment

# A small network: its state is saved after every step, so that a fault never comes too early.
METHOD, TABLE, STEPS = "unetpp", "table_VII", 12
CONFIG = (
    "--config",
    "preset=smoke",
    f"select={{datasets: [isic2017], methods: [{METHOD}]}}",
    f"training={{epochs: 1000, max_steps: {STEPS}, batch_size: 4, save_seconds: 0, threads: 1}}",
)
STATES = f"results/smoke/state/isic2017/{METHOD}"
PREPARED = ("results/smoke/data/isic2017/gates.json", "results/smoke/data/isic2017/manifest.json")
SAID = re.compile(
    r"SLURM status is: '\w+'|has not answered for \d+ minutes|would wait for ever \([^)]*\)"
    r"|preemption occured|The last run was killed"
)
SECONDS = 900


class Fault(NamedTuple):
    """One case.

    Attributes:
        strike: what is done to the first job of training, by its id and node.
        arguments: of Snakemake, beside the usual.
        site: what is in slurm/site.yaml.
        kills: whether Snakemake itself is killed, and started again when the queue is empty.
    """

    strike: Callable[[str, str], object] = lambda job, node: None
    arguments: tuple[str, ...] = ()
    site: str = ""
    kills: bool = False


class Outcome(NamedTuple):
    """How a run ended: table bytes by file, seconds, starts of training, what was said."""

    tables: dict[str, bytes]
    seconds: float
    started: int
    said: list[str]


def _slurm(*command: str) -> None:
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _node_down(_: str, node: str) -> None:
    _slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=drill")
    time.sleep(3)
    _slurm("scontrol", "update", f"nodename={node}", "state=resume")


def _restart_controller(*_: str) -> None:
    _slurm("scontrol", "shutdown", "slurmctld")
    time.sleep(8)
    _slurm("slurmctld")


def _preempt(*_: str) -> None:
    _slurm("sbatch", "-p", "gpu", "-N", "2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5")


# Its signal comes 120 s before the limit: now, as a job that trains is under a minute old.
SHORT = "TimeLimit=2"
FAULTS = {
    "cancelled": Fault(lambda job, _: _slurm("scancel", job)),
    "time-limit": Fault(lambda job, _: _slurm("scontrol", "update", f"jobid={job}", SHORT)),
    "killed": Fault(kills=True),
    "node-down": Fault(_node_down),
    "controller": Fault(_restart_controller),
    "memory": Fault(arguments=("--set-resources", "train_seed0:mem_mb=600")),
    "preempt-requeue": Fault(_preempt, site="partition: scav\n"),
    "preempt-cancel": Fault(_preempt, site="partition: scavc\n"),
}


def main() -> int:
    """Run the cases and print what came of each; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(FAULTS)}")
    cases = parser.parse_args().cases or list(FAULTS)
    if unknown := set(cases) - set(FAULTS):
        parser.error(f"found {', '.join(sorted(unknown))}; known: {', '.join(FAULTS)}")
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch, slurm(accounting=False):
        prepared = copy_tree(Path(scratch) / "prepared")
        _local(prepared)
        whole = run(prepared, Path(scratch) / "whole", Fault())
        print(
            f"{'undisturbed':<16} {len(whole.tables)} files of tables, {whole.seconds:.0f} s",
            flush=True,
        )
        same = [_shown(case, prepared, Path(scratch) / case, whole) for case in cases]
    return int(not (whole.tables and all(same)))


def _shown(case: str, prepared: Path, folder: Path, whole: Outcome) -> bool:
    found = run(prepared, folder, FAULTS[case])
    same = found.tables == whole.tables
    line = (
        f"{case:<16} {'the same' if same else 'DIFFERENT'}; training started {found.started} times"
    )
    line += f"; {found.seconds - whole.seconds:+.0f} s; said: {'; '.join(found.said) or 'nothing'}"
    print(line, flush=True)
    return same


def _local(folder: Path) -> None:
    """Prepare the data without Slurm, once for all cases."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", *CONFIG, "--"]
    subprocess.run(
        [*command, *PREPARED], cwd=folder, env=environment(), check=True, stdout=sys.stderr
    )


def run(prepared: Path, folder: Path, fault: Fault) -> Outcome:
    """Make the table in a copy of the prepared tree, with one fault."""
    shutil.copytree(prepared, folder, symlinks=True)
    if fault.site:
        (folder / "slurm/site.yaml").write_text(fault.site)
    struck: list[str] = []

    def act(job: dict[str, str]) -> None:
        trains = job.get("Comment", "").startswith("rule_train")
        if struck or not trains or not list((folder / STATES).rglob("state.safetensors")):
            return
        struck.append(job["JobId"])
        fault.strike(job["JobId"], job.get("NodeList", ""))
        if fault.kills:
            process.kill()

    watcher = Watcher(act)
    began, log = time.monotonic(), folder / "said.txt"
    process = _start(folder, fault, log)
    watcher.start()
    try:
        process.wait(SECONDS)
        if fault.kills:
            while subprocess.run(["squeue", "-h"], capture_output=True).stdout.strip():
                time.sleep(1)
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
    if process.returncode:
        sys.stderr.write(said[-3000:])
    tables = {
        file.name: file.read_bytes() for file in (folder / "results/smoke/tables").glob("table_*")
    }
    starts = sum(1 + int(job.get("Restarts", 0)) for job in watcher.of("train"))
    return Outcome(tables, time.monotonic() - began, starts, sorted(set(SAID.findall(said))))


def _start(folder: Path, fault: Fault, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPTS / "snappy_snakemake.py"), "--cores", "all"]
    command += ["--profile", "slurm", "--latency-wait=5", *CONFIG, *fault.arguments, "--"]
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
