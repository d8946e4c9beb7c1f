"""Evaluation: `python -m workflow.evaluation.evaluate CONFIG DATASET METHOD SEED...`.

Runs each seed's network once over the test images and saves what every metric, table and figure
is computed from: pixels counted per image and lesion, classification logits, predicted masks.

Pixels are counted at the network's input size, or with `evaluation.resolution: native` at that of
the raw image: each predicted mask, as it is saved, is brought to the raw size by nearest neighbour
and compared with the raw reference. Interpolated logits would give smoother outlines, but then the
saved masks, and controls, which have no logits, would not be what is scored.

A run that failed in training, or whose network gives a test image something that is not finite, is
a failed run: its files are there, empty, with the reason, and the other seeds go on.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workflow.base.digests import reading, recorded
from workflow.base.errors import DataError
from workflow.base.files import remove_tree
from workflow.base.workers import each, usable_threads
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.data.arrays import Arrays, load_arrays
from workflow.data.images import DeviceImages, to_device
from workflow.data.sources.source import open_source
from workflow.metrics.counts import pixel_counts
from workflow.metrics.counts_file import (
    classification_rows,
    segmentation_rows,
    write_counts_file,
    write_failed_counts_file,
)
from workflow.metrics.failures import training_failure
from workflow.networks.build import build_method
from workflow.networks.conditional import ConditionalLabels
from workflow.networks.device import autocast, choose_device, choose_precision, computing, on_device
from workflow.networks.tensors import read_tensors
from workflow.running.step import run_step


class Predictions(NamedTuple):
    """What a network says of N images, on the CPU.

    Attributes:
        masks: predicted classes uint8 `[N, H, W]`, None for a method that does not segment.
        logits: float32 `[N, n_cls]`, None for a method that does not classify.
        finite: bool `[N]`, whether all that it said of an image is; no mask shows it.
    """

    masks: Tensor | None
    logits: Tensor | None
    finite: Tensor


def evaluate_seeds(config: Config, dataset: str, method: str, *seeds: str) -> None:
    """Evaluate each seed and write its counts and masks; of a failed one, why it has none."""
    training = config.training_for(dataset, method)
    device = choose_device(training)
    arrays = load_arrays(config, dataset, "test")
    images = to_device(arrays, training.normalize, device, training.images_on)
    with computing(training):
        network = build_method(config, dataset, method)
        if training.loss.classification_form == "conditional":
            # What the labels' probabilities are mixed by comes with each seed's weights.
            network = ConditionalLabels(network, torch.eye(len(config.datasets[dataset].labels)))
        model = on_device(network, device).eval()
        for seed in seeds:
            folder = paths.evaluation(config, dataset, method, seed)
            why = training_failure(config, Run(dataset, method), seed)
            if not why:
                weights = paths.run(config, dataset, method, seed) / "weights.safetensors"
                model.load_state_dict(read_tensors(weights, str(device)))
                found = predict(
                    model,
                    images,
                    config.evaluation.batch_size,
                    choose_precision(training, device),
                )
                why = _not_finite(arrays, found.finite)
                if not why:
                    write_counts(config, dataset, arrays, found.masks, found.logits, folder)
            if why:
                sys.stderr.write(f"{dataset} {method} seed {seed}: no results, failed: {why}\n")
                write_failed_counts_file(folder / "counts.parquet", why)
                _write_masks(folder / "masks.npz", None)
            # Snakemake has heard of the end of that training, so its state is of no more use.
            remove_tree(paths.state(config, dataset, method, seed), levels=3)


def _not_finite(arrays: Arrays, finite: Tensor) -> str:
    """Which test images a network fails on, and what to do; empty if there are none."""
    wrong = np.flatnonzero(~finite.numpy())
    if not len(wrong):
        return ""
    ids = _index(arrays, ["id"])["id"]
    return (
        f"the network's answers to {len(wrong)} of {len(finite)} test images (the first is "
        f"{ids[int(wrong[0])]}) are not finite; lower training.learning_rate for this method, or "
        "set training.precision to float32"
    )


def _index(arrays: Arrays, columns: list[str] | None = None) -> pa.Table:
    """What the index of a split says of its images, in some columns or all."""
    with reading(arrays.folder / "index.parquet") as file:
        return pq.read_table(file, columns=columns)


@torch.inference_mode()
def predict(
    model: nn.Module, images: DeviceImages, batch_size: int, precision: torch.dtype
) -> Predictions:
    """What a network says of all images of a split."""
    device = images.device
    masks: list[Tensor] = []
    logits: list[Tensor] = []
    finite: list[Tensor] = []
    for batch in images.in_order(batch_size):
        pixels, _, _ = images.ready(batch)
        with autocast(device, precision):
            prediction = model(pixels.contiguous(memory_format=torch.channels_last))
        answers = (prediction.segmentation, prediction.classification)
        of_each = [x.isfinite().flatten(1).all(dim=1) for x in answers if x is not None]
        finite.append(torch.stack(of_each).all(dim=0))
        if prediction.segmentation is not None:
            masks.append(prediction.segmentation.argmax(dim=1).to(torch.uint8).cpu())
        if prediction.classification is not None:
            logits.append(prediction.classification.float().cpu())
    return Predictions(
        torch.cat(masks) if masks else None,
        torch.cat(logits) if logits else None,
        torch.cat(finite).cpu(),
    )


def write_counts(
    config: Config,
    dataset: str,
    arrays: Arrays,
    masks: Tensor | None,
    logits: Tensor | None,
    folder: Path,
) -> None:
    """Save what predictions of a test split count, and the predicted masks.

    Args:
        config: the configuration.
        dataset: key of the data set.
        arrays: its test split.
        masks: predicted classes uint8 `[N, H, W]`, None for a method that does not segment.
        logits: float32 `[N, n_cls]`, None for a method that does not classify.
        folder: the folder that counts.parquet and masks.npz are written to.

    Raises:
        DataError: raw references cannot be read.
    """
    definition = config.datasets[dataset]
    index = _index(arrays)
    ids, groups = (index[name].to_numpy() for name in ("id", "group"))
    tables = []
    if masks is not None:
        rows = np.flatnonzero(index["score_segmentation"].to_numpy())
        counts, distances = measure(config, dataset, arrays, masks.numpy(), rows)
        tables.append(
            segmentation_rows(ids[rows], groups[rows], definition.lesions, counts, distances)
        )
    if logits is not None:
        rows = np.flatnonzero(index["score_classification"].to_numpy())
        tables.append(
            classification_rows(
                ids[rows],
                groups[rows],
                definition.labels,
                np.asarray(arrays.labels)[rows],
                logits.numpy()[rows],
            )
        )
    write_counts_file(folder / "counts.parquet", tables)
    _write_masks(folder / "masks.npz", masks)


def _write_masks(path: Path, masks: Tensor | None) -> None:
    """Save predicted masks; a file without any where there are none."""
    with recorded(path) as temporary:
        if masks is None:
            np.savez_compressed(temporary)
        else:
            np.savez_compressed(temporary, masks=masks.numpy())


def measure(
    config: Config, dataset: str, arrays: Arrays, masks: NDArray[np.uint8], rows: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
    """Compare predicted masks with the reference at the configured resolution.

    Args:
        config: the configuration.
        dataset: key of the data set.
        arrays: its test split.
        masks: predicted classes `[N, H, W]` of all test images.
        rows: positions of the M images to compare.

    Returns:
        Counts `[M, n, 4]` in the order TP, FP, FN, TN; HD95 and ASD `[M, n, 2]`, None if
        `evaluation.boundary` is off.

    Raises:
        DataError: the raw data lacks the reference of one of the images.
    """
    lesions, boundary = len(config.datasets[dataset].lesions), config.evaluation.boundary
    counts = np.zeros((len(rows), lesions, 4), np.int64)
    distances = np.zeros((len(rows), lesions, 2), np.float32) if boundary else None

    def compare(place: int, reference: NDArray[np.uint8]) -> None:
        predicted = at_size(masks[rows[place]], reference.shape)
        one, other = (torch.from_numpy(np.array(mask))[None] for mask in (predicted, reference))
        counts[place] = pixel_counts(one, other, lesions)[0].numpy()
        if distances is not None:
            # Its part of scipy would cost every job a fifth of a second.
            from workflow.metrics.boundary import boundary_distances

            distances[place] = boundary_distances(predicted, reference, lesions)

    if config.evaluation.resolution == "native":
        _each_raw_mask(config, dataset, arrays, rows, compare)
    else:
        for place, row in enumerate(rows):
            compare(place, np.asarray(arrays.masks[row]))
    return counts, distances


def at_size(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mask of classes brought to another height and width: the class at each pixel's centre.

    Where a centre falls on a border, the lower or right pixel counts, in whole numbers: Pillow adds
    up steps in floating point, and takes now the one and now the other.
    """
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(shape, mask.shape, strict=True)
    )
    return mask[rows[:, None], columns]


