"""Counts, scores and settings for the tests of evaluation, without a network and without files."""

import numpy as np
import torch

from workflow.config.sections import Evaluation
from workflow.metrics.counts import pixel_counts
from workflow.metrics.saved import Labels, Pixels, ScoredImages

FLUIDS = ("irf", "srf", "ped")


def settings(**changes):
    """How to score, the paper's way where nothing is changed."""
    return Evaluation(
        **{
            "batch_size": 1,
            "resolution": "input",
            "boundary": False,
            "rule": "per_image",
            "decision": "sigmoid",
            "threshold": 0.5,
            "drop_duplicates": False,
            **changes,
        }
    )


def images(count, names, groups=None):
    """Images i0, i1, ...; `groups` has the group of each, or each is its own."""
    ids = tuple(f"i{k}" for k in range(count))
    of_each = list(groups or ids)
    different = tuple(dict.fromkeys(of_each))
    return ScoredImages(
        ids, tuple(names), different, np.array([different.index(g) for g in of_each])
    )


def pixels(counts, names=FLUIDS, groups=None, hd95=None, asd=None):
    """Of `[N, n, 4]` counts in the order TP, FP, FN, TN."""
    counts = np.asarray(counts, float)
    undefined = np.full(counts.shape[:2], np.nan)
    return Pixels(
        images(len(counts), names, groups),
        *np.moveaxis(counts, -1, 0),
        *(undefined if values is None else np.asarray(values, float) for values in (hd95, asd)),
    )


def counted(predicted, reference, names=FLUIDS, groups=None):
    """Of masks `[N, H, W]`, counted as evaluation counts them."""
    masks = (torch.as_tensor(np.asarray(mask)) for mask in (predicted, reference))
    return pixels(pixel_counts(*masks, len(names)).numpy(), names, groups)


def labels(logits, targets, groups=None):
    """Of `[N, n]` logits and reference labels, called l0, l1, ..."""
    logits = np.asarray(logits, np.float32).astype(float)
    names = [f"l{k}" for k in range(logits.shape[1])]
    return Labels(images(len(logits), names, groups), np.asarray(targets) > 0, logits)


def random_masks(seed, count=6, side=4, classes=4):
    """Predicted and reference masks `[2, count, side, side]` in which classes are often absent."""
    random = np.random.default_rng(seed)
    share = random.dirichlet([1] + [0.3] * (classes - 1))
    masks = random.choice(classes, size=(2, count, side, side), p=share)
    keep = random.random((2, count, 1, 1)) > 0.2
    return masks * keep
