"""Draws a larger figure by its key."""

from collections.abc import Callable

from matplotlib.figure import Figure

from workflow.base.errors import ConfigError
from workflow.config.model import Config
from workflow.figures.plots import (
    PLOTS,
    ablation,
    curves,
    efficiency,
    plot_runs,
    published,
    ranking,
    reliability,
    seeds,
)
from workflow.figures.plots.subject import Subject
from workflow.results.read import Results, read_results

DRAW: dict[str, Callable[[Subject], Figure]] = {
    "published": published.draw,
    "seeds_segmentation": seeds.draw,
    "seeds_classification": seeds.draw,
    "ranking": ranking.draw,
    "ablation": ablation.draw,
    "efficiency_segmentation": efficiency.draw,
    "efficiency_classification": efficiency.draw,
    "curves": curves.draw,
    "reliability": reliability.draw,
}


def draw(config: Config, key: str, results: Results | None = None) -> Figure:
    """Draw a larger figure; within `page.look()`, as saving it.

    Args:
        config: the resolved configuration.
        key: the plot's key in `PLOTS`.
        results: results that include those of its runs; None reads them.

    Raises:
        ConfigError: nothing of it is left under `select`.
    """
    runs = plot_runs(config, key)
    if not runs:
        raise ConfigError(f"figure {key}: nothing is left under `select`; do not ask for it")
    if "counts" not in PLOTS[key].reads:
        results = read_results(config, [])
    elif results is None:
        results = read_results(config, runs)
    return DRAW[key](Subject(config, key, runs, results))
