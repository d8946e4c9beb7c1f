"""How many mutants of a room's code its tests kill.

    uv run --with mutmut python -m benchmarks.mutants metrics
    uv run --with mutmut python -m benchmarks.mutants statistics

mutmut changes one thing of the code at a time (a sign, a bound, a default) and runs the tests that
reach it; a mutant that no test notices survives. Takes about ten minutes each on two cores, in a
temporary copy of what is needed; prints the share killed and lists the survivors, to be read one
by one: most are equivalent, such as an error text in capitals.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EVALUATION = "workflow/evaluation"
# Room -> the modules that are mutated, and the tests (beside their helpers) that must notice.
ROOMS = {
    "metrics": (
        ("rules", "scores", "calibration", "metrics", "saved", "boundary", "counts_file"),
        (
            "rules",
            "scores",
            "calibration",
            "metrics",
            "saved",
            "boundary",
            "counts_file",
            "collect",
        ),
    ),
    "statistics": (
        ("variance", "intervals", "statistics"),
        ("variance", "intervals", "statistics", "agreement"),
    ),
}
HELPERS = ("evaluation_cases.py", "ratio_cases.py")
# The names that mutmut gives to what became of a mutant, and that count as killed.
KILLED = ("killed", "timeout", "caught by type check")


def main() -> None:
    """Mutate one room and print what its tests missed."""
    parser = argparse.ArgumentParser(description="How many mutants the tests of a room kill.")
    parser.add_argument("room", choices=ROOMS)
    modules, tests = ROOMS[parser.parse_args().room]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy(folder, modules, tests)
        subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=folder, check=True)
        output = subprocess.run(
            [sys.executable, "-m", "mutmut", "results", "--all", "true"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    outcomes = [line.strip().rsplit(": ", 1) for line in output.splitlines() if ": " in line]
    survivors = [name for name, outcome in outcomes if outcome not in KILLED]
    killed = len(outcomes) - len(survivors)
    print(
        f"\n{killed} of {len(outcomes)} mutants killed ({killed / len(outcomes):.1%}); survivors:"
    )
    print("\n".join(f"  {name}" for name in survivors))


def copy(folder: Path, modules: tuple[str, ...], tests: tuple[str, ...]) -> None:
    """What the mutants and their tests need, and nothing else, so that collection is quick."""
    shutil.copytree(
        ROOT / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "tests").mkdir()
    names = [*HELPERS, *(f"test_{name}.py" for name in tests)]
    for name in names:
        shutil.copyfile(ROOT / "tests" / EVALUATION / name, folder / "tests" / name)
    shutil.copyfile(ROOT / "tests" / "conftest.py", folder / "tests" / "conftest.py")
    for name in ("config.yaml", "resformer", "baselines"):
        (folder / name).symlink_to(ROOT / name)
    paths = "\n    ".join(f"{EVALUATION}/{name}.py" for name in modules)
    (folder / "setup.cfg").write_text(
        f"[mutmut]\npaths_to_mutate={paths}\ntests_dir=tests\n"
        "also_copy=workflow\n    config.yaml\n    resformer\n    baselines\n"
        "[tool:pytest]\npythonpath=. tests\n"
    )


if __name__ == "__main__":
    main()
