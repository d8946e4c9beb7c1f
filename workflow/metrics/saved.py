"""Saved counts and scores, read back as arrays: the one reader behind every metric.

A report reads hundreds of runs, so nothing here goes through pandas.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workflow.base.digests import read_recorded_json, reading
from workflow.base.errors import DataError
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.metrics.counts_file import VERSION, VERSION_KEY

_KEYS = ["id", "group", "task", "name"]
AGAIN = "delete it, and it is made again"


@dataclass(frozen=True)
class ScoredImages:
    """The images that are scored for a task, and what they are scored on.

    Attributes:
        ids: the names of the N images, in the file's order.
        names: the names of the classes (lesions or labels), in the file's order.
        groups: the different groups, in the order of their first images.
        group: the position in `groups` of each image, `[N]`.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    group: NDArray[np.intp]

    def sums(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Sums over the images of each group: `[N, C]` to `[G, C]`."""
        groups, columns = len(self.groups), values.shape[1]
        cells = self.group[:, None] * columns + np.arange(columns)
        sums = np.bincount(cells.ravel(), values.ravel(), groups * columns)
        return sums.astype(np.float64).reshape(groups, columns)

    def same_as(self, other: "ScoredImages") -> bool:
        """Whether both are the same images, groups and classes in the same order."""
        names = (self.ids, self.names, self.groups) == (other.ids, other.names, other.groups)
        return names and bool((self.group == other.group).all())


@dataclass(frozen=True)
class Pixels:
    """What a method's masks count; all float64 `[N, n]`.

    Attributes:
        tp, fp, fn, tn: pixels, whole numbers.
        hd95, asd: distances in pixels, NaN where undefined or not measured.
    """

    images: ScoredImages
    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    fn: NDArray[np.float64]
    tn: NDArray[np.float64]
    hd95: NDArray[np.float64]
    asd: NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """What a method says of the labels: reference bool `[N, n]` and logits float64 `[N, n]`."""

    images: ScoredImages
    target: NDArray[np.bool_]
    logit: NDArray[np.float64]


class Counts(NamedTuple):
    """One counts file; None for a task that it has no rows of."""

    pixels: Pixels | None
    labels: Labels | None


def read_runs(config: Config, runs: Iterable[Run]) -> Iterator[tuple[Run, dict[int, Counts]]]:
    """Each run with the counts of its seeds that are there, duplicates left out if so configured.

    A seed whose file has no rows is not there: its run failed (`failures.py`).

    Raises:
        DataError: a file cannot be used, or scores other images, groups or classes than the first
            file of its data set.
    """
    dropped: dict[str, frozenset[str]] = {}
    first: dict[tuple[str, str], tuple[Path, ScoredImages]] = {}
    for run in runs:
        if run.dataset not in dropped:
            dropped[run.dataset] = _dropped(config, run.dataset)
        seeds: dict[int, Counts] = {}
        for seed in config.seeds:
            file = paths.evaluation(config, *run, seed) / "counts.parquet"
            if not file.is_file():
                continue
            counts = read_counts(file, dropped[run.dataset])
            if counts == (None, None):
                continue
            seeds[seed] = counts
            for task in filter(None, counts):
                key = (run.dataset, type(task).__name__)
                known, images = first.setdefault(key, (file, task.images))
                if not images.same_as(task.images):
                    raise DataError(
                        f"{file} ({run.method} on {run.dataset}, seed {seed}): scores other "
                        f"images, groups or classes than {known}, or in another order; expected "
                        f"the same for every run. One of the two is of an earlier split: {AGAIN}"
                    )
        yield run, seeds


def read_counts(path: Path, dropped: Collection[str] = ()) -> Counts:
    """Read one counts file, without the images in `dropped`.

    Raises:
        DataError: the file is of another version, or is damaged.
    """
    table = _read(path)
    columns = {name: _codes(table[name]) for name in _KEYS}
    ids, task = columns["id"], columns["task"]
    keep = ~np.isin(ids.words, list(dropped))[ids.codes]
    segmented, classified = (
        np.flatnonzero(keep & (task.words == name)[task.codes])
        for name in ("segmentation", "classification")
    )
    pixels = labels = None
    if len(segmented):
        images, order = _arranged(path, columns, segmented)
        counted = (_values(path, table, name, order) for name in ("tp", "fp", "fn", "tn"))
        measured = (_column(table, name)[order] for name in ("hd95", "asd"))
        pixels = Pixels(images, *counted, *measured)
    if len(classified):
        images, order = _arranged(path, columns, classified)
        target, logit = (_values(path, table, name, order) for name in ("target", "logit"))
        labels = Labels(images, target > 0, logit)
    return Counts(pixels, labels)


def _dropped(config: Config, dataset: str) -> frozenset[str]:
    """The test images that are left out of scores because they are also trained on."""
    if not config.evaluation.drop_duplicates:
        return frozenset()
    return frozenset(read_recorded_json(paths.gates(config, dataset))["dropped"])


def _read(path: Path) -> pa.Table:
    with reading(path):
        file = pq.ParquetFile(path, read_dictionary=_KEYS)
        metadata = file.schema_arrow.metadata or {}
        version = metadata.get(VERSION_KEY.encode(), b"none").decode()
        if version != VERSION:
            raise DataError(
                f"{path}: found counts of version {version}, expected {VERSION}; {AGAIN}"
            )
        return file.read(use_threads=False)


class _Codes(NamedTuple):
    """A column of text: the word of row i is `words[codes[i]]`."""

    codes: NDArray[np.integer]
    words: NDArray[np.object_]


def _codes(column: pa.ChunkedArray) -> _Codes:
    array = column.unify_dictionaries().combine_chunks()
    return _Codes(array.indices.to_numpy(), np.array(array.dictionary.to_pylist(), object))


def _numbered(codes: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """The different codes in the order of their first rows, and each row's position in them."""
    different, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return different[order], position[inverse]


def _arranged(
    path: Path, columns: dict[str, _Codes], rows: NDArray[np.intp]
) -> tuple[ScoredImages, NDArray[np.intp]]:
    """The images of some rows, and the row of each image and class, `[N, n]`."""
    ids, image = _numbered(columns["id"].codes[rows])
    names, name = _numbered(columns["name"].codes[rows])
    place = image * len(names) + name
    if not np.array_equal(np.sort(place), np.arange(len(ids) * len(names))):
        raise DataError(f"{path}: an image has no row, or two, of some class; {AGAIN}")
    order = rows[np.argsort(place)].reshape(len(ids), len(names))
    codes = columns["group"].codes[order]
    groups, group = _numbered(codes[:, 0])
    if (codes != codes[:, :1]).any():
        raise DataError(f"{path}: an image is in two groups; {AGAIN}")

    def words(key: str, chosen: NDArray[np.integer]) -> tuple[str, ...]:
        return tuple(columns[key].words[chosen].tolist())

    return ScoredImages(
        words("id", ids), words("name", names), words("group", groups), group
    ), order


def _column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers as float64, null as NaN."""
    return table[name].to_numpy().astype(np.float64)


def _values(path: Path, table: pa.Table, name: str, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """The values of a column that must be there in each row."""
    values = _column(table, name)[order]
    if not np.isfinite(values).all():
        raise DataError(f"{path}: column {name} has rows without a finite number; {AGAIN}")
    return values
