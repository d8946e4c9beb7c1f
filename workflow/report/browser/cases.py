"""What `cases.js` says of a data set: its test images, the methods, and what they scored on each.

title, block, height, width, notice: null or what a reader must know before a number
classes:  [{value, key, title, colour, safe}], lesions, with the captions' and a safe colour
outcomes: {tp, fn, fp: {title, colour, safe}}
labels:   [{key, title}]
images:   [{id, group, area: [share of pixels by class], truth: [0 or 1 by label]}]
methods:  [{key, title, family, tasks, seeds, kept: [seeds with masks], failed: [seeds]}]
dice, fp, fn, probabilities, called: {method: {seed: bytes}}, as in `scores.py`
disagreement: bytes, as in `differences.py`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workflow.base.digests import reading
from workflow.config import paths
from workflow.config.cells import Run, chosen_datasets, runs, shown_seeds
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.data.arrays import load_array
from workflow.figures.overlays import ERROR_COLOURS, LESION_NAMES, Colour, class_colours
from workflow.metrics.failures import failure
from workflow.report.browser.masks import BLOCK, holds_masks
from workflow.report.browser.scores import Scores, read_scores
from workflow.report.browser.scripts import packed
from workflow.results.families import family

# Of Okabe and Ito: light enough over dark pictures, and told apart by the colour-blind.
SAFE_CLASSES = ("#d55e00", "#56b4e9", "#f0e442", "#cc79a7", "#009e73", "#0072b2")
SAFE_OUTCOMES = {
    "true positive": "#f0e442",
    "false negative": "#d55e00",
    "false positive": "#56b4e9",
}
OUTCOME_KEYS = {"true positive": "tp", "false negative": "fn", "false positive": "fp"}


@dataclass(frozen=True)
class TestImages:
    """The test split of a data set, and the runs that were scored on it."""

    __test__ = False  # not a test of pytest

    config: Config
    dataset: str

    @property
    def folder(self) -> Path:
        """Where the prepared arrays lie."""
        return paths.prepared(self.config, self.dataset) / "test"

    @cached_property
    def pictures(self) -> NDArray[np.uint8]:
        """The images, memory-mapped, `[N, H, W]` or `[N, H, W, 3]`."""
        return load_array(self.folder / "images.npy")

    @cached_property
    def reference(self) -> NDArray[np.uint8]:
        """The reference masks, memory-mapped, `[N, H, W]`; 255 everywhere where there is none."""
        return load_array(self.folder / "masks.npy")

    @cached_property
    def ids(self) -> list[str]:
        """Of the images."""
        return self._column("id")

    @cached_property
    def runs(self) -> list[Run]:
        """The (data set, method) of this data set, in the report's order."""
        return [run for run in runs(self.config) if run.dataset == self.dataset]

    def masks_file(self, run: Run, seed: int) -> Path:
        """Where the masks of a run are saved."""
        return paths.evaluation(self.config, *run, seed) / "masks.npz"

    def kept(self, run: Run) -> list[int]:
        """The seeds of a run whose masks the report holds."""
        shown = shown_seeds(self.config, run)
        return [seed for seed in shown if holds_masks(self.masks_file(run, seed))]

    def images(self) -> list[dict[str, Any]]:
        """What is known of each image, whatever a method says."""
        definition = self.config.datasets[self.dataset]
        columns = [self._column(f"label_{name}") for name in definition.labels]
        truth = np.array(columns, int).reshape(len(columns), -1).T.tolist()
        values = range(1, len(definition.lesions) + 1)
        areas = [[round(float((m == v).mean()), 6) for v in values] for m in self.reference]
        of_all = zip(self.ids, self._column("group"), areas, truth, strict=True)
        return [{"id": i, "group": g, "area": a, "truth": t} for i, g, a, t in of_all]

    def _column(self, name: str) -> list[Any]:
        with reading(self.folder / "index.parquet") as file:
            return pq.read_table(file, columns=[name])[name].to_pylist()


def shown_datasets(config: Config) -> list[str]:
    """The data sets whose test images there are to show."""
    folders = {name: paths.prepared(config, name) for name in chosen_datasets(config)}
    return [
        name
        for name, folder in folders.items()
        if (folder / "manifest.json").is_file() and (folder / "test" / "index.parquet").is_file()
    ]


def cases(test: TestImages, disagreement: NDArray[np.uint8]) -> dict[str, Any]:
    """What `cases.js` says of a data set.

    Args:
        test: its test images.
        disagreement: how much methods differ about each, `[N]`.
    """
    config, definition = test.config, test.config.datasets[test.dataset]
    scores = _scores(test)
    height, width = test.reference.shape[1:]
    return {
        "title": definition.title,
        "block": BLOCK,
        "height": height,
        "width": width,
        "notice": "; ".join(notices(config, test.runs)) or None,
        "classes": _classes(definition.lesions),
        "outcomes": {
            OUTCOME_KEYS[title]: {"title": title, **_colours(colour, SAFE_OUTCOMES[title])}
            for title, colour in ERROR_COLOURS.items()
        },
        "labels": [{"key": name, "title": _words(name)} for name in definition.labels],
        "images": test.images(),
        "methods": [_method(test, run) for run in test.runs],
        **{name: _table(scores, name) for name in Scores._fields},
        "disagreement": packed(disagreement),
    }


def _words(key: str) -> str:
    return key.replace("_", " ")


def _colours(colour: Colour, safe: str) -> dict[str, str]:
    return {"colour": "#{:02x}{:02x}{:02x}".format(*colour), "safe": safe}


def _classes(lesions: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "value": value,
            "key": name,
            "title": LESION_NAMES.get(name, _words(name)),
            **_colours(colour, SAFE_CLASSES[(value - 1) % len(SAFE_CLASSES)]),
        }
        for value, (name, colour) in enumerate(zip(lesions, class_colours(lesions), strict=True), 1)
    ]


def _method(test: TestImages, run: Run) -> dict[str, Any]:
    config, entry = test.config, test.config.methods[run.method]
    return {
        "key": run.method,
        "title": entry.title,
        "family": family(config, run.method).name,
        "tasks": list(entry.tasks),
        "seeds": list(config.seeds),
        "kept": test.kept(run),
        "failed": [seed for seed in config.seeds if failure(config, run, seed)],
    }


def _scores(test: TestImages) -> dict[Run, dict[int, Scores]]:
    """What each run scored, of the seeds that have counts; a failed one has none."""
    rows = {name: row for row, name in enumerate(test.ids)}
    files = {
        (run, seed): paths.evaluation(test.config, *run, seed) / "counts.parquet"
        for run in test.runs
        for seed in test.config.seeds
    }
    found: dict[Run, dict[int, Scores]] = {}
    for (run, seed), file in files.items():
        if file.is_file():
            found.setdefault(run, {})[seed] = read_scores(file, rows, test.config.evaluation)
    return found


def _table(scores: Mapping[Run, Mapping[int, Scores]], name: str) -> dict[str, dict[int, str]]:
    """{method: {seed: bytes}} of a field of the scores; methods that have none are left out."""
    table = {
        run.method: {
            seed: packed(values)
            for seed, one in seeds.items()
            if (values := getattr(one, name)) is not None
        }
        for run, seeds in scores.items()
    }
    return {method: seeds for method, seeds in table.items() if seeds}
