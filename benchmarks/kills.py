"""Is a workflow that is killed again and again the same as one that is not?

`python -m benchmarks.kills` makes a small run from downloads to report, undisturbed, and once more
while it is killed in every step: all of its processes (as when the power fails), Snakemake alone,
or one of its children. Each time the same command is given again, without a flag, and at the end
every table, mask, weight, figure and page is compared. It prints a line per step, and what differs;
the exit code is 1 if anything does, or if a command was refused. `--short` is for CI.

`python -m benchmarks.drill` kills the training of one run, inside saves too; this kills what is
around it. The phantoms have a run of their own, because what is downloaded is not painted.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.workflow.data.fetching.http_server import serving
from tests.workspace import copy_tree, environment
from workflow.base.files import csv_text, read_csv, read_json
from workflow.data.phantom import write_isic2017

RESULTS = Path("results/smoke")
LISTED = f"{RESULTS}/data/isic2017_files.json"
IMAGES: dict[str, Any] = {"train": 24, "val": 6, "test": 6, "size": (96, 72)}
SELECT = "select={datasets: [isic2017], methods: [autosmim, control_oracle, control_prior]}"
DATASETS = "datasets={isic2017: {image_size: 64, duplicates: null}}"
# Step -> where its jobs have their logs, in the order of the DAG; `start` is before any job.
STEPS = {
    "start": "",
    "phantom": "phantom/*.log",
    "download": "download/*.log",
    "raw": "raw/*.log",
    "inventory": "inventory/*.log",
    "split": "split/*.log",
    "prepare": "prepare/*.log",
    "gates": "gates/*.log",
    "superpixels": "superpixels/**/*.log",
    "pretrain": "pretrain/**/*.log",
    "train": "train/**/*.log",
    "evaluate": "evaluate/**/*.log",
    "control": "control/**/*.log",
    "table": "tables/*.log",
    "figure": "figures/*.log",
    "plot": "plots/*.log",
    "verdicts": "verdicts.log",
    "report": "report.log",
}
PHANTOM, SHORT = ("start", "phantom"), ("download", "prepare", "train", "evaluate", "report")
OF_DATA = ("phantom", "download", "raw", "inventory", "split", "prepare", "gates")
TRAINING = ("superpixels", "pretrain", "train", "evaluate", "report")
WAYS = ("all processes", "Snakemake alone", "one child")
# What differs from time to time in records, and tables and figures of such numbers.
TIMES = {
    "started", "finished", "wall_seconds", "steps_per_second", "save_seconds_total", "resumed",
    "peak_memory_bytes", "seconds",
}  # fmt: skip
OF_TIMES = ("table_efficiency.", "efficiency.")
# Beside results: what is said, measured, or kept for another start.
NOT_COMPARED = ("logs", "benchmarks", "state", "config.json")
REFUSALS = ("IncompleteFilesException", "LockException", "Traceback (most recent call last)")
SECONDS_TO_END = 10.0
MOST_SECONDS = 600.0


@dataclass
class KilledRun:
    """One run of the workflow in a tree of its own.

    Attributes:
        folder: the copy of the tree.
        command: the command that is given again and again.
        kills: (step, way) -> how often.
        refused: what was said where a command ended by itself, and not well.
    """

    folder: Path
    command: list[str]
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    @property
    def said(self) -> Path:
        """What the command says."""
        return self.folder / "said.txt"

    def start(self) -> subprocess.Popen[bytes]:
        """Give the command."""
        with self.said.open("wb") as stream:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=environment(ISIC2017_DIR="", RETOUCH_DIR=""),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def finish(self) -> None:
        """Give the command and wait for its end."""
        self.ended(self.start().wait(MOST_SECONDS))

    def ended(self, code: int) -> None:
        """Note what was said, if the command ended and should not have as it did."""
        text = self.said.read_text(errors="replace")
        if code or any(word in text for word in REFUSALS):
            self.refused.append(f"exit code {code}\n{text[-3000:]}")

    def log_time(self, step: str) -> float:
        """When the last job of a step began to write its log."""
        logs = (self.folder / RESULTS / "logs").glob(STEPS[step]) if STEPS[step] else ()
        return max((log.stat().st_mtime for log in logs), default=0.0)

    def kill_in(self, step: str, delay: float, way: str, chance: random.Random) -> bool:
        """Give the command and kill it when a step has begun and `delay` is over.

        Returns:
            Whether it was killed before its end.
        """
        began = time.time()
        process = self.start()
        deadline = time.monotonic() + MOST_SECONDS
        while STEPS[step] and not self._reached(step, began):
            if process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        time.sleep(delay)
        if process.poll() is not None:
            self.ended(process.returncode)
            return False
        struck = self._now(step, began)
        _kill(process.pid, way, chance)
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # it does without that child
            _kill(process.pid, "all processes", chance)
            process.wait()
        self.kills[struck, way] += 1
        return True

    def _reached(self, step: str, began: float) -> bool:
        """Whether a step has begun in this call, or one that rests on it, as it is done."""
        return any(self.log_time(name) > began for name in (step, *_resting_on(step)))

    def _now(self, step: str, began: float) -> str:
        """The step that is struck: the one that is meant, or else the one that began last."""
        last = max(STEPS, key=self.log_time)
        struck = step if STEPS[step] and self.log_time(step) > began else last
        return struck if self.log_time(struck) > began else "start"


def _resting_on(step: str) -> tuple[str, ...]:
    """The steps that begin after another has ended."""
    names = list(STEPS)
    after = tuple(names[names.index(step) + 1 :])
    if step in OF_DATA:
        return after
    return tuple(name for name in after if name in TRAINING) if step in TRAINING else ("report",)


def main() -> int:
    """Run, kill, compare, print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--each", type=int, default=3, help="kills in each step")
    parser.add_argument("--short", action="store_true", help=f"only in {', '.join(SHORT)}")
    parser.add_argument("--minutes", type=float, default=60, help="of killing, at most")
    parser.add_argument("--random", type=int, default=0, help="seed of the moments")
    given = parser.parse_args()
    chance = random.Random(given.random)
    bad, until = 0, time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch, _served(Path(scratch)) as data:
        if not given.short:
            bad += _drill(
                Path(scratch) / "phantom", _phantoms(), PHANTOM, given.each, chance, until
            )
        steps = SHORT if given.short else tuple(s for s in STEPS if s not in PHANTOM)
        bad += _drill(Path(scratch) / "whole", _command(data), steps, given.each, chance, until)
    return int(bool(bad))


