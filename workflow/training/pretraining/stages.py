"""The parts of a pretraining that an interruption must not undo: networks, and losses of trials."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from signal import Signals

from workflow.base.files import read_json, write_json
from workflow.config.sections import MaskingPolicy
from workflow.training.pretraining.search import Losses
from workflow.training.state.interruption import Interrupted
from workflow.training.state.saved import STATE, Keeper


class Stages:
    """The states of one seed's parts, each in a file of its own.

    Args:
        folder: the run's folder of states.
        seconds: the seconds between two saves of a network that is trained.
        asked: tells which signal has asked the run to stop.
    """

    def __init__(self, folder: Path, seconds: float, asked: Callable[[], Signals | None]) -> None:
        self.folder, self._seconds, self._asked = folder, seconds, asked

    def keeper(self, part: str) -> Keeper:
        """What keeps the state of a part that is trained."""
        return Keeper(self.folder / f"{STATE}_{part}.safetensors", self._seconds, self._asked)

    def remembered(
        self, evaluate: Callable[[MaskingPolicy], Losses]
    ) -> Callable[[MaskingPolicy], Losses]:
        """The same evaluation, which is not done again for a policy that has been seen.

        Raises:
            Interrupted: by the result, if the run is asked to stop.
        """
        file = self.folder / f"{STATE}_search.json"
        known: dict[str, dict[str, float]] = read_json(file) if file.is_file() else {}

        def losses(policy: MaskingPolicy) -> Losses:
            if signal := self._asked():
                raise Interrupted(signal.name)
            key = f"{policy.masked} of {policy.superpixels}"
            if key not in known:
                known[key] = asdict(evaluate(policy))
                write_json(file, known)
            return Losses(**known[key])

        return losses
