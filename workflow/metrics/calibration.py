"""Whether a label that is given 70 % is there in 70 % of images: reliability and ECE.

Probabilities are sigmoids of the logits, label by label, whatever the decision rule is, since the
labels' loss trains these.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.metrics.rules import Floats
from workflow.metrics.saved import Labels, read_runs

BINS = 10
# Bin k holds probabilities above EDGES[k] up to EDGES[k + 1]; the first holds 0 too.
EDGES = np.linspace(0, 1, BINS + 1)

COLUMNS = [
    *("dataset", "method", "seed", "class", "low", "high", "images", "probability", "frequency"),
]


class Reliability(NamedTuple):
    """What a bin's images have in common; all `[BINS, n]`, NaN in empty bins.

    Attributes:
        images: how many there are.
        probability: mean predicted probability of the label.
        frequency: share of them that have the label.
    """

    images: NDArray[np.int64]
    probability: Floats
    frequency: Floats


def reliability(labels: Labels) -> Reliability:
    """Each label's images by predicted probability."""
    probability = expit(labels.logit)
    names = probability.shape[1]
    cells = np.searchsorted(EDGES[1:-1], probability) * names + np.arange(names)

    def sums(values: NDArray[np.generic]) -> Floats:
        found = np.bincount(cells.ravel(), values.ravel(), BINS * names)
        return found.astype(np.float64).reshape(BINS, names)

    images = sums(np.ones_like(probability))
    shares = (
        np.divide(sums(values), images, out=np.full_like(images, np.nan), where=images > 0)
        for values in (probability, labels.target)
    )
    return Reliability(images.astype(np.int64), *shares)


def expected_calibration_error(labels: Labels) -> Floats:
    """Mean distance of frequency and probability over bins, weighted by images; 0 to 1 `[n]`."""
    images, probability, frequency = reliability(labels)
    return np.nansum(np.abs(frequency - probability) * images, axis=0) / images.sum(axis=0)


def calibration(config: Config, runs: Iterable[Run]) -> pd.DataFrame:
    """The reliability diagrams of runs that classify.

    Returns:
        One row per run, seed, label and bin: dataset, method, seed, class, low, high (the bin's
        edges), images, probability, frequency (0 to 1, NaN in an empty bin).
    """
    rows = []
    for run, seeds in read_runs(config, runs):
        for seed, counts in seeds.items():
            if counts.labels is not None:
                found = reliability(counts.labels)
                for c, name in enumerate(counts.labels.images.names):
                    bins = zip(
                        EDGES[:-1], EDGES[1:], *(values[:, c] for values in found), strict=True
                    )
                    rows += [(*run, seed, name, *values) for values in bins]
    return pd.DataFrame(rows, columns=COLUMNS)
