"""How a rule starts a step: with the resolved configuration, and with errors told in one piece."""

import errno
import sys
from collections.abc import Callable
from pathlib import Path

from workflow.base.errors import ConfigError
from workflow.base.files import read_json
from workflow.base.plain import plain, plain_streams
from workflow.config.load import resolve
from workflow.config.model import Config

FULL = (errno.ENOSPC, errno.EDQUOT)
# numpy says no more than this of an array that did not fit on a disk.
NUMPYS_WORDS = " requested and "


def read_config(path: Path) -> Config:
    """The configuration that the Snakefile resolved and wrote down for its jobs.

    Raises:
        ConfigError: it is damaged, or cannot be used.
    """
    from workflow.base.digests import condition

    if condition(path) == "damaged":
        raise ConfigError(
            f"{path}: damaged (its content is not what was written). Start snakemake again, which "
            "writes it anew"
        )
    return resolve(read_json(path), str(path))


def run_step(step: Callable[..., None], config_path: Path, *arguments: str) -> None:
    """Run a step; end with its message, and no traceback, if it is not the code that is wrong."""
    from workflow.base.errors import DataError

    try:
        with plain_streams():
            step(read_config(config_path), *arguments)
    except (ConfigError, DataError) as error:
        sys.exit(f"error: {plain(str(error))}")
    except MemoryError:
        sys.exit(
            "error: memory ran out; let fewer jobs run at a time (--cores), or on a cluster give "
            "this one more (--set-resources RULE:mem_mb=…)"
        )
    except OSError as error:
        if not is_full(error):
            raise
        sys.exit(
            f"error: {error.filename or 'the disk of the results'}: no space left; free some, and "
            "give the same command again"
        )


def is_full(error: OSError) -> bool:
    """Whether an error is that a disk is full, or that a quota is."""
    return error.errno in FULL or (error.errno is None and NUMPYS_WORDS in str(error))
