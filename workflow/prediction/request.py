"""What a prediction is asked to do, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from workflow.base.errors import DataError
from workflow.config.metrics import with_unit
from workflow.config.sections import Evaluation
from workflow.prediction.inputs import RefusedFile
from workflow.prediction.members import EnsembleMember
from workflow.prediction.references import ScoredMetric


@dataclass(frozen=True)
class Wanted:
    """How is predicted, and what is written.

    Attributes:
        out: the folder to write to.
        device: `auto`, `cpu` or `cuda`.
        batch: images of a batch.
        threads: threads that read, compute and write, each; None for all processors.
        flips: whether flipped images are predicted on too, and the mean is taken.
        overlays: whether images with what was found painted over them are written.
        replace: whether an earlier prediction in the folder is removed first.
    """

    out: Path
    device: str = "auto"
    batch: int = 16
    threads: int | None = None
    flips: bool = False
    overlays: bool = False
    replace: bool = False


class Outcome(NamedTuple):
    """What came of predicting.

    Attributes:
        images: how many images and volumes were predicted.
        slices: how many slices these have; of a picture one.
        refused: what could not be used.
        without: names of images that lack a reference, where some were asked for.
        scores: what was scored.
        seconds: how long it took, from the first image read to the last one written.
    """

    images: int
    slices: int
    refused: list[RefusedFile]
    without: list[str]
    scores: list[ScoredMetric]
    seconds: float

    def as_text(self, out: Path) -> str:
        """What the command says in the end."""
        rate = self.slices / self.seconds
        lines = [
            f"{self.images} images ({self.slices} slices) in {self.seconds:.1f} s, "
            f"{rate:.1f} slices/s: {out / 'index.html'}"
        ]
        if self.refused:
            lines.append(f"{len(self.refused)} not used: {out / 'refused.csv'}")
        if self.without:
            lines.append(f"{len(self.without)} without a reference, first {self.without[0]}")
        for one in self.scores:
            around = "" if one.low is None else f"  {one.low:.2f} to {one.high:.2f}"
            lines.append(f"{with_unit(one.name):<16}{one.value:8.2f}{around}  n = {one.n}")
        return "".join(f"{line}\n" for line in lines)


def evaluation_of(member: EnsembleMember) -> Evaluation:
    """How the test images of a network's run were scored.

    Raises:
        DataError: this version of the code does not know its keys.
    """
    try:
        return Evaluation.model_validate(member.about.card["evaluation"])
    except (KeyError, ValidationError) as error:
        raise DataError(
            f"{member.weights}: how its test images were scored cannot be read ({error}); export "
            "the run again with this version of the code"
        ) from error


def with_intensity(
    members: Sequence[EnsembleMember], rule: str | tuple[float, float]
) -> list[EnsembleMember]:
    """The networks, with another rule by which intensities of volumes become 0 to 255."""
    found = []
    for member in members:
        preparation = replace(member.about.preparation, intensity=rule)
        found.append(member._replace(about=replace(member.about, preparation=preparation)))
    return found
