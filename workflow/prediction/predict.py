"""Predicts on images and volumes with trained networks, and writes a folder of what was found.

Several threads read and prepare what comes next, one computes batch after batch, and others write;
a batch goes over the borders of images, so that single photographs are as fast as a volume. What
cannot be used is refused by its name and does not stop the rest.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from resformer.trained import TrainedFile
from workflow.base.errors import DataError
from workflow.base.files import csv_text, remove_tree, write_json, write_text
from workflow.base.workers import WorkProgress, each, usable_threads
from workflow.config.training import Training
from workflow.networks.device import available_cpus, choose_device, choose_precision, computing
from workflow.prediction.computing import Answers, Ensemble
from workflow.prediction.inputs import InputImage, RefusedFile
from workflow.prediction.members import EnsembleMember
from workflow.prediction.page import ShownPrediction, shown, write_page
from workflow.prediction.reading import ReadImage, read_prepared
from workflow.prediction.references import References, ScoredMetric
from workflow.prediction.request import Outcome, Wanted
from workflow.prediction.writing import (
    FOLDERS,
    PredictedImage,
    columns,
    described,
    volume_columns,
    write_images,
)

FILES = ("predictions.csv", "volumes.csv", "refused.csv", "scores.csv", "index.html", "about.json")
COUNTS = "counts.parquet"
Number = TypeVar("Number", np.uint8, np.float32)


def predict(
    members: Sequence[EnsembleMember],
    images: Sequence[InputImage],
    wanted: Wanted,
    refused: Iterable[RefusedFile] = (),
    references: References | None = None,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Predict on images, and write masks, tables and a page.

    Args:
        members: the networks, whose answers are averaged.
        images: what to predict on.
        wanted: how, and what is written.
        refused: what has been refused already.
        references: what to score predictions by; None scores nothing.
        say: takes lines of progress.

    Raises:
        DataError: the networks cannot be used, the folder holds something else, or no image can be
            used.
    """
    _clear(wanted)
    # `computing` asks no more of a protocol than these.
    protocol = Training.model_construct(
        device=wanted.device,
        precision=members[0].about.precision,
        threads=wanted.threads or available_cpus(),
        determinism="strict",
    )
    device = choose_device(protocol)
    with computing(protocol):
        ensemble = Ensemble(members, device, choose_precision(protocol, device), wanted.flips)
        work = _Prediction(ensemble, wanted, list(refused), references, say)
        start = time.perf_counter()
        work.run(images)
        seconds = time.perf_counter() - start
    scores = work.close([member.name for member in members])
    _write_about(wanted, members, device)
    return Outcome(len(work.shown), len(work.rows), work.refused, work.without, scores, seconds)


def _clear(wanted: Wanted) -> None:
    """Make room for what is written.

    Raises:
        DataError: there is something else in the folder, or an earlier prediction to be kept.
    """
    out = wanted.out
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: a file; --out is a folder")
    there = sorted(one.name for one in out.iterdir()) if out.is_dir() else []
    if not there:
        return
    ours = {*FILES, *FOLDERS, COUNTS}
    strange = [name for name in there if name not in ours]
    if strange or not wanted.replace:
        raise DataError(
            f"{out}: holds {strange[0] if strange else there[0]}; give an empty folder"
            + ("" if strange else ", or --replace to remove the predictions in it")
        )
    for name in there:
        if name in FOLDERS:
            remove_tree(out / name)
        else:
            (out / name).unlink()


class _Waiting(NamedTuple):
    """A slice that waits for its batch."""

    read: ReadImage
    k: int


