"""What `snakemake -n --profile slurm` takes, and why: `python -m benchmarks.dry_run [--runs N]`.

Prints the fastest and the median of some runs, which take turns, all measured in this one call:
  imports     Snakemake's command and its Slurm plugin, before a line of ours is read
  bare        as many steps in chains of two, each one job, as of `queue.py`, with the same profile:
              what a DAG of this size costs without us
  dry run     of this repository: what a user waits for
  unlisted    the same without `deliverables` in the Snakefile: what it takes to look whether any
              table, mask or weight was deleted
No Slurm is needed: nothing is submitted.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.queue import WAYS, write_chains
from tests.workspace import ROOT, copy_tree, environment

TARGET = 5.0
IMPORTS = "import snakemake.cli, snakemake_executor_plugin_slurm"
LISTED = "        deliverables(CONFIG),\n"
DRY = ("-m", "snakemake", "-n", "--cores", "all")


def seconds(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run Python with these arguments in a folder; seconds on the clock, and what it printed.

    Raises:
        RuntimeError: it failed.
    """
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stdout[-2000:]}")
    return time.monotonic() - start, done.stdout


def steps(output: str) -> int:
    """The number of steps in the table that a dry run prints.

    Raises:
        RuntimeError: there is none, since everything is up to date.
    """
    totals = [line.split()[1] for line in output.splitlines() if line.startswith("total ")]
    if not totals:
        raise RuntimeError(f"a dry run has nothing to do here: {output[-500:]}")
    return int(totals[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dry_run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--runs", type=int, default=5, help="of each, after one not counted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dry-run-") as scratch:
        bare, ours = Path(scratch) / "bare", (*DRY, "--profile", "slurm")
        write_chains(bare)
        unlisted = copy_tree(Path(scratch) / "unlisted")
        text = (unlisted / "Snakefile").read_text(encoding="utf-8")
        (unlisted / "Snakefile").write_text(text.replace(LISTED, ""), encoding="utf-8")
        count = steps(seconds(ROOT, *ours)[1])
        work = {
            "imports": (bare, "-c", IMPORTS),
            "bare": (bare, *DRY, *WAYS["a job a chain"], "--config", f"chains={count // 2}"),
            "dry run": (ROOT, *ours),
            "unlisted": (unlisted, *ours),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for turn in range(given.runs + 1):
            for name, arguments in work.items():
                spent, _ = seconds(*arguments)
                if turn:  # the first reads files that are not in memory yet
                    times[name].append(spent)
    for name, spent in times.items():
        print(f"{name:<12}{min(spent):5.2f} s, median {median(spent):5.2f} s")
    best = min(times["dry run"])
    print(
        f"{count} steps; {best / min(times['bare']):.2f} times a bare DAG of that size; "
        f"{TARGET:.0f} s is {'kept' if best <= TARGET else 'not kept'} by the fastest, "
        f"{'kept' if median(times['dry run']) <= TARGET else 'not kept'} by the median"
    )


if __name__ == "__main__":
    main()
