"""Every metric of the paper, from saved counts and logits only (section IV).

Segmentation: JI and DSC per image and lesion, averaged over the images whose reference holds the
lesion, then over lesions (docs/fidelity.md says why this rule: pooled pixels cannot give the
printed numbers). Classification: micro-averages over labels. All values in per cent.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.special import expit

from workflow import paths
from workflow.cells import Run
from workflow.config import Config
from workflow.config_sections import Evaluation

COLUMNS = ["dataset", "method", "seed", "metric", "value", "n"]


def collect(config: Config, runs: Iterable[Run]) -> pd.DataFrame:
    """The metrics of the given runs and of all seeds whose counts are there.

    Returns:
        One row per run, seed and metric: dataset, method, seed, metric, value (per cent, NaN
        where it is undefined) and n, the number of (image, class) pairs averaged or counted.
    """
    rows = []
    for dataset, method in runs:
        for seed in config.seeds:
            file = paths.evaluation(config, dataset, method, seed) / "counts.parquet"
            if file.is_file():
                for metric, (value, n) in metrics(pd.read_parquet(file), config.evaluation).items():
                    rows.append((dataset, method, seed, metric, value, n))
    return pd.DataFrame(rows, columns=COLUMNS)


def metrics(counts: pd.DataFrame, evaluation: Evaluation) -> dict[str, tuple[float, int]]:
    """metric -> (per cent, n) of one run, for the tasks that its counts hold."""
    segmentation = counts.loc[counts["task"] == "segmentation"]
    classification = counts.loc[counts["task"] == "classification"]
    found: dict[str, tuple[float, int]] = {}
    if len(segmentation):
        found |= segmentation_metrics(segmentation)
    if len(classification):
        found |= classification_metrics(classification, evaluation)
    return found


def segmentation_metrics(counts: pd.DataFrame) -> dict[str, tuple[float, int]]:
    """JI and DSC: mean over reference-positive images per lesion, then over lesions."""
    tp, fp, fn = (counts[k].to_numpy(float) for k in ("tp", "fp", "fn"))
    held = (tp + fn) > 0
    with np.errstate(invalid="ignore"):  # an absent lesion found absent is 0 / 0, and not held
        scores = {"ji": tp / (tp + fp + fn), "dsc": 2 * tp / (2 * tp + fp + fn)}
    n = int(held.sum())
    names = counts["name"].to_numpy()[held]
    return {metric: (_percent(score[held], names), n) for metric, score in scores.items()}


def classification_metrics(
    counts: pd.DataFrame, evaluation: Evaluation
) -> dict[str, tuple[float, int]]:
    """Micro-averaged accuracy, sensitivity and specificity: decisions pooled over labels."""
    decided = decide(counts, evaluation)
    target = counts["target"].to_numpy(bool)
    tp, tn = int((decided & target).sum()), int((~decided & ~target).sum())
    positive, negative = int(target.sum()), int((~target).sum())
    return {
        "acc": (_ratio(tp + tn, positive + negative), positive + negative),
        "sen": (_ratio(tp, positive), positive),
        "spe": (_ratio(tn, negative), negative),
    }


def decide(counts: pd.DataFrame, evaluation: Evaluation) -> np.ndarray:
    """Which (image, label) rows are called present; bool, in the rows' order.

    `sigmoid` takes each label by itself, `softmax` shares one probability among an image's labels.
    """
    logits = counts["logit"].to_numpy(float)
    if evaluation.decision == "sigmoid":
        probability = expit(logits)
    else:
        images = counts["id"].to_numpy()
        shifted = np.exp(logits - pd.Series(logits).groupby(images).transform("max").to_numpy())
        probability = shifted / pd.Series(shifted).groupby(images).transform("sum").to_numpy()
    return probability > evaluation.threshold


def _percent(scores: np.ndarray, lesions: np.ndarray) -> float:
    """Mean over images, then over lesions, in per cent; NaN if no image holds any lesion."""
    means = [scores[lesions == lesion].mean() for lesion in np.unique(lesions)]
    return float(np.mean(means) * 100) if means else float("nan")


def _ratio(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")
