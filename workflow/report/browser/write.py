"""Everything below `images/` of a report, beside the page `images.html` that shows it.

    index.js                          MICROSCOPE.index({datasets: [{key, title}]})
    <dataset>/cases.js                MICROSCOPE.cases(dataset, {...}), see `cases.py`
    <dataset>/pictures/00017.webp     test image 17 as networks see it; thumbs/ has small ones
    <dataset>/reference/<b>.js        MICROSCOPE.masks(dataset, "reference", null, b, [PNG, ...])
    <dataset>/<method>/seed<k>/<b>.js MICROSCOPE.masks(dataset, method, k, b, [PNG, ...])

Block b holds the masks of images 32 b to 32 b + 31 in base64. By default, which is `report.masks:
first`, masks are those of the first seed; numbers are of all seeds either way.

Pictures and masks are kept in a store: what a run's masks have not changed is not written again.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256 as digest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow.base.digests import read_recorded_json
from workflow.base.files import sha256
from workflow.base.workers import WorkProgress, each, usable_threads
from workflow.config import paths
from workflow.config.cells import Run, is_control
from workflow.config.model import Config
from workflow.report.browser.cases import TestImages, cases, shown_datasets
from workflow.report.browser.differences import differences
from workflow.report.browser.masks import BLOCK, Masks, read_masks, write_blocks
from workflow.report.browser.pictures import PICTURE, THUMB, write_pictures
from workflow.report.browser.scripts import call
from workflow.report.browser.store import Part, Store
from workflow.report.pages import Pages

# Of the pictures, the blocks and the disagreement: another one makes all of them anew.
FORMAT = 1
REFERENCE = "reference"
DISAGREEMENT = "disagreement"
# Masks of each method that are in memory at a time where all methods are compared.
COMPARED = 8


def write_microscope(config: Config, pages: Pages) -> None:
    """Write the data of the image browser into a report.

    Args:
        config: the resolved configuration.
        pages: the pages of the report; they hold the scripts that change often, the store the
            others.

    Raises:
        DataError: masks or counts of a run cannot be used.
    """
    tests = [TestImages(config, name) for name in shown_datasets(config)]
    store, folder = Store(paths.report_images(config)), pages.folder / "images"
    threads = usable_threads(config.data.threads)
    shown = [part for test in tests for part in _parts(test)]
    progress = WorkProgress("images", len(shown), "folders", partial(print, flush=True))
    keys: dict[str, str] = {}
    for part, key in zip(shown, each(store.fill, shown, threads), strict=True):
        keys[part.name] = key
        store.link(part.name, folder / part.name)
        progress.add(1)
    compared = [_disagreement(test, keys) for test in tests]
    for _ in each(store.fill, compared, threads):
        pass
    store.keep_only(part.name for part in [*shown, *compared])
    entries = [{"key": t.dataset, "title": config.datasets[t.dataset].title} for t in tests]
    pages.write("images/index.js", call("index", {"datasets": entries}))
    for test, part in zip(tests, compared, strict=True):
        differ = np.load(store.folder / part.name / "values.npy")
        text = call("cases", test.dataset, cases(test, differ))
        pages.write(f"images/{test.dataset}/cases.js", text)


def _parts(test: TestImages) -> list[Part]:
    """The folders of a data set, the longest work first."""
    name = test.dataset
    prepared = partial(_data_key, test)
    pictures, reference = (lambda: test.pictures), (lambda: test.reference)
    return [
        Part(f"{name}/pictures", prepared, lambda to: write_pictures(to, pictures(), PICTURE)),
        Part(f"{name}/thumbs", prepared, lambda to: write_pictures(to, pictures(), THUMB)),
        Part(
            f"{name}/{REFERENCE}",
            prepared,
            lambda to: write_blocks(to, name, REFERENCE, None, _in_blocks(reference())),
        ),
        *(_run_part(test, run, seed) for run in test.runs for seed in test.kept(run)),
    ]


def _run_part(test: TestImages, run: Run, seed: int) -> Part:
    file = test.masks_file(run, seed)

    def make(folder: Path) -> None:
        blocks = read_masks(file, test.reference.shape, BLOCK)
        write_blocks(folder, run.dataset, run.method, seed, blocks)

    return Part(_run_name(run, seed), lambda: f"{FORMAT} {sha256(file)}", make)


def _run_name(run: Run, seed: int) -> str:
    return f"{run.dataset}/{run.method}/seed{seed}"


def _data_key(test: TestImages) -> str:
    manifest = read_recorded_json(paths.prepared(test.config, test.dataset) / "manifest.json")
    return f"{FORMAT} {manifest['hash']}"


def _in_blocks(masks: NDArray[np.uint8]) -> Iterator[Masks]:
    for first in range(0, len(masks), BLOCK):
        yield np.asarray(masks[first : first + BLOCK])


def _disagreement(test: TestImages, keys: dict[str, str]) -> Part:
    """How much the methods' first seeds differ about each image; controls are no methods."""
    seed, lesions = test.config.seeds[0], len(test.config.datasets[test.dataset].lesions)
    compared = [
        run
        for run in test.runs
        if not is_control(test.config, run.method) and _run_name(run, seed) in keys
    ]
    names = [_run_name(run, seed) for run in compared]
    parts = [FORMAT, lesions, *((name, keys[name]) for name in names)]

    def make(folder: Path) -> None:
        shape = test.reference.shape
        if len(compared) < 2:
            values = np.zeros(shape[0], np.uint8)
        else:
            files = [test.masks_file(run, seed) for run in compared]
            values = differences(_side_by_side(files, shape), lesions)
        np.save(folder / "values.npy", values)

    key = digest(repr(parts).encode()).hexdigest()
    return Part(f"{test.dataset}/{DISAGREEMENT}", lambda: key, make)


def _side_by_side(files: Sequence[Path], shape: tuple[int, ...]) -> Iterator[tuple[Masks, ...]]:
    """The masks of several runs, some images at a time."""
    yield from zip(*(read_masks(file, shape, COMPARED) for file in files), strict=True)
