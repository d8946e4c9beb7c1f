"""What becomes of a bit that flips in what a run has written?

`python -m benchmarks.flips` makes a small run and flips single bits in each kind of file that is
read again, one at a time, with the time of change kept, as a disk would. A flip is noticed (the
reader ends with the one message that names the file, or a state is not used), harmless (what is
read is the same), silent (what is read is another, and nobody says so), or a traceback. It prints a
line per kind of file; the exit code is 1 if a flip was one of the last two. `--bare` removes the
digests first: that is what the formats of the files notice by themselves. `--cost` prints instead
which share of the run writing and checking digests takes.
"""

import argparse
import contextlib
import os
import pickle
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmarks.drill import DATASET, ROOT, SEED
from workflow.base import digests
from workflow.base.digests import digest_file, record_json, recorded
from workflow.base.errors import ConfigError, DataError
from workflow.base.files import sha256
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.load import load_raw, resolve
from workflow.config.model import Config
from workflow.data import gates, make
from workflow.data.arrays import load_arrays
from workflow.data.inventory import make_inventory, read_inventory
from workflow.data.prepare import prepare
from workflow.evaluation.evaluate import evaluate_seeds
from workflow.figures import paper
from workflow.metrics.saved import read_counts
from workflow.networks.tensors import read_tensors
from workflow.report.browser.masks import holds_masks, read_masks
from workflow.report.pages import KEYS, Pages
from workflow.results.records import read_seed
from workflow.running.provenance import provenance
from workflow.running.step import read_config
from workflow.training.placement import state_folder
from workflow.training.pretraining.superpixels import load_superpixels, write_superpixels
from workflow.training.state.saved import Keeper, Snapshot
from workflow.training.train import train_seeds

METHOD = "gende"
PRETRAINED = "autosmim"
# Of the run whose digests are measured: 90 steps; what digests take does not grow with them.
COST_EPOCHS = 30
FATES = ("noticed", "harmless", "silent", "traceback")
T = TypeVar("T")


class Kind(NamedTuple):
    """A kind of file: its name, one of it, and what reads it, which gives what was read."""

    name: str
    file: Path
    read: Callable[[], Any]


