"""The benchmarks of the training engine, one after the other: `python -m benchmarks [--quick]`.

Each prints what it measures, as ratios within one run; each is a command of its own too.
"""

import argparse
import subprocess
import sys

# Module -> its arguments, and those that make it quick.
ENGINE: dict[str, tuple[list[str], list[str]]] = {
    "benchmarks.step": ([], ["--quick"]),
    "benchmarks.together": ([], ["--quick"]),
    "benchmarks.loader": ([], ["--quick"]),
    "benchmarks.imports": ([], ["--starts", "1"]),
    "benchmarks.saving": ([], ["--saves", "2"]),
    "benchmarks.drill": ([], ["--kills", "5"]),
}


def main() -> int:
    """Run them all; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps, saves and kills")
    given = parser.parse_args()
    failed = []
    for module, (arguments, quick) in ENGINE.items():
        print(f"== {module}", flush=True)
        command = [sys.executable, "-m", module, *(quick if given.quick else arguments)]
        if subprocess.run(command, check=False).returncode:
            failed.append(module)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
