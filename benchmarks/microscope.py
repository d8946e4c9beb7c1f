"""What the image browser's data weigh and cost: `python -m benchmarks.microscope`.

Writes two of preset paper's test sets at their real size into a temporary folder, phantom images
with the masks of a few made-up methods: references bent by smooth and by fine noise, with false
spots. Writes the data of the browser from them three times: anew, with nothing changed, and with
one run changed. Prints bytes and seconds, and what they come to for the whole report, which is an
extrapolation: bytes of a run by data set, times the runs that the configuration asks for.
"""

import argparse
import contextlib
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reporting import TEST
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.cells import Run, chosen_datasets, runs
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.data.phantom.retina import grow_volume
from workflow.data.phantom.skin import assign_kinds, draw_picture
from workflow.metrics.counts_file import (
    classification_rows,
    segmentation_rows,
    write_counts_file,
)
from workflow.report.browser.write import write_microscope
from workflow.report.pages import Pages

ROOT = Path(__file__).parents[1]
# Data set -> the measured one that stands for it.
LIKE = {
    "retouch_cirrus": "retouch_spectralis",
    "retouch_spectralis": "retouch_spectralis",
    "retouch_topcon": "retouch_spectralis",
    "isic2017": "isic2017",
}
LIMITS = {"first": 300e6, "all": 1.5e9}
Masks = NDArray[np.uint8]
T = TypeVar("T")


class Taken(NamedTuple):
    """Of one writing: seconds by the clock and of the processor, and peak memory in MB."""

    clock: float
    processor: float
    memory: float


def main() -> None:
    """Generate, write three times, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.microscope", description=__doc__)
    parser.add_argument("--methods", type=int, default=4, help="how many segment (default: 4)")
    given = parser.parse_args()
    whole = load_config(str(ROOT / "config.yaml"), {"preset": "paper"})
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for name in ("workflow", "resformer", "baselines", "config.yaml"):
            Path(name).symlink_to(ROOT / name)
        weights = {name: measure(whole, name, given.methods) for name in sorted({*LIKE.values()})}
    print("\n".join(extrapolated(whole, weights)))


class Weight(NamedTuple):
    """Of a data set.

    Attributes:
        fixed: bytes of what is there once.
        masks: bytes of a run's masks.
        scores: bytes of a run's scores.
        first: seconds of the processor for what is there once.
        run: seconds of the processor for a run.
    """

    fixed: float
    masks: float
    scores: float
    first: float
    run: float


def measure(whole: Config, dataset: str, count: int) -> Weight:
    """Write the data of one test set; print and return what they weigh."""
    known = _segmenting(whole, dataset)
    methods = [run.method for run in known][:count]
    select = {"datasets": [dataset], "methods": methods}
    config = load_config("config.yaml", {"preset": "paper", "select": select})
    in_new_process(generate, config, dataset, methods)
    images = TEST[dataset][0] * TEST[dataset][1]
    size = config.datasets[dataset].image_size
    print(f"{dataset}: {images} images of {size} px, {len(methods)} methods")
    took = {}
    for what in ("anew", "nothing changed", "one run changed"):
        if what == "one run changed":
            (paths.report_images(config) / dataset / methods[0] / "seed0.key").write_text("other")
        took[what] = taken = in_new_process(write, config)
        print(
            f"  {what:<16}{taken.clock:8.2f} s, processor {taken.processor:.2f} s, "
            f"peak memory {taken.memory:.0f} MB",
            flush=True,
        )
    folder = paths.report(config) / "images" / dataset
    for name in ("pictures", "thumbs", "reference"):
        print(f"  {name:<16}{_bytes(folder / name) / 1e6:8.2f} MB")
    of_runs = [_bytes(folder / method) for method in methods]
    print(f"  {'masks of a run':<16}{np.mean(of_runs) / 1e6:8.2f} MB")
    cases = (folder / "cases.js").stat().st_size
    print(f"  {'cases.js':<16}{cases / 1e6:8.2f} MB\n", flush=True)
    fixed = _bytes(folder) - sum(of_runs) - cases
    run = took["one run changed"].processor - took["nothing changed"].processor
    return Weight(
        fixed,
        float(np.mean(of_runs)),
        cases / (len(methods) * len(config.seeds)),
        took["anew"].processor - len(methods) * run,
        run,
    )


def in_new_process(work: Callable[..., T], *given: object) -> T:
    """Do a piece of work in a process of its own, whose peak memory is of that alone.

    A new process begins with the peak of the one that starts it, so this has to stay small.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def write(config: Config) -> Taken:
    """Write the data of the browser, as a new report does."""
    folder = paths.report(config)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(None):
        write_microscope(config, Pages(folder, paths.report_store(config)))
    clock, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return Taken(clock, processor, peak)


def extrapolated(whole: Config, weights: dict[str, Weight]) -> list[str]:
    """What the whole report's images would weigh, by what `report.masks` may be."""
    lines = ["extrapolation to the whole report: images/ made anew"]
    every = len(whole.seeds)
    for kept, limit in LIMITS.items():
        size = seconds = 0.0
        for dataset in chosen_datasets(whole):
            share = np.prod(TEST[dataset]) / np.prod(TEST[LIKE[dataset]])
            weight = weights[LIKE[dataset]]
            methods = len(_segmenting(whole, dataset))
            of_all = sum(run.dataset == dataset for run in runs(whole))
            seeds = every if kept == "all" else 1
            scores = weight.scores * of_all * every
            size += share * (weight.fixed + weight.masks * methods * seeds + scores)
            seconds += share * (weight.first + weight.run * methods * seeds)
        lines.append(
            f"  masks: {kept:<8}{size / 1e6:8.0f} MB, at most {limit / 1e6:.0f}; "
            f"{seconds:.0f} s of the processor"
        )
    return lines


