"""Command line of one figure: `python -m workflow.figures.make CONFIG KEY`.

CONFIG is the resolved configuration as JSON, KEY a figure of it. Writes PDF and PNG.
"""

import sys
from pathlib import Path

from workflow.base.digests import recorded
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.errors import unknown
from workflow.config.model import Config
from workflow.figures.paper import figure, save
from workflow.running.step import run_step


def make_figure(config: Config, key: str) -> None:
    """Write one figure in both formats.

    Raises:
        ConfigError: there is no such figure, or nothing of it is left under `select`.
    """
    if key not in config.figures:
        raise ConfigError(f"figures: {unknown(key, config.figures)}")
    drawn = figure(config, key)
    for suffix in ("pdf", "png"):
        with recorded(paths.figure(config, key, suffix)) as temporary:
            save(drawn, temporary)


if __name__ == "__main__":
    run_step(make_figure, Path(sys.argv[1]), *sys.argv[2:])
