"""Evaluation: `python -m workflow.evaluation.evaluate CONFIG DATASET METHOD SEED...`.

Runs each seed's network once over the test images and saves what every metric, table and figure
is computed from: pixels counted per image and lesion, classification logits, predicted masks.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from workflow import paths
from workflow.conditional import ConditionalLabels
from workflow.config import Config
from workflow.config_sections import Dataset
from workflow.data.arrays import Arrays, load_arrays
from workflow.device import autocast, choose_device, choose_precision, computing, on_device
from workflow.evaluation.counts import pixel_counts
from workflow.files import replacing
from workflow.images import DeviceImages, to_device
from workflow.methods import build_method
from workflow.step import run_step


def evaluate_seeds(config: Config, dataset: str, method: str, *seeds: str) -> None:
    """Evaluate each seed and write its counts and masks."""
    training = config.training_for(dataset, method)
    device = choose_device(training)
    arrays = load_arrays(config, dataset, "test")
    images = to_device(arrays, training.normalize, device)
    with computing(training):
        network = build_method(config, dataset, method)
        if training.loss.classification_form == "conditional":
            # What the labels' probabilities are mixed by comes with each seed's weights.
            network = ConditionalLabels(network, torch.eye(len(config.datasets[dataset].labels)))
        model = on_device(network, device).eval()
        for seed in seeds:
            weights = paths.run(config, dataset, method, seed) / "weights.safetensors"
            model.load_state_dict(load_file(weights, device=str(device)))
            masks, logits = predict(
                model,
                images,
                config.evaluation.batch_size,
                choose_precision(training, device),
            )
            folder = paths.evaluation(config, dataset, method, seed)
            write_counts(config.datasets[dataset], arrays, masks, logits, folder)


@torch.inference_mode()
def predict(
    model: nn.Module, images: DeviceImages, batch_size: int, precision: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """Predicted classes uint8 `[N, H, W]`, logits float32 `[N, n_cls]`; None for no such task."""
    device = images.images.device
    masks: list[Tensor] = []
    logits: list[Tensor] = []
    for rows in torch.arange(len(images), device=device).split(batch_size):
        pixels, _, _ = images.batch(rows)
        with autocast(device, precision):
            prediction = model(pixels.contiguous(memory_format=torch.channels_last))
        if prediction.segmentation is not None:
            masks.append(prediction.segmentation.argmax(dim=1).to(torch.uint8).cpu())
        if prediction.classification is not None:
            logits.append(prediction.classification.float().cpu())
    return (torch.cat(masks) if masks else None, torch.cat(logits) if logits else None)


# A row has pixel counts (segmentation) or a label and its logit (classification), never both.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "group", "task", "name")),
        *((name, pa.int64()) for name in ("tp", "fp", "fn", "tn")),
        ("target", pa.int8()),
        ("logit", pa.float32()),
    ]
)


def write_counts(
    definition: Dataset, arrays: Arrays, masks: Tensor | None, logits: Tensor | None, folder: Path
) -> None:
    """Save what predictions of a test split count, and the predicted masks.

    Args:
        definition: the data set.
        arrays: its test split.
        masks: predicted classes uint8 `[N, H, W]`, None for a method that does not segment.
        logits: float32 `[N, n_cls]`, None for a method that does not classify.
        folder: where to write counts.parquet and masks.npz.
    """
    index = pq.read_table(arrays.folder / "index.parquet")
    tables = []
    if masks is not None:
        reference = torch.from_numpy(np.array(arrays.masks))
        counts = pixel_counts(masks, reference, len(definition.lesions)).numpy()
        tables.append(_segmentation(index, definition.lesions, counts))
    if logits is not None:
        tables.append(_classification(index, definition.labels, arrays.labels, logits.numpy()))
    with replacing(folder / "counts.parquet") as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)
    with replacing(folder / "masks.npz") as temporary:
        if masks is None:
            np.savez_compressed(temporary)
        else:
            np.savez_compressed(temporary, masks=masks.numpy())


def _segmentation(index: pa.Table, lesions: list[str], counts: np.ndarray) -> pa.Table:
    """One row per scored image and lesion, with its pixel counts `[N, n, 4]`."""
    scored = index["score_segmentation"].to_numpy()
    columns = {k: counts[scored, :, i].ravel() for i, k in enumerate(("tp", "fp", "fn", "tn"))}
    return _table(index, scored, "segmentation", lesions, columns)


def _classification(
    index: pa.Table, names: list[str], labels: np.ndarray, logits: np.ndarray
) -> pa.Table:
    """One row per scored image and label, with the reference label and the logit."""
    scored = index["score_classification"].to_numpy()
    columns = {"target": labels[scored].ravel(), "logit": logits[scored].ravel()}
    return _table(index, scored, "classification", names, columns)


def _table(
    index: pa.Table, scored: np.ndarray, task: str, names: list[str], columns: dict[str, np.ndarray]
) -> pa.Table:
    rows = int(scored.sum()) * len(names)
    keys = {
        "id": np.repeat(index["id"].to_numpy()[scored], len(names)),
        "group": np.repeat(index["group"].to_numpy()[scored], len(names)),
        "task": [task] * rows,
        "name": names * int(scored.sum()),
    }
    empty = {name: pa.nulls(rows) for name in SCHEMA.names}
    return pa.table({**empty, **keys, **columns}, schema=SCHEMA)


if __name__ == "__main__":
    run_step(evaluate_seeds, Path(sys.argv[1]), *sys.argv[2:])