def _command(data: str, *targets: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "preset=smoke"]
    return [*command, SELECT, DATASETS, data, *(("--", *targets) if targets else ())]


def _phantoms() -> list[str]:
    images = {**IMAGES, "size": [*IMAGES["size"]]}
    return _command(f"data={{phantom: {{isic2017: {images}}}, isic2017_record: null}}", LISTED)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve archives of phantoms as the real ones are; gives what the configuration says."""
    files = folder / "served"
    write_isic2017(files, **IMAGES, seed=1)
    sums = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in files.iterdir()}
    record = folder / "record.yaml"
    parts = {"train": "Training", "val": "Validation", "test": "Test_v2"}
    counts = {split: _counted(files, part) for split, part in parts.items()}
    record.write_text(yaml.safe_dump({"files": sums, "counts": counts}))
    with serving(files) as address:
        yield f"data={{origin: local, isic2017_url: '{address}', isic2017_record: {record}}}"


def _counted(files: Path, part: str) -> dict[str, int]:
    """What a record says of a split: its images, masks and diagnoses."""
    rows = read_csv(files / f"ISIC-2017_{part}_Part3_GroundTruth.csv")
    names = ("melanoma", "seborrheic_keratosis")
    found = {name: sum(float(row[name]) > 0 for row in rows) for name in names}
    images = len(rows)
    return {"images": images, "masks": images, **found, "nevus": images - sum(found.values())}


def _drill(
    scratch: Path,
    command: list[str],
    steps: tuple[str, ...],
    each: int,
    chance: random.Random,
    until: float,
) -> int:
    """One run undisturbed, once more with kills in some steps; returns how many things are bad."""
    began = time.monotonic()
    whole = KilledRun(copy_tree(scratch / "undisturbed"), command)
    whole.finish()
    if whole.refused:
        sys.exit(f"error: the undisturbed run did not end well: {whole.refused[0]}")
    seconds = _seconds(whole)
    killed = KilledRun(copy_tree(scratch / "killed"), command)
    for step in steps:
        for number in range(each):
            # The last time about when the step ends: its outputs are there, and not yet noted.
            last = number == each - 1 and each > 1
            share = chance.uniform(0.85, 1.2) if last else chance.uniform(0, 0.9)
            way = WAYS[sum(killed.kills.values()) % len(WAYS)]
            if not killed.kill_in(step, share * seconds.get(step, 2.0), way, chance):
                break
            if killed.refused or time.monotonic() > until:
                break
    killed.finish()
    wrong = sorted(differences(whole.folder / RESULTS, killed.folder / RESULTS))
    _print(killed, steps, wrong, time.monotonic() - began)
    for text in (*whole.refused, *killed.refused):
        print(f"  REFUSED: {text}")
    return len(wrong) + len(whole.refused) + len(killed.refused)


def _print(run: KilledRun, steps: tuple[str, ...], wrong: list[str], seconds: float) -> None:
    ways = " · ".join(f"{sum(n for (_, w), n in run.kills.items() if w == x)} {x}" for x in WAYS)
    files = sum(1 for _ in _compared(run.folder / RESULTS))
    print(f"{run.kills.total()} kills ({ways}) in {seconds:.0f} s")
    for step in STEPS:
        count = sum(n for (s, _), n in run.kills.items() if s == step)
        if count or step in steps:
            print(f"  {step:<12}{count:>3}")
    print(f"  {files} files compared, {len(wrong)} differ", flush=True)
    for name in wrong:
        print(f"  DIFFERENT: {name}")


def _seconds(run: KilledRun) -> dict[str, float]:
    """Step -> the seconds of its shortest job, as Snakemake measured them."""
    found: dict[str, float] = {}
    for file in (run.folder / RESULTS / "benchmarks").rglob("*.tsv"):
        step = file.relative_to(run.folder / RESULTS / "benchmarks").parts[0]
        took = float(read_csv(file, "\t")[0]["s"])
        found[step] = min(took, found.get(step, took))
    return found


def _kill(pid: int, way: str, chance: random.Random) -> None:
    """Kill Snakemake, all that it started, or one of those."""
    snakemake = psutil.Process(pid)
    children = snakemake.children(recursive=True)
    if way == "one child" and children:
        chosen = [chance.choice(children)]
    elif way == "Snakemake alone":
        chosen = [snakemake]
    else:
        chosen = [snakemake, *children]
    for process in chosen:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def differences(one: Path, other: Path) -> Iterator[str]:
    """The files of two runs that are not in both, or are not the same but for times."""
    names = {file.relative_to(one) for file in _compared(one)}
    others = {file.relative_to(other) for file in _compared(other)}
    yield from (f"{name} is in one of them alone" for name in names ^ others)
    for name in names & others:
        read = READERS.get(name.name, _page if name.parts[0] == "report" else Path.read_bytes)
        if not name.name.startswith(OF_TIMES) and read(one / name) != read(other / name):
            yield str(name)


def _compared(results: Path) -> Iterator[Path]:
    for file in results.rglob("*"):
        inside = file.relative_to(results)
        hidden = file.name.startswith(".")  # digests, of times too
        if file.is_file() and not hidden and inside.parts[0] not in NOT_COMPARED:
            yield file


def _record(path: Path) -> Any:
    """A record of a run without what differs from time to time."""
    return {key: value for key, value in read_json(path).items() if key not in TIMES}


def _history(path: Path) -> str:
    """A training curve without its seconds."""
    rows = read_csv(path)
    return csv_text([key for key in (rows[0] if rows else ()) if key not in TIMES], rows)


def _page(path: Path) -> bytes | None:
    """What a report shows; pages that say when and how long are only to be there."""
    return None if path.suffix in (".html", ".json") else path.read_bytes()


READERS: dict[str, Callable[[Path], Any]] = {
    "run.json": _record,
    "policy.json": _record,
    "history.csv": _history,
}


if __name__ == "__main__":
    sys.exit(main())
