"""The parts of a pretraining that an interruption must not undo: networks, and losses of trials."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from signal import Signals

from workflow.base.digests import condition, read_recorded_json, record_json
from workflow.config.sections import MaskingPolicy
from workflow.training.pretraining.search import Losses
from workflow.training.state.interruption import Interrupted
from workflow.training.state.saved import STATE, Keeper, print_line


def _known(file: Path) -> dict[str, dict[str, float]]:
    """The losses of the trials before; none where there are none, or the file is damaged."""
    if condition(file) == "damaged":
        print_line(f"{file}: damaged; its trials are done again")
        return {}
    return read_recorded_json(file) if file.is_file() else {}


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
        known: dict[str, dict[str, float]] = _known(file)

        def losses(policy: MaskingPolicy) -> Losses:
            if signal := self._asked():
                raise Interrupted(signal.name)
            key = f"{policy.masked} of {policy.superpixels}"
            if key not in known:
                known[key] = asdict(evaluate(policy))
                record_json(file, known)
            return Losses(**known[key])

        return losses
