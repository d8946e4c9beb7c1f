"""What rebuilding tables, figures and verdicts costs: `python -m benchmarks.reporting`.

Writes a finished run of the paper's size into a temporary folder: every (data set, method) of
preset paper, five seeds, counts of as many test images as Table I has, with the numbers of the
paper as their centre. Then runs `resformer rebuild` on it, as a user would, and
prints what it took. Masks are written where a figure reads them, which is the first seed.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.cells import Run, chosen_datasets, figure_runs, runs
from workflow.config.load import load_config, load_raw
from workflow.config.model import Config
from workflow.metrics.counts_file import (
    classification_rows,
    segmentation_rows,
    write_counts_file,
)
from workflow.results.printed import printed_results

ROOT = Path(__file__).parents[1]
# Test volumes, and slices in each; of ISIC 2017, images that stand for themselves.
TEST = {
    "retouch_cirrus": (4, 128),
    "retouch_spectralis": (4, 49),
    "retouch_topcon": (4, 128),
    "isic2017": (600, 1),
}
TRAINING = 24  # images; the report shows some of them
EPOCHS = 100
# What groups, seeds and images add to a method's share of right pixels, as standard deviations.
GROUPS, SEEDS, IMAGES = 0.03, 0.01, 0.12


def main() -> None:
    """Generate, rebuild, print."""
    parser = argparse.ArgumentParser(description="What a rebuild costs at the paper's size.")
    parser.add_argument("--report", action="store_true", help="rebuild the report too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        # Results go to the working folder, in which the rest of the tree has to be found too.
        for name in ("workflow", "resformer", "baselines", "docs", "config.yaml", "uv.lock"):
            Path(name).symlink_to(ROOT / name)
        start = time.perf_counter()
        config = load_config("config.yaml", {"preset": "paper"})
        write_json(config.results / "config.json", load_raw("config.yaml", {"preset": "paper"}))
        count = generate(config)
        size = sum(file.stat().st_size for file in config.results.rglob("*") if file.is_file())
        seconds = time.perf_counter() - start
        print(f"generated {count} runs, {size / 1e9:.2f} GB, in {seconds:.0f} s\n", flush=True)
        options = ["--report"] if given.report else []
        command = [sys.executable, "-m", "workflow", "rebuild"]
        subprocess.run([*command, str(config.results / "config.json"), *options], check=True)


def generate(config: Config) -> int:
    """Write everything that reporting reads; the number of runs."""
    drawn = {run for key in config.figures for run in figure_runs(config, key)}
    for dataset in chosen_datasets(config):
        test = TestSet(config, dataset)
        test.write_data()
        for run in runs(config):
            if run.dataset == dataset:
                for seed in config.seeds:
                    test.write_run(run, seed)
                if run in drawn:
                    test.write_masks(run)
    return len(runs(config)) * len(config.seeds)


class TestSet:
    """The test images of one data set, and what methods make of them."""

    def __init__(self, config: Config, dataset: str) -> None:
        self.config, self.dataset = config, dataset
        self.definition = config.datasets[dataset]
        self.random = np.random.default_rng(list(TEST).index(dataset))
        groups, each = TEST[dataset]
        self.count, self.size = groups * each, self.definition.image_size
        self.ids = [f"{dataset}_{k:04d}" for k in range(self.count)]
        volumes = [f"volume{k // each}" for k in range(self.count)]
        self.groups = volumes if self.definition.by_volume else self.ids
        self.group = np.arange(self.count) // each
        lesions, labels = len(self.definition.lesions), len(self.definition.labels)
        # A lesion is an ellipse; half of the OCT images hold a given one, all skin images do.
        share = 0.3 if self.definition.by_volume else 1.0
        self.held = self.random.random((self.count, lesions)) < share
        self.radius = self.random.uniform(0.04, 0.2, (self.count, lesions, 2)) * self.size
        self.centre = self.random.uniform(0.25, 0.75, (self.count, lesions, 2)) * self.size
        self.labels = (self.random.random((self.count, labels)) < 1 / labels).astype(np.uint8)

    def masks(self, error: float) -> NDArray[np.uint8]:
        """Masks `[N, H, W]` whose ellipses are off by a share of their radii."""
        masks = np.zeros((self.count, self.size, self.size), np.uint8)
        y, x = np.ogrid[: self.size, : self.size]
        shift = self.random.normal(0, error, self.centre.shape) * self.radius
        for image, lesion in zip(*np.nonzero(self.held), strict=True):
            (a, b), (top, left) = self.radius[image, lesion], (self.centre + shift)[image, lesion]
            inside = ((y - top) / a) ** 2 + ((x - left) / b) ** 2 < 1
            masks[image][inside] = lesion + 1
        return masks

    def write_data(self) -> None:
        """Prepared arrays, manifest and gates."""
        folder = paths.prepared(self.config, self.dataset)
        channels = [3] if self.definition.color else []
        parts = {"test": self.masks(0.0), "train": self.masks(0.0)[:TRAINING]}
        for split, masks in parts.items():
            (folder / split).mkdir(parents=True)
            noise = self.random.integers(60, 120, (*masks.shape, *channels), dtype=np.uint8)
            lit = (masks > 0).reshape(*masks.shape, *[1] * len(channels))
            np.save(folder / split / "images.npy", noise + 80 * lit.astype(np.uint8))
            np.save(folder / split / "masks.npy", masks)
            self._index(split)[: len(masks)].to_parquet(
                folder / split / "index.parquet", index=False
            )
        splits = {name: {"images": self.count, "groups": 4} for name in ("train", "val", "test")}
        manifest = {
            "dataset": self.dataset,
            "source": self.definition.source,
            "origin": self.config.data.origin,
            "image_size": self.size,
            "splits": splits,
            "groups": 24,
            "original_sizes": ["512×496"],
            "split": self.definition.split,
            "hash": "0" * 64,
        }
        write_json(folder / "manifest.json", manifest)
        write_json(paths.gates(self.config, self.dataset), self._gates())

    def _index(self, split: str) -> pd.DataFrame:
        index = pd.DataFrame(
            {
                "id": [f"{split}_{name}" if split != "test" else name for name in self.ids],
                "group": self.groups,
                "has_mask": True,
                "score_segmentation": True,
                "score_classification": True,
            }
        )
        for k, label in enumerate(self.definition.labels):
            index[f"label_{label}"] = self.labels[:, k].astype(np.int8)
        return index

    def _gates(self) -> dict[str, object]:
        split = {
            "images": self.count,
            "groups": 4,
            "masks": self.count,
            "positive": dict.fromkeys(self.definition.labels, 0),
            "positive_share": float(self.labels.mean()),
            "lesion_pixels": dict.fromkeys(self.definition.lesions, 0.01),
        }
        return {
            "prevalence": dict.fromkeys(("train", "val", "test"), split),
            "sizes": {"smallest": [512, 496], "largest": [512, 496], "distinct": 1},
            "duplicates": [],
            "dropped": [],
            "leaks": None,
            "gates": [],
        }

    def write_run(self, run: Run, seed: int) -> None:
        """Counts by the real writer, run.json and history.csv."""
        tables = []
        tasks = self.config.methods[run.method].tasks
        if "segmentation" in tasks:
            lesions, counts = self.definition.lesions, self._counts(run)
            tables.append(segmentation_rows(self.ids, self.groups, lesions, counts))
        if "classification" in tasks:
            labels, logits = self.definition.labels, self._logits(run)
            tables.append(classification_rows(self.ids, self.groups, labels, self.labels, logits))
        evaluation = paths.evaluation(self.config, *run, seed)
        write_counts_file(evaluation / "counts.parquet", tables)
        folder = paths.run(self.config, *run, seed)
        facts = {
            "dataset": run.dataset,
            "method": run.method,
            "seed": seed,
            "commit": "0" * 40,
            "lock_sha256": "0" * 64,
            "data_hash": "0" * 64,
            "device": "a processor",
            "precision": "bf16",
            "versions": {"python": "3.11"},
            "wall_seconds": 3600.0,
            "parameters": 30_000_000,
            "peak_memory_bytes": 8_000_000_000,
            "best_epoch": EPOCHS,
            "initialisation": "random",
        }
        write_json(folder / "run.json", facts)
        names = "epoch,steps,learning_rate,train_loss,val_loss,val_ji,seconds"
        rows = [f"{e},{e * 320},0.003,{1 / e},{1.2 / e},{1 - 1 / e},30" for e in range(1, EPOCHS)]
        (folder / "history.csv").write_text("\n".join([names, *rows, ""]))

    def _counts(self, run: Run) -> NDArray[np.int64]:
        """Pixels `[N, n, 4]`, as many of a lesion's right as the paper's DSC says, about."""
        share = self._right(run, "dsc", self.held.shape)
        area = np.where(self.held, np.pi * self.radius.prod(axis=-1), 0)
        tp = np.rint(share * area)
        wrong = np.rint((1 - share) * area)
        rest = self.size**2 - tp - 2 * wrong
        return np.stack([tp, wrong, wrong, rest], axis=-1).astype(np.int64)

    def _logits(self, run: Run) -> NDArray[np.float32]:
        """Logits `[N, n]`, on the right side of 0 as often as the paper's accuracy says, about."""
        right = self.random.random(self.labels.shape) < self._right(run, "acc", self.labels.shape)
        size = self.random.exponential(2.0, self.labels.shape)
        return np.where(right == self.labels, size, -size).astype(np.float32)

    def _right(self, run: Run, metric: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The share of right pixels or labels of each image: of method, group, seed and image."""
        printed = {(k.dataset, k.method, k.metric): v for k, v in printed_results().items()}
        centre = float(printed.get((run.dataset, run.method, metric), 50.0)) / 100
        groups = self.random.normal(0, GROUPS, (self.group.max() + 1, *shape[1:]))[self.group]
        noise = self.random.normal(0, SEEDS) + self.random.normal(0, IMAGES, shape)
        return np.clip(centre + groups + noise, 0, 1)

    def write_masks(self, run: Run) -> None:
        """Predicted masks of the first seed, as evaluation compresses them."""
        folder = paths.evaluation(self.config, *run, self.config.seeds[0])
        np.savez_compressed(folder / "masks.npz", masks=self.masks(0.1))


if __name__ == "__main__":
    main()
