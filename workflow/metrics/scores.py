"""Classification from saved logits: decision rules, accuracy, sensitivity, specificity, AUC.

In the paper's tables the decisions of all labels are pooled (micro-average, its formulas). The AUC
is not: it is the mean over labels of each label's own, as the challenges of both data sets have it,
because labels of unequal prevalence share no ranking.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from workflow.config.metrics import ratios
from workflow.config.sections import Evaluation
from workflow.metrics.rules import Counted, Floats, RatioParts, sum_of
from workflow.metrics.saved import Labels

Decision = Literal["sigmoid", "softmax", "argmax"]
# Log odds that agree to so many decimals are equal; logits may come from 32-bit arithmetic.
TIED = 5
DECISIONS: tuple[Decision, ...] = get_args(Decision)


def decide(labels: Labels, evaluation: Evaluation) -> NDArray[np.bool_]:
    """Which labels are called present, `[N, n]`.

    `sigmoid` takes each label by itself, `softmax` shares one probability among an image's labels;
    both call what is above the threshold. `argmax` calls the largest, of equal ones the first.
    """
    if evaluation.decision == "argmax":
        return np.arange(labels.logit.shape[1]) == labels.logit.argmax(axis=1)[:, None]
    if evaluation.decision == "sigmoid":
        return expit(labels.logit) > evaluation.threshold
    return np.exp(_log_softmax(labels.logit)) > evaluation.threshold


def decision_parts(labels: Labels, evaluation: Evaluation) -> dict[str, RatioParts]:
    """`acc`, `sen`, `spe`, and what else is a share of right decisions, of each label by itself."""
    called, target, images = decide(labels, evaluation), labels.target, labels.images
    cells = (called & target, called & ~target, ~called & target, ~called & ~target)
    counts: Counted = dict(
        zip(("tp", "fp", "fn", "tn"), (cell.astype(np.float64) for cell in cells), strict=True)
    )
    found = {}
    for metric, ratio in ratios("classification").items():
        above, below = (sum_of(counts, names) for names in ratio)
        n = below.sum(axis=0).astype(np.int64)
        found[metric] = RatioParts(images.sums(above), images.sums(below), n, images.groups)
    return found


def pooled_over_labels(parts: RatioParts) -> RatioParts:
    """The micro-average: all labels as one class."""
    return RatioParts(
        parts.numerator.sum(axis=1, keepdims=True),
        parts.denominator.sum(axis=1, keepdims=True),
        parts.n.sum(keepdims=True),
        parts.groups,
    )


def auc(labels: Labels, evaluation: Evaluation) -> Floats:
    """Area under the ROC curve of each label, 0 to 1 `[n]`; NaN where one kind of image is missing.

    Images are ranked by what the decision rule looks at: the label's own logit, or with `softmax`
    and `argmax` its share of the softmax. Shares are ranked by their log odds, which keep what a
    share near 0 or 1 loses; those that differ by no more than arithmetic makes of equal ones are a
    tie, where it would else be rounding that orders them.
    """
    own = evaluation.decision == "sigmoid"
    ranked = labels.logit if own else np.round(_log_odds(labels.logit), TIED)
    columns = zip(ranked.T, labels.target.T, strict=True)
    return np.array([_auc(values, target) for values, target in columns])


def _auc(values: Floats, target: NDArray[np.bool_]) -> float:
    """The share of (present, absent) pairs in the right order; a tie is half a pair."""
    present = int(target.sum())
    pairs = present * (len(target) - present)
    if not pairs:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # of equal values the mean rank
    won = ranks[inverse][target].sum() - present * (present + 1) / 2
    return float(won / pairs)


def _log_odds(logits: Floats) -> Floats:
    """The log odds `[N, n]` of each label's share of the softmax; all equal where it is alone."""
    if logits.shape[1] == 1:
        return np.zeros_like(logits)
    others = (np.delete(logits, k, axis=1) for k in range(logits.shape[1]))
    return logits - np.stack([logsumexp(rest, axis=1) for rest in others], axis=1)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