@dataclass
class _Prediction:
    """Predicting under way, and what has come of it so far."""

    ensemble: Ensemble
    wanted: Wanted
    refused: list[RefusedFile]
    references: References | None
    say: Callable[[str], None]
    rows: list[dict[str, Any]] = field(default_factory=list)
    totals: list[dict[str, Any]] = field(default_factory=list)
    shown: list[ShownPrediction] = field(default_factory=list)
    without: list[str] = field(default_factory=list)

    @property
    def about(self) -> TrainedFile:
        """What is known of the networks."""
        return self.ensemble.about

    def run(self, images: Sequence[InputImage]) -> None:
        """Predict on all images, in their order."""
        threads = usable_threads(self.wanted.threads or available_cpus())
        progress = WorkProgress("predict", len(images), "images", self.say)
        with ThreadPoolExecutor(threads) as pool:
            writing: deque[Future[None]] = deque()
            for image in self._predicted(self._read(images, threads, progress)):
                writing.append(pool.submit(self._write, image))
                if len(writing) > 2 * threads:
                    writing.popleft().result()
                self._note(image)
                progress.add(1)
            for one in writing:
                one.result()
        progress.end()

    def _read(
        self, images: Sequence[InputImage], threads: int, progress: WorkProgress
    ) -> Iterator[ReadImage]:
        """The images that can be used; others are refused."""
        preparation, show = self.about.preparation, self.wanted.overlays

        def read(image: InputImage) -> ReadImage | RefusedFile:
            try:
                return read_prepared(image, preparation, show)
            except DataError as error:
                return RefusedFile(image.path, _without_path(str(error), image.path))

        for found in each(read, images, threads):
            if isinstance(found, RefusedFile):
                self._refuse(found)
                progress.add(1)
            else:
                yield found

    def _predicted(self, images: Iterator[ReadImage]) -> Iterator[PredictedImage]:
        """The images with what is said of them, in their order."""
        waiting: list[_Waiting] = []
        said: list[Answers] = []
        for read in images:
            waiting += [_Waiting(read, k) for k in range(len(read.prepared))]
            while len(waiting) >= self.wanted.batch:
                batch, waiting = waiting[: self.wanted.batch], waiting[self.wanted.batch :]
                yield from self._complete(batch, said)
        if waiting:
            yield from self._complete(waiting, said)

    def _complete(self, batch: list[_Waiting], said: list[Answers]) -> Iterator[PredictedImage]:
        """Answer a batch; the images whose last slice is in it."""
        answers = self.ensemble.answer(np.stack([one.read.prepared[one.k] for one in batch]))
        for place, (read, k) in enumerate(batch):
            said.append(_part(answers, place))
            if k + 1 < len(read.prepared):
                continue
            whole = _joined(said)
            said.clear()
            if whole.finite.all():
                yield described(read, whole, self.about)
            else:
                self._refuse(RefusedFile(read.source.path, "the network's answer is not finite"))

    def _write(self, image: PredictedImage) -> None:
        write_images(self.wanted.out, image, self.about.lesions)

    def _note(self, image: PredictedImage) -> None:
        """Keep an image's lines of the tables; its pixels are not kept."""
        self.rows += image.rows
        self.totals += [image.total] if image.total else []
        self.shown.append(shown(image, self.about))
        if self.references is None:
            return
        try:
            if lacking := self.references.add(image):
                self.without.append(f"{image.name} ({' and '.join(lacking)})")
        except DataError as error:
            self.say(f"not scored: {error}")
            self.without.append(image.name)

    def _refuse(self, one: RefusedFile) -> None:
        self.refused.append(one)
        self.say(f"refused: {one.file}: {one.why}")

    def close(self, names: Sequence[str]) -> list[ScoredMetric]:
        """Write tables, scores and the page.

        Raises:
            DataError: no image could be used, or none has a reference.
        """
        out, about = self.wanted.out, self.about
        if self.refused:
            lines = [{"file": one.file.as_posix(), "why": one.why} for one in self.refused]
            write_text(out / "refused.csv", csv_text(("file", "why"), lines))
        if not self.rows:
            raise DataError(
                f"no image could be used; {self.refused[0].file}: {self.refused[0].why}"
                if self.refused
                else "no image was given"
            )
        ensemble = any("disagreement" in row for row in self.rows)
        write_text(out / "predictions.csv", csv_text(columns(about, ensemble), self.rows))
        if self.totals:
            write_text(out / "volumes.csv", csv_text(volume_columns(about), self.totals))
        scores = []
        if self.references is not None:
            scores = self.references.write(out / COUNTS)
            lines = [one._asdict() for one in scores]
            write_text(out / "scores.csv", csv_text(ScoredMetric._fields, lines))
        write_page(out, about, names, self.shown, self.refused, scores)
        return scores


def _without_path(message: str, path: Path) -> str:
    """A message that is shown beside the path that it begins with."""
    return message.removeprefix(f"{path}: ")


def _part(answers: Answers, place: int) -> Answers:
    """What was said of one image of a batch."""
    one = slice(place, place + 1)
    return Answers(
        None if answers.masks is None else answers.masks[one],
        None if answers.logits is None else answers.logits[one],
        None if answers.disagreement is None else answers.disagreement[one],
        answers.finite[one],
    )


def _joined(said: Sequence[Answers]) -> Answers:
    """What was said of all slices of an image."""
    return Answers(
        _whole([one.masks for one in said]),
        _whole([one.logits for one in said]),
        _whole([one.disagreement for one in said]),
        np.concatenate([one.finite for one in said]),
    )


def _whole(parts: Sequence[NDArray[Number] | None]) -> NDArray[Number] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


def _write_about(wanted: Wanted, members: Sequence[EnsembleMember], device: torch.device) -> None:
    """Write what predicted, so that the folder explains itself."""
    about = members[0].about
    write_json(
        wanted.out / "about.json",
        {
            "network": about.title,
            "weights": [member.weights.as_posix() for member in members],
            "lesions": dict(enumerate(about.lesions, 1)),
            "labels": about.labels,
            "decision": about.decision,
            "threshold": about.threshold,
            "image_size": about.preparation.image_size,
            "flips": wanted.flips,
            "device": str(device),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "notices": about.card.get("notices", []),
            "use": "not for clinical use",
        },
    )
