"""Figures 5-8: test images with the reference and each method's segmentation over them.

One row per case, one column per method. Only segmentations of the first configured seed are shown:
the figure says which, how the cases were chosen, and out of how many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from workflow.base.digests import reading
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.cells import Run, figure_runs
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.config.sections import Figure as FigureDefinition
from workflow.data.arrays import load_array
from workflow.figures.cases import ShownCase, choose_cases
from workflow.figures.layout import FigureSheet, draw_sheet
from workflow.figures.lettering import DPI
from workflow.figures.overlays import (
    ERROR_COLOURS,
    LESION_NAMES,
    Colour,
    as_rgb,
    class_colours,
    paint_classes,
    paint_errors,
)
from workflow.metrics.failures import failure


@dataclass(frozen=True)
class Strip:
    """The rows of one data set.

    Attributes:
        dataset: its key.
        cases: the chosen test images.
        candidates: how many test images hold a lesion in a reference mask.
        images: uint8 `[C, H, W]` or `[C, H, W, 3]`, of the cases.
        reference: masks uint8 `[C, H, W]`.
        predicted: method -> masks uint8 `[C, H, W]`, of the methods that have a result.
        failed: the methods whose run failed.
    """

    dataset: str
    cases: list[ShownCase]
    candidates: int
    images: np.ndarray
    reference: np.ndarray
    predicted: dict[str, np.ndarray]
    failed: frozenset[str]


class Panel(NamedTuple):
    """One picture, uint8 `[H, W, 3]`, or in a word why there is none: what became of its run."""

    picture: np.ndarray | str
    case: ShownCase


def figure(config: Config, key: str) -> Figure:
    """Draw a figure of the configuration.

    Raises:
        ConfigError: no panel is left under `select`.
        FileNotFoundError: a data set is not prepared.
    """
    definition, runs = config.figures[key], figure_runs(config, key)
    if not runs:
        raise ConfigError(f"figures.{key}: no panel is left under `select`; do not ask for it")
    methods = [name for name in definition.methods if name in {run.method for run in runs}]
    datasets = [name for name in definition.datasets if name in {run.dataset for run in runs}]
    strips = [load_strip(config, definition, name, methods) for name in datasets]
    rows = [
        (config.datasets[strip.dataset].title, _row(config, definition, strip, i, methods))
        for strip in strips
        for i in range(len(strip.cases))
    ]
    sheet = FigureSheet(
        columns=["Image", "Ground truth", *(config.methods[name].title for name in methods)],
        rows=[(title, [(p.picture, p.case.box) for p in panels]) for title, panels in rows],
        legend=_legend(config, definition, datasets),
        caption=f"Figure {key}. {definition.caption}",
        notes=_notes(config, strips, len(methods)),
        notices=notices(config, runs),
    )
    drawn = draw_sheet(sheet)
    FigureCanvasAgg(drawn)
    return drawn


def save(drawn: Figure, path: Path) -> None:
    """Write a figure in the format of the suffix, without the date, so that bytes repeat."""
    dates = {"CreationDate": None} if path.suffix == ".pdf" else None
    drawn.savefig(path, dpi=DPI, metadata=dates)


def load_strip(
    config: Config, definition: FigureDefinition, dataset: str, methods: Sequence[str]
) -> Strip:
    """Choose a data set's cases and read what is shown of them.

    Methods are read one after the other and only their hits are added up: all predictions of the
    paper's largest test set at once would need gigabytes.
    """
    folder = paths.prepared(config, dataset) / "test"
    with reading(folder / "index.parquet") as file:
        index = pd.read_parquet(file)
    reference = load_array(folder / "masks.npy")
    scored = np.flatnonzero((index["score_segmentation"] & index["has_mask"]).to_numpy(bool))
    scored = scored[[_holds_lesion(reference[i]) for i in scored]]
    truth, files = reference[scored], _mask_files(config, dataset, methods)
    failed = frozenset(m for m in methods if failure(config, Run(dataset, m), config.seeds[0]))
    right = np.zeros(truth.shape, np.uint8)
    for file in files.values():
        right += _masks(file)[scored] == truth
    ids, groups = ([str(x) for x in index[c].to_numpy()[scored]] for c in ("id", "group"))
    cases = choose_cases(truth, right, len(files), ids, groups, definition.cases_per_dataset)
    rows = scored[[case.position for case in cases]]
    images = load_array(folder / "images.npy")
    return Strip(
        dataset=dataset,
        cases=cases,
        candidates=len(scored),
        images=images[rows],
        reference=reference[rows],
        predicted={method: _masks(file)[rows] for method, file in files.items()},
        failed=failed,
    )


def _holds_lesion(mask: np.ndarray) -> bool:
    return bool(((mask > 0) & (mask < 255)).any())


def _mask_files(config: Config, dataset: str, methods: Sequence[str]) -> dict[str, Path]:
    """The predictions there are; one that is missing becomes an empty panel that says so."""
    files = {
        method: paths.evaluation(config, dataset, method, config.seeds[0]) / "masks.npz"
        for method in methods
    }
    return {method: file for method, file in files.items() if file.is_file() and _holds_masks(file)}


def _holds_masks(file: Path) -> bool:
    """Whether there are predictions in it: a run that failed leaves it empty."""
    with reading(file), np.load(file) as archive:
        return "masks" in archive


def _masks(file: Path) -> np.ndarray:
    with reading(file), np.load(file) as archive:
        return archive["masks"]


def _row(
    config: Config, definition: FigureDefinition, strip: Strip, index: int, methods: Sequence[str]
) -> list[Panel]:
    image, reference = strip.images[index], strip.reference[index]
    lesions, case = config.datasets[strip.dataset].lesions, strip.cases[index]

    def painted(mask: np.ndarray) -> np.ndarray:
        if definition.palette == "errors":
            return paint_errors(image, reference, mask)
        return paint_classes(image, mask, lesions)

    panels = [Panel(as_rgb(image), case), Panel(painted(reference), case)]
    for method in methods:
        masks = strip.predicted.get(method)
        absent = "failed" if method in strip.failed else "missing"
        panels.append(Panel(absent if masks is None else painted(masks[index]), case))
    return panels


def _legend(
    config: Config, definition: FigureDefinition, datasets: Sequence[str]
) -> dict[str, Colour]:
    if definition.palette == "errors":
        return ERROR_COLOURS
    legend: dict[str, Colour] = {}
    for name in datasets:
        lesions = config.datasets[name].lesions
        for lesion, colour in zip(lesions, class_colours(lesions), strict=True):
            legend[LESION_NAMES.get(lesion, lesion)] = colour
    return legend


def _notes(config: Config, strips: Sequence[Strip], methods: int) -> list[str]:
    where = (
        "where the methods shown disagree most about right and wrong"
        if methods > 1
        else "where the method shown errs most"
    )
    volumes = any(config.datasets[strip.dataset].volumes for strip in strips)
    spread = ", from different volumes where possible" if volumes else ""
    notes = [
        f"White box: {where} (largest sum in a window of a quarter of the side); the cases are "
        f"the test images in which that sum is largest{spread}."
    ]
    if any(case.box is None for strip in strips for case in strip.cases):
        notes.append("No box: no difference between the methods shown.")
    for strip in strips:
        title = config.datasets[strip.dataset].title
        ids = ", ".join(case.id for case in strip.cases) or "none"
        notes.append(
            f"{title}: {ids} ({len(strip.cases)} of {strip.candidates} test images with a lesion)."
        )
    notes.append(f"Preset {config.preset}, seed {config.seeds[0]}.")
    return notes
