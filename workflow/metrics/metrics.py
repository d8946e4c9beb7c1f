"""Every metric of the tables, from saved counts and logits only (the paper's section IV).

Segmentation: JI and DSC by the configured rule (`rules.py`). Classification: micro-averages over
labels, and AUC (`scores.py`), ECE (`calibration.py`). `workflow.config.metrics` lists them all with
their units, and a share of counts needs no more than its entry there. Any other has a function: of
pixels in `rules._OTHERS`, of distances and of logits in `_distances` and `_ranked` here.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow.config.cells import Run
from workflow.config.metrics import METRICS
from workflow.config.model import Config
from workflow.config.sections import Evaluation
from workflow.metrics.calibration import expected_calibration_error
from workflow.metrics.ratios import Ratios, ratio_of_sums
from workflow.metrics.rules import RULES, Floats, Parts, segmentation_parts
from workflow.metrics.saved import Counts, Images, Labels, Pixels, read_runs
from workflow.metrics.scores import DECISIONS, auc, decision_parts, pooled_over_labels

COLUMNS = ["dataset", "method", "seed", "metric", "value", "n"]
CLASS_COLUMNS = ["dataset", "method", "seed", "metric", "class", "value", "n"]
RULE_COLUMNS = ["dataset", "method", "seed", "rule", "metric", "value", "n"]


class ByClass(NamedTuple):
    """A metric of each class `[C]`, and the n that it rests on; NaN and 0 where it is undefined."""

    value: Floats
    n: NDArray[np.int64]

    def mean(self) -> tuple[float, int]:
        """The mean over the classes in which it is defined, and their n."""
        defined = self.value[self.n > 0]
        return float(defined.mean()) if len(defined) else float("nan"), int(self.n.sum())


def collect(config: Config, runs: Iterable[Run], also: Collection[str] = ()) -> pd.DataFrame:
    """The metrics of the given runs and of all seeds whose counts are there.

    Args:
        config: the resolved configuration.
        runs: whose metrics.
        also: names of metrics that the configured rule does not bring.

    Returns:
        One row per run, seed and metric: dataset, method, seed, metric, value (NaN where it is
        undefined) and n, the number of (image, class) pairs averaged or counted; (volume, class)
        pairs under rule `per_volume`.

    Raises:
        DataError: a counts file cannot be used, or methods were scored on different images.
    """
    rows = [
        (*run, seed, metric, *found)
        for run, seeds in read_runs(config, runs)
        for seed, counts in seeds.items()
        for metric, found in metrics(counts, config.evaluation, also).items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def collect_ratios(
    config: Config, runs: Iterable[Run], also: Collection[str] = ()
) -> dict[Run, dict[str, Ratios]]:
    """What intervals are computed from: run -> metric -> ratios of the seeds that are there.

    A run without any counts is left out. Metrics are those of `ratios`; arguments as of `collect`.

    Raises:
        DataError: as `collect` does.
    """
    return {
        run: ratios(seeds, config.evaluation, also)
        for run, seeds in read_runs(config, runs)
        if seeds
    }


def ratios(
    seeds: Mapping[int, Counts], evaluation: Evaluation, also: Collection[str] = ()
) -> dict[str, Ratios]:
    """Metric -> ratios of one run, with `values()` as `metrics` has them, seed by seed.

    Args:
        seeds: seed -> its counts, all of the same images.
        evaluation: the rules.
        also: as of `collect`.

    Returns:
        What `metrics` has except `auc`, `ece`, `hd95` and `asd`, which are no ratios of sums or
        not in per cent.
    """
    parts = [_parts(counts, evaluation, also) for counts in seeds.values()]
    return {
        metric: Ratios(
            np.stack([found[metric].numerator for found in parts]),
            np.stack([found[metric].denominator for found in parts]),
            tuple(seeds),
            first.groups,
        )
        for metric, first in parts[0].items()
    }


def metrics(
    counts: Counts, evaluation: Evaluation, also: Collection[str] = ()
) -> dict[str, tuple[float, int]]:
    """Metric -> (value, n) of one seed of a run, for the tasks that its counts hold."""
    found = {metric: _total(parts) for metric, parts in _parts(counts, evaluation, also).items()}
    if counts.pixels is not None:
        distances = _distances(counts.pixels)
        found |= {metric: by_class.mean() for metric, by_class in distances.items()}
    if counts.labels is not None:
        ranked = _ranked(counts.labels, evaluation)
        found |= {metric: by_class.mean() for metric, by_class in ranked.items()}
    return found


def per_class(config: Config, runs: Iterable[Run], also: Collection[str] = ()) -> pd.DataFrame:
    """Every metric of each lesion and each label by itself; arguments as of `collect`.

    Returns:
        One row per run, seed, metric and class: dataset, method, seed, metric, class, value, n.

    Raises:
        DataError: as `collect` does.
    """
    rows = [
        (*run, seed, metric, *found)
        for run, seeds in read_runs(config, runs)
        for seed, counts in seeds.items()
        for metric, images, by_class in _by_class(counts, config.evaluation, also)
        for found in zip(images.names, by_class.value, by_class.n, strict=True)
    ]
    return pd.DataFrame(rows, columns=CLASS_COLUMNS)


def alternative_rules(config: Config, runs: Iterable[Run]) -> pd.DataFrame:
    """The tables' metrics under every rule: does a ranking survive another convention?

    Returns:
        One row per run, seed, rule and metric: dataset, method, seed, rule, metric, value, n. The
        rule is one of segmentation (`per_image`, ...: ji, dsc, and what the rule adds) or a
        decision (`sigmoid`, `softmax`, `argmax`, at the configured threshold: acc, sen, spe, auc).

    Raises:
        DataError: as `collect` does.
    """
    rows = []
    for run, seeds in read_runs(config, runs):
        for seed, counts in seeds.items():
            if counts.pixels is not None:
                for rule in RULES:
                    for metric, parts in segmentation_parts(counts.pixels, rule).items():
                        rows.append((*run, seed, rule, metric, *_total(parts)))
            if counts.labels is not None:
                for decision in DECISIONS:
                    evaluation = config.evaluation.model_copy(update={"decision": decision})
                    pooled = _pooled_decisions(counts.labels, evaluation)
                    found = {metric: _total(parts) for metric, parts in pooled.items()}
                    for metric, by_class in _ranked(counts.labels, evaluation).items():
                        if "rules" in METRICS[metric].tables:
                            found[metric] = by_class.mean()
                    rows += [(*run, seed, decision, m, *values) for m, values in found.items()]
    return pd.DataFrame(rows, columns=RULE_COLUMNS)


def _parts(counts: Counts, evaluation: Evaluation, also: Collection[str]) -> dict[str, Parts]:
    """The metrics of a table's columns that are ratios of sums."""
    found: dict[str, Parts] = {}
    if counts.pixels is not None:
        found |= segmentation_parts(counts.pixels, evaluation.rule, also)
    if counts.labels is not None:
        found |= _pooled_decisions(counts.labels, evaluation)
    return found


