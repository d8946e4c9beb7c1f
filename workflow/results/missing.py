"""Why a number has no verdict, or rests on fewer seeds than it should: in words."""

from collections.abc import Iterable

from workflow.config.cells import Run
from workflow.config.metrics import METRICS
from workflow.config.model import Config
from workflow.config.notices import seeds_text
from workflow.metrics.failures import failure
from workflow.results.read import Results

LEFT_OUT = "not run: left out by this run's configuration"
NO_INTERVAL = "no interval: one seed, and no two groups to compare"


def what_is_missing(config: Config, results: Results, run: Run, metric: str) -> str:
    """What a metric of a run lacks; empty if every seed gave a number and there is an interval.

    Seeds that were never run, failed, or gave no number are named, with what a failed one says.
    """
    known = run.dataset in config.datasets and run.method in config.methods
    if not known or not config.chosen(*run):
        return LEFT_OUT
    if below := results.below.get((run, METRICS[metric].task)):
        return below
    found = results.ratios.get(run, {})
    if found and metric not in found:
        return f"its counts hold no {metric}"
    ratios = found.get(metric)
    seeds = dict(zip(ratios.seeds, ratios.values(), strict=True)) if ratios else {}
    absent = [seed for seed in config.seeds if seed not in seeds]
    failures = {seed: text for seed in absent if (text := failure(config, run, seed))}
    unrun = [seed for seed in absent if seed not in failures]
    undefined = [seed for seed, value in seeds.items() if value != value]
    parts = [f"seed {seed} failed: {text}" for seed, text in failures.items()]
    if unrun:
        parts.append("not run" if unrun == list(config.seeds) else f"{seeds_text(unrun)} not run")
    if undefined:
        parts.append(f"undefined in {seeds_text(undefined)}")
    estimate = results.estimates.get((run, metric))
    if estimate is not None and estimate.low is None:
        parts.append(NO_INTERVAL)
    return "; ".join(parts)


def missing_of(config: Config, results: Results, runs: Iterable[Run], metric: str) -> str:
    """What several runs lack; those that lack the same are named together, by method."""
    lacking: dict[str, list[str]] = {}
    for run in runs:
        if text := what_is_missing(config, results, run, metric):
            lacking.setdefault(text, []).append(method_title(config, run.method))
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in lacking.items())


def method_title(config: Config, method: str) -> str:
    """What a method is called; its key where the configuration has no such method."""
    return config.methods[method].title if method in config.methods else method