def main() -> int:
    """Make the run, flip, print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flips", description=__doc__)
    parser.add_argument("--flips", type=int, default=60, help="of each kind of file")
    parser.add_argument("--random", type=int, default=0, help="seed of the bits")
    parser.add_argument("--bare", action="store_true", help="without digests")
    parser.add_argument("--cost", action="store_true", help="what digests take")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        return cost() if given.cost else flipped(_quietly(made), given)


CHANGES: dict[str, Any] = {
    "preset": "everything",
    "seeds": [SEED],
    "select": {"datasets": [DATASET], "methods": [METHOD, PRETRAINED]},
    "data": {
        "retouch_record": None,
        "isic2017_record": None,
        "phantom": {"isic2017": {"train": 24, "val": 6, "test": 6, "size": [96, 72]}},
    },
    "datasets": {DATASET: {"image_size": 64, "duplicates": None}},
    "training": {"batch_size": 8, "keep_weights": True},
}


def made(epochs: int = 3) -> Config:
    """Prepare, train and evaluate one method, and what else there is of one that is pretrained.

    Returns:
        The configuration of what lies in the working folder then.
    """
    training = CHANGES["training"] | {"epochs": epochs, "max_steps": None}
    raw = load_raw(ROOT / "config.yaml", {**CHANGES, "training": training})
    config = resolve(raw)
    record_json(config.results / "config.json", raw)
    for step in (make.phantom, make.raw, make.inventory, make.split, make.prepare, make.gates):
        step(config, DATASET)
    train_seeds(config, DATASET, METHOD, str(SEED))
    evaluate_seeds(config, DATASET, METHOD, str(SEED))
    write_superpixels(config, DATASET, PRETRAINED, "12")
    keeper = Keeper(config.results / "state" / "state.safetensors", 0)
    keeper.save(Snapshot({"weights": torch.arange(512.0)}, {"step": 3}))
    keeper.wait()
    record_json(config.results / "state" / "state_search.json", {"3 of 12": {"inpainting": 0.25}})
    record_json(paths.pretraining(config, DATASET, PRETRAINED, SEED) / "policy.json", {"masked": 3})
    with recorded(paths.figure(config, "8", "png")) as picture:
        Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(picture)
    pages = Pages(Path("page"), paths.report_store(config))
    pages.render("index.html", "inputs", lambda: "<p>text</p>" * 20)
    pages.close()
    return config


def kinds(config: Config) -> list[Kind]:
    """Every kind of file that is read again, with its reader."""
    data, run = paths.prepared(config, DATASET), paths.run(config, DATASET, METHOD, SEED)
    tested = paths.evaluation(config, DATASET, METHOD, SEED)
    pretrained = paths.pretraining(config, DATASET, PRETRAINED, SEED)
    states, store = config.results / "state", paths.report_store(config)
    raw = paths.listing(config, config.raw_source(DATASET))
    cut = paths.superpixels(config, DATASET, PRETRAINED, 12)
    arrays = [
        Kind(f"{split} {name}", data / split / f"{name}.npy", partial(_array, config, split, name))
        for split in ("train", "val", "test")
        for name in ("images", "masks", "labels")
    ]
    return [
        Kind("config.json", config.results / "config.json", partial(_config, config)),
        Kind("list of raw files", raw, partial(_made_inventory, config)),
        Kind("inventory.csv", data / "inventory.csv", lambda: _text(read_inventory(data))),
        Kind("split.csv", data / "split.csv", partial(_prepared, config)),
        Kind("inputs.csv", data / "inputs.csv", partial(_prepared, config)),
        *arrays,
        Kind("index.parquet", data / "test" / "index.parquet", partial(_index, config)),
        Kind("manifest.json", data / "manifest.json", partial(_provenance, config)),
        Kind("identity.txt", data / "identity.txt", partial(_state_folder, config)),
        Kind("gates.json", paths.gates(config, DATASET), partial(_gates, config)),
        Kind("superpixels", cut, partial(_cut, config)),
        Kind("policy.json", pretrained / "policy.json", partial(_json, pretrained / "policy.json")),
        Kind("saved state", states / "state.safetensors", partial(_state, states)),
        Kind("saved trials", states / "state_search.json", partial(_trials, states)),
        Kind("weights", run / "weights.safetensors", partial(_weights, run)),
        Kind("run.json", run / "run.json", partial(_record, config)),
        Kind("history.csv", run / "history.csv", partial(_record, config)),
        Kind("counts.parquet", tested / "counts.parquet", partial(_counts, tested)),
        Kind("masks.npz in figures", tested / "masks.npz", partial(_masks, tested)),
        Kind("masks.npz in the report", tested / "masks.npz", partial(_blocks, tested)),
        Kind("figures in the report", paths.figure(config, "8", "png"), partial(_picture, config)),
        Kind("pages before", store / "index.html", partial(_page, store)),
        Kind("keys of pages before", store / KEYS, partial(_page, store)),
    ]


def flipped(config: Config, given: argparse.Namespace) -> int:
    """Flip bits of each kind and print what became of them; 1 if one was silent."""
    chance, total, of_digests = random.Random(given.random), Counter[str](), Counter[str]()
    print(f"{'file':<26}{''.join(f'{word:>10}' for word in ('tried', *FATES))}")
    for kind in kinds(config):
        if given.bare:
            for beside in (kind.file, kind.file.parent):
                digest_file(beside).unlink(missing_ok=True)
        expected = _seen_anew(kind)
        found = Counter(_flip(kind, expected, chance, kind.file) for _ in range(given.flips))
        _line(kind.name, found)
        total += found
        if digest_file(kind.file).is_file():
            beside = digest_file(kind.file)
            tries = range(max(1, given.flips // 10))
            of_digests += Counter(_flip(kind, expected, chance, beside) for _ in tries)
    if not given.bare:
        _line("their digests", of_digests)
    _line("all", total + of_digests)
    return int(bool(total["silent"] + of_digests["silent"] + total["traceback"]))


def _line(name: str, found: Counter[str]) -> None:
    counts = (found.total(), *(found[word] for word in FATES))
    print(f"{name:<26}{''.join(f'{count:>10,}' for count in counts)}", flush=True)


def _flip(kind: Kind, expected: bytes, chance: random.Random, of: Path) -> str:
    """Flip a bit of a file, read what `kind` reads, and put the bit back; what became of it."""
    data, stat = bytearray(of.read_bytes()), of.stat()
    before = bytes(data)
    place = chance.randrange(8 * len(data))
    data[place // 8] ^= 1 << place % 8
    _written(of, bytes(data), stat)
    try:
        return "harmless" if _seen_anew(kind) == expected else "silent"
    except (ConfigError, DataError) as error:
        return "noticed" if kind.file.name in str(error) else "traceback"
    except Exception:  # noqa: BLE001 (what a user would see a traceback of)
        return "traceback"
    finally:
        _written(of, before, stat)


def _written(file: Path, data: bytes, stat: os.stat_result) -> None:
    """Change a file in its place, and nothing else that can be seen of it."""
    with file.open("r+b") as stream:
        stream.write(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _seen_anew(kind: Kind) -> bytes:
    """What is read, as a process that has not read it before reads it."""
    digests._seen.clear()
    return pickle.dumps(_quietly(kind.read))


def _quietly(work: Callable[[], T]) -> T:
    """Do something; what it says goes to a file."""
    with (
        Path("said.txt").open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        return work()


def _text(table: pd.DataFrame) -> str:
    return table.to_csv()


def _array(config: Config, split: str, name: str) -> np.ndarray:
    return np.array(getattr(load_arrays(config, DATASET, split), name))


def _config(config: Config) -> Any:
    return read_config(config.results / "config.json").model_dump(mode="json")


def _made_inventory(config: Config) -> str:
    """The inventory that follows from the list; what was there stays."""
    folder = paths.prepared(config, DATASET)
    kept = {file: file.read_bytes() for file in _of(folder, "inventory.csv", "inputs.csv")}
    try:
        make_inventory(config, DATASET, say=lambda _: None)
        return (folder / "inventory.csv").read_text() + (folder / "inputs.csv").read_text()
    finally:
        for file, content in kept.items():
            file.write_bytes(content)


def _of(folder: Path, *names: str) -> list[Path]:
    return [file for name in names for file in (folder / name, digest_file(folder / name))
            if file.is_file()]  # fmt: skip


def _prepared(config: Config) -> str:
    """The manifest that follows from the split."""
    prepare(config, DATASET, say=lambda _: None)
    return (paths.prepared(config, DATASET) / "manifest.json").read_text()


def _index(config: Config) -> str:
    return _text(gates._read_index(config, DATASET, "test"))


def _provenance(config: Config) -> Any:
    return provenance(config, DATASET, METHOD)["data_hash"], _json(
        paths.prepared(config, DATASET) / "manifest.json"
    )


def _state_folder(config: Config) -> str:
    return str(state_folder(config, DATASET, METHOD, SEED, "fingerprint"))


def _gates(config: Config) -> Any:
    return _json(paths.gates(config, DATASET))


def _json(file: Path) -> Any:
    return digests.read_recorded_json(file)


def _cut(config: Config) -> np.ndarray:
    return load_superpixels(config, DATASET, PRETRAINED, 12)


def _state(states: Path) -> Any:
    found = Keeper(states / "state.safetensors", 0).load()
    if found is None:  # the run says so, and starts anew
        raise DataError(f"{states}: state.safetensors, state_search.json: not used")
    return found.facts, {name: tensor.numpy() for name, tensor in found.tensors.items()}


def _trials(states: Path) -> Any:
    from workflow.training.pretraining import stages

    found = stages._known(states / "state_search.json")
    if not found:
        raise DataError(f"{states}: state.safetensors, state_search.json: not used")
    return found


def _weights(run: Path) -> Any:
    tensors = read_tensors(run / "weights.safetensors")
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _record(config: Config) -> Any:
    found = read_seed(config, Run(DATASET, METHOD), SEED)
    return dict(found.facts), found.history


def _counts(tested: Path) -> Any:
    return read_counts(tested / "counts.parquet")


def _masks(tested: Path) -> np.ndarray:
    return paper._masks(tested / "masks.npz")


def _blocks(tested: Path) -> Any:
    file = tested / "masks.npz"
    return holds_masks(file), [np.array(block) for block in read_masks(file, (6, 64, 64), 2)]


def _picture(config: Config) -> bytes:
    return digests.intact(paths.figure(config, "8", "png")).read_bytes()


def _page(store: Path) -> str:
    """The page of the next report; one that is made anew is a damage that was noticed."""
    made = Pages(Path(tempfile.mkdtemp(dir=".")), store)
    made.render("index.html", "inputs", lambda: "<p>text</p>" * 20)
    if not made.kept:
        raise DataError(f"{store}: index.html, {KEYS}: made anew")
    return (made.folder / "index.html").read_text()


def cost() -> int:
    """Print which share of a run digests take, written and checked; 1 if it is a hundredth."""
    taken: list[tuple[float, int]] = []

    def timed(path: Path) -> str:
        start = time.perf_counter()
        found = sha256(path)
        taken.append((time.perf_counter() - start, path.stat().st_size))
        return found

    digests.sha256 = timed
    start = time.perf_counter()
    config = _quietly(partial(made, COST_EPOCHS))
    for kind in kinds(config):
        _seen_anew(kind)
    whole = time.perf_counter() - start
    seconds, size = (sum(column) for column in zip(*taken, strict=True))
    share, megabytes = seconds / whole, size / 1e6
    print(f"{len(taken)} digests of {megabytes:.0f} MB in {1000 * seconds:.0f} ms")
    print(
        f"{100 * share:.2f} % of a run of {3 * COST_EPOCHS} steps in {whole:.1f} s, imports aside"
    )
    large = Path("large.npy")
    large.write_bytes(os.urandom(2**28))
    start = time.perf_counter()
    sha256(large)
    rate = large.stat().st_size / (time.perf_counter() - start) / 1e9
    print(f"a large file: {rate:.2f} GB a second")
    return int(share >= 0.01)


if __name__ == "__main__":
    sys.exit(main())
