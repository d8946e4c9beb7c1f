"""Hands the numbers of each epoch to the loggers that `training.log` names.

`csv` is history.csv, which every run writes when it ends. `tensorboard` writes event files as
epochs end. Anything else is `module:name`, a function of the user's own that is called once with
the folder for what it writes and with what is known of the run, and returns an object with
`log(epoch, values)` and `close()`. A logger that fails is left out from then on: no run is lost
because a server is away.
"""

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from workflow.base.errors import ConfigError
from workflow.training.progress import Epoch

EXTRA = "resformer-reproduction[tensorboard]"


class EpochLogger(Protocol):
    """What takes the numbers of epochs."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take the numbers of an epoch, counted from 1; what is not finite is left out."""
        ...

    def close(self) -> None:
        """Write what is still to be written."""
        ...


class TensorBoardLogger:
    """TensorBoard's event files; it needs the extra `tensorboard`.

    Args:
        folder: the folder that they are written to.

    Raises:
        ConfigError: the extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "training.log: found tensorboard, which is not installed; install "
                f"{EXTRA}, or `uv sync --extra tensorboard`, or take it out"
            )
        self._folder, self._writer = folder, None

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the numbers of an epoch; a run that is taken up again replaces later ones."""
        if self._writer is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(self._folder, purge_step=epoch)
        for name, value in values.items():
            self._writer.add_scalar(name.replace("_", "/", 1), value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


class EpochLoggers:
    """Reports each epoch, and hands its numbers to the loggers of a run.

    Args:
        names: `training.log`.
        folder: the folder for what loggers write.
        run: what is known of the run: dataset, method, seed, preset, configuration.
        report: takes the epoch and how many there are, as it did without loggers.
        say: takes a line where a logger fails.

    Raises:
        ConfigError: a logger cannot be made.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        run: Mapping[str, Any],
        report: Callable[[Epoch, int], None],
        say: Callable[[str], None],
    ) -> None:
        self._report, self._say = report, say
        self._loggers = {name: _opened(name, folder, run) for name in names if name != "csv"}

    def __call__(self, epoch: Epoch, epochs: int) -> None:
        """An epoch has ended."""
        self._report(epoch, epochs)
        numbers = {k: float(v) for k, v in asdict(epoch).items() if k != "epoch"}
        values = {name: value for name, value in numbers.items() if math.isfinite(value)}
        self._each(lambda logger: logger.log(epoch.epoch, values))

    def close(self) -> None:
        """Close all loggers."""
        self._each(lambda logger: logger.close())

    def _each(self, use: Callable[[EpochLogger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                use(logger)
            except Exception as error:  # noqa: BLE001 - of code that is not this project's
                del self._loggers[name]
                self._say(f"training.log: {name} failed and is left out from here on: {error!r}")


def _opened(name: str, folder: Path, run: Mapping[str, Any]) -> EpochLogger:
    if name == "tensorboard":
        return TensorBoardLogger(folder)
    module, _, function = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), function)(folder, dict(run))
    except Exception as error:
        raise ConfigError(
            f"training.log: {name} cannot be made ({error!r}); expected a function of a module "
            "that Python finds, called with a folder and a dict; see docs/use.md"
        ) from error
    missing = [method for method in ("log", "close") if not callable(getattr(made, method, None))]
    if missing:
        raise ConfigError(f"training.log: what {name} returned has no {missing[0]}()")
    return made
