"""A first user's way from a clone to masks: `python -m benchmarks.first_masks`.

    python -m benchmarks.first_masks PHOTOGRAPH PHOTOGRAPH PHOTOGRAPH

Clones this repository into a new folder, trains the demo's network there, predicts on the
photographs, and prints the seconds of each step. The environment is the one that this runs in:
what `uv` takes to fetch it depends on the connection.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = ("results/demo", "isic2017", "resformer_seq")


def main() -> int:
    """Print the seconds of each step; the exit code is that of the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_masks", description=__doc__)
    parser.add_argument("photographs", nargs="+", type=Path, help="image files")
    photographs = [str(file.absolute()) for file in parser.parse_args().photographs]
    weights = f"{RUN[0]}/runs/{RUN[1]}/{RUN[2]}/seed0/weights.safetensors"
    python = [sys.executable, "-m"]
    steps = {
        "train": [*python, "snakemake", "--cores", "all", weights],
        "predict": [*python, "workflow", "predict", *RUN, *photographs, "--out", "masks"],
    }
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        taken = {"clone": timed(["git", "clone", "--quiet", str(ROOT), str(clone)], ROOT)}
        for name, command in steps.items():
            taken[name] = timed(command, clone)
        made = sorted(file.name for file in (clone / "masks" / "masks").iterdir())
    for name, seconds in taken.items():
        print(f"{name:8} {seconds:6.1f} s")
    print(f"{'in all':8} {sum(taken.values()):6.1f} s: {', '.join(made)}")
    return 0


def timed(command: list[str], folder: Path) -> float:
    """Seconds that a command takes; what it says is shown only if it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
