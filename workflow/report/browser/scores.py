"""What a run scored on each test image, in a byte per class or label.

The counts that the tables are computed from are read, so the numbers are those of the tables, at
the resolution that these are counted at, and of all seeds, whether their masks are kept or not.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from workflow.base.errors import DataError
from workflow.config.sections import Evaluation
from workflow.metrics.saved import AGAIN, Pixels, ScoredImages, read_counts
from workflow.metrics.scores import decide

NEVER = 255  # a Dice or a probability that does not exist
PERFECT = 200  # half per cents
SHARE, MOST = 2000, 254  # a share of the image is in 1/2000, up to 254 of them
CERTAIN = 250

Bytes = NDArray[np.uint8]


class Scores(NamedTuple):
    """Bytes of a run; None for a task that it has no counts of.

    Attributes:
        dice: `[N, n]` in half per cents; 255 where neither the reference nor the method has the
            class, or the image is not scored.
        fp, fn: `[N, n]`, false positive and false negative pixels as a share of the image's.
        probabilities: `[N, n_cls]`, sigmoids in 1/250; 255 where the image is not scored.
        called: `[N, n_cls]`, 1 where the tables count the label as predicted.
    """

    dice: Bytes | None = None
    fp: Bytes | None = None
    fn: Bytes | None = None
    probabilities: Bytes | None = None
    called: Bytes | None = None


def read_scores(file: Path, rows: Mapping[str, int], evaluation: Evaluation) -> Scores:
    """What a counts file says of each image.

    Args:
        file: counts.parquet of a run.
        rows: id -> row of the N test images.
        evaluation: what decides that a label is predicted.

    Raises:
        DataError: the file cannot be used, or scores an image that is not in the test split.
    """
    pixels, labels = read_counts(file)
    scores = Scores()
    if pixels is not None:
        dice, fp, fn = _of_pixels(pixels)
        at = _rows(file, pixels.images, rows)
        scores = Scores(
            _placed(dice, at, len(rows), NEVER),
            *(_placed(x, at, len(rows), 0) for x in (fp, fn)),
        )
    if labels is not None:
        at = _rows(file, labels.images, rows)
        said = np.rint(CERTAIN * expit(labels.logit)).astype(np.uint8)
        called = decide(labels, evaluation).astype(np.uint8)
        scores = scores._replace(
            probabilities=_placed(said, at, len(rows), NEVER),
            called=_placed(called, at, len(rows), 0),
        )
    return scores


def _of_pixels(pixels: Pixels) -> tuple[Bytes, Bytes, Bytes]:
    tp, fp, fn = pixels.tp, pixels.fp, pixels.fn
    size = 2 * tp + fp + fn
    dice = np.where(size > 0, np.rint(2 * PERFECT * tp / np.maximum(size, 1)), NEVER)
    all_pixels = tp + fp + fn + pixels.tn

    def share(wrong: NDArray[np.float64]) -> Bytes:
        # Rounded up, so that a single pixel is more than none.
        return np.minimum(np.ceil(SHARE * wrong / all_pixels), MOST).astype(np.uint8)

    return dice.astype(np.uint8), share(fp), share(fn)


def _rows(file: Path, images: ScoredImages, rows: Mapping[str, int]) -> NDArray[np.intp]:
    """The row of each scored image."""
    other = next((name for name in images.ids if name not in rows), None)
    if other is not None:
        raise DataError(f"{file}: scores {other}, which is not in the test split; {AGAIN}")
    return np.array([rows[name] for name in images.ids], np.intp)


def _placed(values: Bytes, at: NDArray[np.intp], count: int, otherwise: int) -> Bytes:
    """Values of some images in an array of all of them."""
    placed = np.full((count, values.shape[1]), otherwise, np.uint8)
    placed[at] = values
    return placed
