"""What each kind of job imports, and how long that takes: `python -m benchmarks.imports`.

Of each job, in a fresh interpreter: seconds of its imports (median of some starts, and as a
multiple of importing torch alone, measured in this run), the number of modules, the packages that
take longest themselves, and those that have no business there, which a test holds to none
(`tests/workflow/test_import_budget.py`).
"""

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from typing import NamedTuple

# Job -> the modules it imports: its step, and the network's file where a method is built.
JOBS: dict[str, tuple[str, ...]] = {
    "torch alone": ("torch",),
    "Snakefile": (
        "workflow.config.load",
        "workflow.running.fingerprint",
        "workflow.running.launch",
    ),
    "prepare": ("workflow.data.make",),
    "train octnet": ("workflow.training.train", "baselines.octnet"),
    "train resformer_par": ("workflow.training.train", "resformer.model"),
    "train unetpp": ("workflow.training.train", "baselines.unetpp"),
    "train efficientnet": ("workflow.training.train", "baselines.efficientnet"),
    "evaluate octnet": ("workflow.evaluation.evaluate", "baselines.octnet"),
    "make_table": ("workflow.tables.make",),
    "make_figure": ("workflow.figures.make",),
    "report": ("workflow.report.make",),
}
LIBRARIES = frozenset({"torchvision", "timm", "segmentation_models_pytorch"})
COMPILER = frozenset({"torch._dynamo", "torch._inductor", "triton"})
# Job, by the beginning of its name -> packages and modules that it has no use for.
STRANGERS: dict[str, frozenset[str]] = {
    "Snakefile": frozenset({"torch", "numpy", "pandas", "matplotlib", "scipy", "pyarrow"}),
    "prepare": frozenset({"torch", "timm", "matplotlib"}),
    "train": frozenset({"pandas", "matplotlib", "optuna", "skimage", "jinja2", "requests"}),
    # timm and torchvision import the compiler themselves; others must not.
    "train octnet": LIBRARIES | COMPILER,
    "train resformer": LIBRARIES | COMPILER,
    "evaluate": frozenset({"pandas", "matplotlib", "optuna", "skimage", "triton"}) | LIBRARIES,
    "make_table": frozenset({"torch", "timm", "matplotlib", "skimage"}),
    "make_figure": frozenset({"torch", "timm"}),
    "report": frozenset({"torch", "timm"}),
}


class Imports(NamedTuple):
    """Imports of one start: microseconds of all, and of each module without those it imports."""

    total: int
    own: dict[str, int]


def imports(modules: tuple[str, ...]) -> Imports:
    """Import modules in a fresh interpreter and read what Python says of it."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {', '.join(modules)}"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return parsed(done.stderr)


def parsed(lines: str) -> Imports:
    """The lines `import time: self | cumulative | module` that Python writes to stderr."""
    own: dict[str, int] = {}
    for line in lines.splitlines():
        numbers, _, rest = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and numbers.strip().isdigit():
            own[rest.partition("|")[2].strip()] = int(numbers)
    return Imports(sum(own.values()), own)


def packages(own: dict[str, int]) -> dict[str, int]:
    """Microseconds of each package, the longest first."""
    total: dict[str, int] = defaultdict(int)
    for module, spent in own.items():
        total[module.partition(".")[0]] += spent
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def strangers(job: str, modules: set[str]) -> list[str]:
    """What a job imports and has no use for."""
    unwanted = set().union(*(s for start, s in STRANGERS.items() if job.startswith(start)))
    return sorted(unwanted & modules)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="of each job")
    given = parser.parse_args()
    found: dict[str, list[Imports]] = {job: [] for job in JOBS}
    for number in range(given.starts + 1):
        for job, modules in JOBS.items():
            start = imports(modules)
            if number:  # the first reads files that are not in memory yet
                found[job].append(start)
    torch = statistics.median(start.total for start in found["torch alone"])
    print(
        f"{'job':<22}{'seconds':>8}{'x torch':>9}{'modules':>9}  longest, ms; what does not belong"
    )
    for job, starts in found.items():
        middle = sorted(starts, key=lambda start: start.total)[len(starts) // 2]
        longest = list(packages(middle.own).items())[:5]
        names = ", ".join(f"{name} {spent / 1e3:.0f}" for name, spent in longest)
        unwanted = ", ".join(strangers(job, set(middle.own))) or "-"
        print(
            f"{job:<22}{middle.total / 1e6:>8.2f}{middle.total / torch:>9.2f}"
            f"{len(middle.own):>9}  {names}; {unwanted}"
        )


if __name__ == "__main__":
    main()
