"""Command line of one larger figure: `python -m workflow.figures.make_plot CONFIG KEY`.

CONFIG is the resolved configuration as JSON, KEY one of `plots.PLOTS`. Writes PDF and PNG.
"""

import sys
from pathlib import Path

from workflow.base.digests import recorded
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.errors import unknown
from workflow.config.model import Config
from workflow.figures.paper import save
from workflow.figures.plots import PLOTS
from workflow.figures.plots.drawing import draw
from workflow.figures.plots.page import look
from workflow.results.read import Results
from workflow.running.step import run_step


def make_plot(config: Config, key: str, results: Results | None = None) -> None:
    """Write one larger figure in both formats.

    Args:
        config: the resolved configuration.
        key: the plot's key in `PLOTS`.
        results: results that include those of its runs; None reads them.

    Raises:
        ConfigError: there is no such figure, or nothing of it is left under `select`.
    """
    if key not in PLOTS:
        raise ConfigError(f"figures: {unknown(key, PLOTS)}")
    with look():
        drawn = draw(config, key, results)
        for suffix in ("pdf", "png"):
            with recorded(paths.plot(config, key, suffix)) as temporary:
                save(drawn, temporary)


if __name__ == "__main__":
    run_step(make_plot, Path(sys.argv[1]), *sys.argv[2:])