def _each_raw_mask(
    config: Config,
    dataset: str,
    arrays: Arrays,
    rows: NDArray[np.intp],
    use: Callable[[int, NDArray[np.uint8]], None],
) -> None:
    """Call `use(place, mask)` with the raw reference of the image at each place of `rows`.

    A few groups (volumes, or single images) are in memory at a time, each read by one thread.
    """
    index = _index(arrays, ["id", "group"])
    ids, groups = (index[name].to_numpy()[rows] for name in ("id", "group"))
    places: dict[str, dict[str, int]] = {}
    for place, (image, group) in enumerate(zip(ids, groups, strict=True)):
        places.setdefault(group, {})[image] = place
    source, size = open_source(config, dataset), config.datasets[dataset].image_size

    def read(group: str) -> None:
        missing = dict(places[group])
        for image in source.read(group, size) if group in source.groups else ():
            if image.id in missing and image.mask is not None:
                use(missing.pop(image.id), image.mask)
        if missing:
            raise DataError(
                f"{dataset}: the raw data has no reference mask of {next(iter(missing))} (group "
                f"{group}), with which evaluation.resolution native compares; bring it back, or "
                "set resolution to input"
            )

    for _ in each(read, list(places), usable_threads(config.data.threads)):
        pass


if __name__ == "__main__":
    run_step(evaluate_seeds, Path(sys.argv[1]), *sys.argv[2:])