def _segmenting(config: Config, dataset: str) -> list[Run]:
    """The runs of a data set whose masks a report holds."""
    of_it = [run for run in runs(config) if run.dataset == dataset]
    entries = [(run, config.methods[run.method]) for run in of_it]
    return [r for r, entry in entries if entry.control is None and "segmentation" in entry.tasks]


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def generate(config: Config, dataset: str, methods: list[str]) -> None:
    """Write the test split, and masks and counts of the methods."""
    definition, random = config.datasets[dataset], np.random.default_rng(0)
    images, masks = phantoms(dataset, definition.image_size)
    folder = paths.prepared(config, dataset)
    (folder / "test").mkdir(parents=True)
    np.save(folder / "test" / "images.npy", images)
    np.save(folder / "test" / "masks.npy", masks)
    ids = [f"{dataset}_{k:04d}" for k in range(len(images))]
    groups = [f"volume{k // TEST[dataset][1]}" for k in range(len(images))]
    labels = random.integers(0, 2, (len(images), len(definition.labels)), dtype=np.uint8)
    columns = {f"label_{name}": labels[:, k] for k, name in enumerate(definition.labels)}
    index = pa.table({"id": ids, "group": groups, **columns})
    pq.write_table(index, folder / "test" / "index.parquet")
    write_json(folder / "manifest.json", {"hash": "0" * 64})
    for place, method in enumerate(methods):
        predicted = np.stack([spoiled(random, mask, 0.01 * (1 + place % 4)) for mask in masks])
        counts = _counts(masks, predicted, len(definition.lesions))
        tables = [segmentation_rows(ids, groups, definition.lesions, counts)]
        if "classification" in config.methods[method].tasks:
            logits = random.normal(0, 2, labels.shape).astype(np.float32)
            tables.append(classification_rows(ids, groups, definition.labels, labels, logits))
        for seed in config.seeds:
            write_counts_file(
                paths.evaluation(config, dataset, method, seed) / "counts.parquet", tables
            )
        file = paths.evaluation(config, dataset, method, config.seeds[0]) / "masks.npz"
        np.savez_compressed(file, masks=predicted)


def phantoms(dataset: str, size: int) -> tuple[NDArray[np.uint8], Masks]:
    """Images and references of a whole test set, at the size that networks see."""
    groups, each = TEST[dataset]
    if dataset == "isic2017":
        random = np.random.default_rng(0)
        drawn = [
            draw_picture(random, kind, size=(320, 240), patches=False)
            for kind in assign_kinds(random, groups)
        ]
        pairs = [(one.image, one.mask // 255) for one in drawn]
    else:
        volumes = [grow_volume("Spectralis", k, scale=1.0, seed=0) for k in range(groups)]
        pairs = [
            ((scan >> 8).astype(np.uint8), mask)
            for volume in volumes
            for scan, mask in zip(volume.oct[:each], volume.reference[:each], strict=True)
        ]
    ways = (Image.Resampling.BILINEAR, Image.Resampling.NEAREST)
    images, masks = (
        np.stack(
            [np.asarray(Image.fromarray(one[k]).resize((size, size), ways[k])) for one in pairs]
        )
        for k in (0, 1)
    )
    return images, masks


def spoiled(random: np.random.Generator, mask: Masks, error: float) -> Masks:
    """A mask with bent and ragged borders, and now and then a false spot.

    Args:
        random: source of randomness.
        mask: labels `[H, W]`.
        error: how far borders move, as a share of the side.
    """
    size = mask.shape[0]
    bend = sum(_noise(random, size, cells) * error * size / cells**0.5 for cells in (6, 40))
    down, right = (np.rint(_noise(random, size, 12) * bend).astype(int) for _ in range(2))
    rows, columns = np.ogrid[:size, :size]
    predicted = mask[np.clip(rows + down, 0, size - 1), np.clip(columns + right, 0, size - 1)]
    if mask.any() and random.random() < 0.3:
        spots = _noise(random, size, 10) > 2.8
        predicted = np.where(spots, random.integers(1, mask.max() + 1), predicted)
    return predicted.astype(np.uint8)


def _noise(random: np.random.Generator, size: int, cells: int) -> NDArray[np.float32]:
    """Smooth noise `[size, size]` of unit variance at the nodes of a grid."""
    grid = Image.fromarray(random.normal(size=(cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))


def _counts(masks: Masks, predicted: Masks, lesions: int) -> NDArray[np.int64]:
    """Pixels `[N, n, 4]`: TP, FP, FN, TN."""
    found = []
    for label in range(1, lesions + 1):
        truth, drawn = masks == label, predicted == label
        parts = (truth & drawn, drawn & ~truth, truth & ~drawn, ~truth & ~drawn)
        found.append([part.sum(axis=(1, 2)) for part in parts])
    return np.moveaxis(np.array(found, np.int64), 2, 0)


if __name__ == "__main__":
    main()
