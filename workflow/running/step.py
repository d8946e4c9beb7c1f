"""How a rule starts a step: with the resolved configuration, and with errors told in one piece."""

import sys
from collections.abc import Callable
from pathlib import Path

from workflow.base.errors import ConfigError
from workflow.base.files import read_json
from workflow.base.plain import plain, plain_streams
from workflow.config.load import resolve
from workflow.config.model import Config


def read_config(path: Path) -> Config:
    """The configuration that the Snakefile resolved and wrote down for its jobs."""
    return resolve(read_json(path), str(path))


def run_step(step: Callable[..., None], config_path: Path, *arguments: str) -> None:
    """Run a step; end with its message, and no traceback, if its input is what is wrong."""
    from workflow.base.errors import DataError

    try:
        with plain_streams():
            step(read_config(config_path), *arguments)
    except (ConfigError, DataError) as error:
        sys.exit(f"error: {plain(str(error))}")