def _pooled_decisions(labels: Labels, evaluation: Evaluation) -> dict[str, Parts]:
    parts = decision_parts(labels, evaluation)
    return {metric: pooled_over_labels(found) for metric, found in parts.items()}


def _total(parts: Parts) -> tuple[float, int]:
    value = ratio_of_sums(parts.numerator.sum(axis=0), parts.denominator.sum(axis=0))
    return float(value), int(parts.n.sum())


def _distances(pixels: Pixels) -> dict[str, ByClass]:
    """HD95 and ASD: mean over the images in which both masks hold the class; none if unmeasured."""
    found: dict[str, ByClass] = {}
    for metric, values in (("hd95", pixels.hd95), ("asd", pixels.asd)):
        defined = ~np.isnan(values)
        n = defined.sum(axis=0)
        if n.any():
            sums = np.where(defined, values, 0).sum(axis=0)
            found[metric] = ByClass(np.where(n > 0, sums / np.maximum(n, 1), np.nan), n)
    return found


def _ranked(labels: Labels, evaluation: Evaluation) -> dict[str, ByClass]:
    """AUC and ECE of each label."""
    images, area = len(labels.images.ids), auc(labels, evaluation)
    error = expected_calibration_error(labels)
    return {
        "auc": ByClass(100 * area, np.where(np.isnan(area), 0, images)),
        "ece": ByClass(100 * error, np.full(len(error), images)),
    }


def _by_class(
    counts: Counts, evaluation: Evaluation, also: Collection[str]
) -> list[tuple[str, Images, ByClass]]:
    found: list[tuple[str, Images, ByClass]] = []
    pixels, labels = counts
    if pixels is not None:
        parts = segmentation_parts(pixels, evaluation.rule, also)
        values = {metric: _each(of_metric) for metric, of_metric in parts.items()}
        values |= _distances(pixels)
        found += [(metric, pixels.images, value) for metric, value in values.items()]
    if labels is not None:
        parts = decision_parts(labels, evaluation)
        values = {metric: _each(of_metric) for metric, of_metric in parts.items()}
        values |= _ranked(labels, evaluation)
        found += [(metric, labels.images, value) for metric, value in values.items()]
    return found


def _each(parts: Parts) -> ByClass:
    """The value of each class, which is the mean over one class."""
    sums = (part.sum(axis=0)[:, None] for part in (parts.numerator, parts.denominator))
    return ByClass(ratio_of_sums(*sums), parts.n)
