"""Is a run that is killed again and again the same as one that is not?

`python -m benchmarks.drill` trains a short run on phantom images without interruption, and once
more while it is killed at random moments (some of them while its state is being written, most by
SIGKILL, the others by the signals that ask it to stop) and started again. Weights, history and test
results must be the same bits; the exit code is 1 if they are not. States are saved after every
step, far more often than usual, so that many kills hit a save. Runs on a GPU where there is one.
"""

import argparse
import contextlib
import csv
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflow.base.files import read_json, remove_tree, sha256
from workflow.config import paths
from workflow.config.load import load_raw, resolve
from workflow.config.model import Config
from workflow.data import make
from workflow.evaluation.evaluate import evaluate_seeds
from workflow.training.state.interruption import SIGNALS, TRY_AGAIN
from workflow.training.train import train_seeds

ROOT = Path(__file__).parents[1]
DATASET, SEED = "isic2017", 3
OUTCOME = ("weights.safetensors", "history.csv", "run.json")


def main() -> int:
    """Prepare, train, kill, compare, print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drill", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--method", default="gende")
    parser.add_argument("--seconds", type=float, default=0.5, help="of training between two kills")
    parser.add_argument("--precision", choices=["auto", "bf16", "float32"], default="auto")
    parser.add_argument("--compile", choices=["auto", "on", "off"], default="auto")
    parser.add_argument("--random", type=int, default=0, help="seed of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        return _drill(given)


def configuration(given: argparse.Namespace, steps: int) -> Config:
    """A short run of one method on small phantoms, whose state is saved after every step."""
    changes = {
        "preset": "everything",
        "seeds": [SEED],
        "select": {"datasets": [DATASET], "methods": [given.method]},
        "data": {
            "retouch_record": None,
            "isic2017_record": None,
            "phantom": {"isic2017": {"train": 24, "val": 6, "test": 6, "size": [96, 72]}},
        },
        "datasets": {DATASET: {"image_size": 64, "duplicates": None}},
        "training": {
            "epochs": 1000,
            "max_steps": steps,
            "batch_size": 4,
            "save_seconds": 0,
            "precision": given.precision,
            "compile": given.compile,
        },
        "methods": {given.method: {"pretraining": None}},
    }
    return resolve(load_raw(ROOT / "config.yaml", changes))


def _drill(given: argparse.Namespace) -> int:
    chance = random.Random(given.random)
    short = configuration(given, 12)
    for step in (make.phantom, make.raw, make.inventory, make.split, make.prepare, make.gates):
        step(short, DATASET)
    _until_done(short, given.method)
    rate = read_json(_folder(short, given) / "run.json")["steps_per_second"]
    # Long enough for all kills: each takes a step, and as many as fit between two.
    steps = round(given.kills * (2 + 2 * given.seconds * rate))
    config = configuration(given, steps)
    _until_done(config, given.method)
    whole = outcome(config, given.method)
    _clear(config, given)
    print(f"{given.method}: {steps} steps, {rate:.1f} a second; {given.kills} kills")
    done: Counter[str] = Counter()
    while sum(done.values()) < given.kills:
        kill = _kill_once(config, given, chance)
        if kill is None:
            break
        done[kill] += 1
    _until_done(config, given.method)
    again = outcome(config, given.method)
    for kill, count in sorted(done.items()):
        print(f"  {count:>3} {kill}")
    print(f"  {len(read_json(_folder(config, given) / 'run.json')['resumed']):>3} times resumed")
    same = {name: whole[name] == again[name] for name in whole}
    for name, equal in same.items():
        print(f"  {name}: {'the same' if equal else 'DIFFERENT'}")
    enough = sum(done.values()) == given.kills
    if not enough:
        print("  the run was over before all kills were done; use more --seconds")
    return int(not (enough and all(same.values())))


def outcome(config: Config, method: str) -> dict[str, Any]:
    """What must be the same: weights, history (its seconds aside), the best epoch, test results."""
    folder = paths.run(config, DATASET, method, SEED)
    with (folder / "history.csv").open(newline="") as stream:
        history = [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(stream)
        ]
    record = read_json(folder / "run.json")
    tested = paths.evaluation(config, DATASET, method, SEED)
    return {
        "weights": (sha256(folder / "weights.safetensors"), record["weights_sha256"]),
        "history": history,
        "record": [record[name] for name in ("best_epoch", "best_validation", "steps")],
        "test results": sha256(tested / "counts.parquet"),
    }


def _folder(config: Config, given: argparse.Namespace) -> Path:
    return paths.run(config, DATASET, given.method, SEED)


def _clear(config: Config, given: argparse.Namespace) -> None:
    for name in OUTCOME:
        (_folder(config, given) / name).unlink()
    remove_tree(paths.state(config, DATASET, given.method, SEED))


def _until_done(config: Config, method: str) -> None:
    """Train to the end and evaluate, each in a process of its own."""
    code = _wait(_fork(lambda: train_seeds(config, DATASET, method, str(SEED))))
    code = code or _wait(_fork(lambda: evaluate_seeds(config, DATASET, method, str(SEED))))
    if code:
        sys.exit(f"error: {method} ended with {code}")


def _kill_once(config: Config, given: argparse.Namespace, chance: random.Random) -> str | None:
    """Start the run and kill it at a random moment; how, or None if it was done before."""
    states = paths.state(config, DATASET, given.method, SEED)
    asked = chance.random() < 0.25
    by = chance.choice(SIGNALS) if asked else signal.SIGKILL
    in_save = not asked and chance.random() < 0.4
    saved, before = _saved(states), _unfinished(states)
    process = _fork(lambda: train_seeds(config, DATASET, given.method, str(SEED)))
    # One in eight is killed before it can have saved anything; the others after a save or more.
    early = chance.random() < 0.125
    wait = chance.uniform(0, given.seconds if early else 2 * given.seconds)
    deadline = time.monotonic() + wait
    while True:
        if not early and _saved(states) == saved:
            deadline = time.monotonic() + wait
        over = time.monotonic() > deadline
        if over and (early or not in_save or _unfinished(states) - before):
            break
        if os.waitpid(process, os.WNOHANG) != (0, 0):
            return None
        time.sleep(0.0005 if over else 0.005)
    os.kill(process, by)
    code = _wait(process)
    if code == 0:
        return None
    if asked and code not in (TRY_AGAIN, -by):
        sys.exit(f"error: {by.name} ended the run with {code}, expected {TRY_AGAIN}")
    left = _unfinished(states) - before
    return f"{by.name}{' while a state was written' if left else ''}"


def _saved(states: Path) -> list[int]:
    """When the last state was saved."""
    return [file.stat().st_mtime_ns for file in states.glob("*/state.safetensors")]


def _unfinished(states: Path) -> set[Path]:
    """The files that a save has begun and not finished."""
    return set(states.glob("*/.state.*"))


def _fork(job: Callable[[], object]) -> int:
    """Run a job in a forked process, which has all modules already; its process id."""
    process = os.fork()
    if process:
        return process
    code = 1
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as it ends a process that has not begun to train
    try:
        with Path("log.txt").open("a") as log:
            os.dup2(log.fileno(), 2)
            job()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 (the last stop before the process ends)
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(process: int) -> int:
    """The exit code; of a killed process, minus the signal's number."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
