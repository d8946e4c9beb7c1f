"""Predictions held against references, with the product's own metrics.

Reference masks are read and resized as those of training were, and counted by the functions of
evaluation into a counts file; every number is computed from that file, as those of tables are. So a
test split that is predicted again scores what the workflow says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from resformer.trained import Preparation, TrainedFile
from workflow.base.errors import DataError, UsageError
from workflow.base.files import read_csv
from workflow.config.metrics import METRICS
from workflow.config.sections import Evaluation
from workflow.data.resize import resize_mask
from workflow.metrics.boundary import boundary_distances
from workflow.metrics.counts import pixel_counts
from workflow.metrics.counts_file import classification_rows, segmentation_rows, write_counts_file
from workflow.metrics.intervals import Design, estimate
from workflow.metrics.metrics import metrics, ratios
from workflow.metrics.saved import read_counts
from workflow.prediction.inputs import PICTURES, VOLUMES, InputImage, stem
from workflow.prediction.readers import read_mask_values
from workflow.prediction.writing import PredictedImage

# From here on a grey value of a single lesion's mask is the lesion, as in the ISIC challenges.
LESION = 128
IDS = ("id", "image_id", "name")


class ScoredMetric(NamedTuple):
    """A metric of the predictions: its value, its interval, and on how many cases it rests."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass
