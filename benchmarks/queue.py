"""What handing steps to Slurm costs: `python -m benchmarks.queue [--chains N] [--jobs N]`.

Starts a real Slurm of two virtual nodes on this machine (see `tests/test_slurm.py`: root, and no
other Slurm) and prints, all measured in this one run:
  chains      N chains of two steps that do nothing, with the profile of `slurm/config.yaml`: here;
              on Slurm, a job each; and on Slurm with the two steps of a chain in one job, as
              training and evaluation are. Seconds in all; seconds of this machine's processors for
              each step; and seconds from the end of a chain's first step to the end of its second,
              which is mostly Snakemake's wait until it looks at the queue again
  controller  the time of the controller's processor for many jobs that end at once, what `sbatch`
              and `squeue` take meanwhile, and how often the profile lets Snakemake ask
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from tests.test_slurm import slurm
from tests.workspace import ROOT, environment

SNAKEFILE = """
rule all:
    input: expand("second/{n}", n=range(config["chains"]))

rule first:
    output: "first/{n}"
    shell: "touch {output}"

rule second:
    input: "first/{n}"
    output: "second/{n}"
    shell: "touch {output}"
"""
WAYS = {
    "here": (),
    "a job each": ("--profile", "slurm"),
    "a job a chain": ("--profile", "slurm", "--groups", "first=chain", "second=chain"),
}


class ChainSeconds(NamedTuple):
    """Seconds: on the clock, of all processors, and between the two steps of a chain."""

    wall: float
    processor: float
    between: float


def _busy() -> float:
    times = psutil.cpu_times()
    return times.user + times.system


def write_chains(folder: Path) -> None:
    """Make a folder in which Snakemake runs the chains, with our profile."""
    (folder / "slurm").mkdir(parents=True)
    (folder / "Snakefile").write_text(SNAKEFILE)
    shutil.copy(ROOT / "slurm/config.yaml", folder / "slurm/config.yaml")


def chains(folder: Path, count: int, arguments: tuple[str, ...]) -> ChainSeconds:
    """Run the chains in a new folder."""
    write_chains(folder)
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--quiet", "all", *arguments]
    start, busy = time.monotonic(), _busy()
    subprocess.run(
        [*command, "--config", f"chains={count}"], cwd=folder, env=environment(), check=True
    )
    wall, processor = time.monotonic() - start, _busy() - busy
    ends = {step: [(folder / step / str(n)).stat().st_mtime for n in range(count)]
            for step in ("first", "second")}  # fmt: skip
    gaps = [b - a for a, b in zip(ends["first"], ends["second"], strict=True)]
    return ChainSeconds(wall, processor, median(gaps))


def print_controller(jobs: int) -> None:
    """Fill the queue with jobs that end at once, and watch the controller."""
    controller = next(p for p in psutil.process_iter(["name"]) if p.info["name"] == "slurmctld")
    before = sum(controller.cpu_times()[:2])
    submitting, asking = [], []
    for _ in range(jobs):
        submitting.append(_seconds("sbatch", "--output=/dev/null", "--mem=10", "--wrap=true"))
    start = time.monotonic()
    while subprocess.run(["squeue", "--noheader"], capture_output=True).stdout.strip():
        asking.append(_seconds("squeue", "--me", "--noheader", "--format=%i|%T|%r"))
        time.sleep(1)
    spent = sum(controller.cpu_times()[:2]) - before
    print(
        f"controller  {jobs} jobs: {spent:.1f} s of its processor, {1000 * spent / jobs:.0f} ms a "
        f"job; sbatch {1000 * median(submitting):.0f} ms; squeue {1000 * median(asking):.0f} ms in "
        f"the middle and {1000 * max(asking):.0f} ms at most, once a second for "
        f"{time.monotonic() - start:.0f} s; Snakemake asks every 20 to 180 s"
    )


def _seconds(*command: str) -> float:
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=465, help="for the controller")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="queue-") as scratch, slurm(accounting=False):
        for number, (way, arguments) in enumerate(WAYS.items()):
            spent = chains(Path(scratch) / str(number), given.chains, arguments)
            print(
                f"chains      {given.chains} of two steps, {way:<14} {spent.wall:6.1f} s in all, "
                f"{spent.processor / given.chains / 2:5.1f} s of a processor a step, "
                f"{spent.between:5.1f} s from a first step's end to its second's",
                flush=True,
            )
        print_controller(given.jobs)


if __name__ == "__main__":
    main()