class References:
    """References, and what was counted of each image beside them.

    Attributes:
        about: what the predicted classes and labels are.
        evaluation: how is scored.
        masks: stem -> file of the reference masks.
        labels: name of an image -> its labels, 0 or 1.
    """

    about: TrainedFile
    evaluation: Evaluation
    masks: Mapping[str, Path]
    labels: Mapping[str, Sequence[int]]
    # By name of a slice: counts `[n, 4]`, distances `[n, 2]`, references and logits.
    _pixels: dict[str, tuple[str, NDArray[np.int64], NDArray[np.float32] | None]] = field(
        default_factory=dict
    )
    _called: dict[str, tuple[str, Sequence[int], NDArray[np.float32]]] = field(default_factory=dict)

    def add(self, image: PredictedImage) -> list[str]:
        """Count an image against its reference; returns what it has no reference for.

        Raises:
            DataError: its reference cannot be read, or is of another size.
        """
        name, without = image.name, []
        volume = self._reference(image)
        if volume is None and image.masks is not None:
            without.append("mask")
        of_labels = self._labels_of(image, volume)
        if of_labels is None and image.answers.logits is not None:
            without.append("labels")
        for k in range(len(image.rows)):
            one = f"{name}-{k:03d}" if image.read.volume else name
            if volume is not None and image.masks is not None:
                self._pixels[one] = (name, *self._counted(image, k, volume[k]))
            if of_labels is not None and image.answers.logits is not None:
                self._called[one] = (name, of_labels[k], image.answers.logits[k])
        return without

    def write(self, file: Path) -> list[ScoredMetric]:
        """Write all counts into a file, and score them.

        Raises:
            DataError: no image had a reference.
        """
        tables = []
        if self._pixels:
            groups, counts, distances = zip(*self._pixels.values(), strict=True)
            far = None if distances[0] is None else np.stack(distances)
            lesions = self.about.lesions
            tables.append(
                segmentation_rows([*self._pixels], groups, lesions, np.stack(counts), far)
            )
        if self._called:
            groups, targets, logits = zip(*self._called.values(), strict=True)
            tables.append(
                classification_rows(
                    [*self._called],
                    groups,
                    self.about.labels,
                    np.array(targets, np.uint8),
                    np.stack(logits),
                )
            )
        if not tables:
            raise DataError(
                "--references: no image has a reference; a mask is called as its image, or as it "
                "with something behind a _, and a CSV of labels has a column id"
            )
        write_counts_file(file, tables)
        return scored(file, self.evaluation)

    def _reference(self, image: PredictedImage) -> NDArray[np.uint8] | None:
        """The reference masks of an image, uint8 `[N, H, W]`; None if there are none."""
        if not self.about.lesions:
            return None
        file = _mask_of(image.read.source, self.masks)
        if file is None:
            return None
        values = self._values(file)
        expected = (len(image.rows), *image.read.size)
        if values.shape != expected:
            raise DataError(
                f"{file}: reference is {values.shape}, image is {expected} (slices, height, "
                "width); they must agree"
            )
        return classes(file, values, len(self.about.lesions), self.about.preparation)

    def _values(self, file: Path) -> NDArray[Any]:
        if file.suffix.lower() in PICTURES:
            try:
                return read_mask_values(file)[None]
            except DataError:
                if file.suffix.lower() not in (".tif", ".tiff"):
                    raise
        try:
            image = sitk.ReadImage(str(file))
        except RuntimeError as error:
            raise DataError(f"{file}: cannot be read; replace the file") from error
        values = sitk.GetArrayFromImage(image)
        return values[None] if values.ndim == 2 else values

    def _labels_of(
        self, image: PredictedImage, volume: NDArray[np.uint8] | None
    ) -> list[Sequence[int]] | None:
        """The labels of each slice: on record, or what the reference mask holds."""
        if not self.about.labels:
            return None
        names = [f"{image.name}-{k:03d}" for k in range(len(image.rows))]
        if image.read.volume and all(name in self.labels for name in names):
            return [self.labels[name] for name in names]
        if image.name in self.labels and not image.read.volume:
            return [self.labels[image.name]]
        if volume is None or self.labels or not set(self.about.labels) <= set(self.about.lesions):
            return None
        values = [self.about.lesions.index(label) + 1 for label in self.about.labels]
        return [[int((mask == value).any()) for value in values] for mask in volume]

    def _counted(
        self, image: PredictedImage, k: int, reference: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """What a mask counts beside its reference, at the resolution that is scored at."""
        assert image.masks is not None
        assert image.answers.masks is not None
        preparation, lesions = self.about.preparation, len(self.about.lesions)
        predicted = image.masks[k]
        if self.evaluation.resolution == "input":
            predicted = image.answers.masks[k]
            reference = resize_mask(reference, preparation.image_size, preparation.masks)
        one, other = (torch.from_numpy(np.array(mask))[None] for mask in (predicted, reference))
        counts = pixel_counts(one, other, lesions)[0].numpy()
        if not self.evaluation.boundary:
            return counts, None
        return counts, boundary_distances(predicted, reference, lesions)


def find_references(
    places: Sequence[Path], about: TrainedFile, evaluation: Evaluation
) -> References:
    """The reference masks in folders, and the labels in CSV files.

    Args:
        places: folders of masks, and CSV files with a column `id` and one of 0 and 1 per label.
        about: what is predicted.
        evaluation: how is scored.

    Raises:
        UsageError: a place is neither.
        DataError: a table lacks a column, or has another value than 0 and 1.
    """
    masks: dict[str, Path] = {}
    labels: dict[str, Sequence[int]] = {}
    for place in places:
        if place.is_dir():
            files = [one for one in sorted(place.rglob("*")) if one.is_file()]
            for file in files:
                if file.name.lower().endswith((*PICTURES, *VOLUMES)):
                    masks.setdefault(file.relative_to(place).with_name(stem(file)).as_posix(), file)
            tables = [file for file in files if file.name == "labels.csv"]
        elif place.suffix == ".csv" and place.is_file():
            tables = [place]
        else:
            raise UsageError(
                f"--references: {place}: neither a folder of masks nor a CSV of labels"
            )
        for table in tables:
            labels |= _read_labels(table, about.labels)
    return References(about, evaluation, masks, labels)


def _read_labels(path: Path, labels: Sequence[str]) -> dict[str, Sequence[int]]:
    if not labels:
        return {}
    rows = read_csv(path)
    found = list(rows[0]) if rows else []
    key = next((name for name in IDS if name in found), None)
    missing = [label for label in labels if label not in found]
    if key is None or missing:
        raise DataError(
            f"{path}: column {missing[0] if missing else IDS[0]!r} is missing; expected "
            f"{', '.join((IDS[0], *labels))}, found {', '.join(found) or 'nothing'}"
        )
    known = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
    for row in rows:
        wrong = [label for label in labels if row[label] not in known]
        if wrong:
            raise DataError(
                f"{path}: {row[key]}: found {row[wrong[0]]!r} in column {wrong[0]!r}; allowed: 0 "
                "and 1"
            )
    return {row[key]: [known[row[label]] for label in labels] for row in rows}


def _mask_of(source: InputImage, masks: Mapping[str, Path]) -> Path | None:
    """The reference of an image: called as it, or as it with something behind; or, of a volume in
    a folder of its own, `reference` in a folder of that name.
    """
    own = stem(source.path) if source.kind != "series" else source.path.name
    parent = source.path.absolute().parent.name
    for name in (source.name, own, f"{parent}/{own}", f"{parent}/reference"):
        if name in masks and masks[name].absolute() != source.path.absolute():
            return masks[name]
    beside = source.path.absolute().parent
    if "reference" in masks and masks["reference"].absolute().parent == beside:
        return masks["reference"]
    behind = [file for name, file in masks.items() if name.startswith((f"{own}_", f"{own}-"))]
    return behind[0] if len(behind) == 1 else None


def classes(
    file: Path, values: NDArray[Any], lesions: int, preparation: Preparation
) -> NDArray[np.uint8]:
    """A reference mask by its values, as uint8 with k for the k-th lesion.

    Raises:
        DataError: a value means nothing.
    """
    if not preparation.mask_values and lesions == 1 and values.max() > 1:
        return (values >= LESION).astype(np.uint8)
    meaning = preparation.mask_values or tuple(range(1, lesions + 1))
    mask = np.zeros(values.shape, np.uint8)
    for k, value in enumerate(meaning, start=1):
        mask[values == value] = k
    unknown = values[(mask == 0) & (values != 0)]
    if unknown.size:
        raise DataError(
            f"{file}: found value {unknown.min()} in a reference mask; allowed: 0 background, and "
            f"{', '.join(map(str, meaning))} for the lesions"
        )
    return mask


def scored(file: Path, evaluation: Evaluation) -> list[ScoredMetric]:
    """Every metric of a counts file, with an interval over images or volumes where it has one."""
    counts, design = read_counts(file), Design()
    parts = ratios({0: counts}, evaluation)
    found = []
    for name, (value, n) in metrics(counts, evaluation).items():
        around = estimate(parts[name], design) if name in parts else None
        low, high = (around.low, around.high) if around else (None, None)
        found.append(ScoredMetric(name, value, low, high, n))
    return sorted(found, key=lambda one: list(METRICS).index(one.name))
