"""Which numbers of two results differ, by how much, and whether that means anything.

A metric of a run is compared on the test images and the seeds that both have, image by image and
seed by seed: the difference, its interval and its p value are those of `metrics.intervals`, and all
tests of a comparison are one family of Holm's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from workflow.base.errors import DataError
from workflow.comparison.sides import ComparedSide
from workflow.config.cells import Run
from workflow.config.metrics import METRICS
from workflow.metrics.intervals import Design, Difference, difference
from workflow.metrics.metrics import metrics, ratios
from workflow.metrics.saved import Counts
from workflow.metrics.statistics import holm
from workflow.results.read import design

Outcome = Literal["identical", "differs", "not significantly different", "not tested"]
# Facts of a run.json that tell two versions apart.
FACTS = ("commit", "fingerprint", "data_hash", "lock_sha256", "device", "precision")


@dataclass(frozen=True)
class ComparedNumber:
    """A metric of a run in both results.

    Attributes:
        run: its data set and method.
        title: the run as people call it.
        metric: the name of the metric.
        first, second: its means over the common seeds; None where no seed has a value.
        seeds: the common seeds.
        images: how many test images or volumes both were scored on.
        difference: second less first, paired; None where it is not tested.
        p: the p value, corrected for all tests of the comparison.
        outcome: what to say of it.
    """

    run: Run
    title: str
    metric: str
    first: float | None
    second: float | None
    seeds: tuple[int, ...]
    images: int
    difference: Difference | None
    p: float | None
    outcome: Outcome


@dataclass(frozen=True)
class ResultsComparison:
    """Two results beside each other.

    Attributes:
        names: what the two are called.
        numbers: every metric of every run that both have.
        alone: runs that only one of them has, each with its name.
        notes: what a reader has to know, such as images that only one was scored on.
        settings: key -> its value in the first and in the second, where they differ.
        level: the level of the intervals; tests are at 1 - level.
    """

    names: tuple[str, str]
    numbers: list[ComparedNumber]
    alone: list[tuple[str, str]]
    notes: list[str]
    settings: dict[str, tuple[Any, Any]]
    level: float

    def count(self, outcome: Outcome) -> int:
        """How many numbers have an outcome."""
        return sum(number.outcome == outcome for number in self.numbers)


def compare(first: ComparedSide, second: ComparedSide) -> ResultsComparison:
    """Compare two results.

    Both are scored by the rules of the first (`evaluation`), whatever the second's are.

    Raises:
        DataError: they have no run in common, or a file of counts cannot be used.
    """
    common = [run for run in first.runs if run in second.runs]
    if not common:
        raise DataError(
            f"{first.folder}, {second.folder}: no data set and method was evaluated in both"
        )
    chosen, notes = design(first.config), list[str]()
    rules = [side.config.evaluation.model_dump(exclude={"batch_size"}) for side in (first, second)]
    if rules[0] != rules[1]:
        notes.append("scored by other rules (`evaluation`): both are scored by those of the first")
    numbers = [number for run in common for number in _numbers(run, first, second, chosen, notes)]
    names = _names(first, second)
    alone = [
        (name, side.title(run))
        for name, side, other in ((names[0], first, second), (names[1], second, first))
        for run in side.runs
        if run not in other.runs
    ]
    return ResultsComparison(
        names,
        _corrected(numbers, chosen),
        alone,
        list(dict.fromkeys(notes)),
        _settings(first, second, common),
        chosen.level,
    )


def _names(first: ComparedSide, second: ComparedSide) -> tuple[str, str]:
    """The presets, or the folders where these are the same."""
    presets = first.config.preset, second.config.preset
    if presets[0] != presets[1]:
        return presets
    return first.folder.as_posix(), second.folder.as_posix()


def _numbers(
    run: Run, first: ComparedSide, second: ComparedSide, chosen: Design, notes: list[str]
) -> Iterator[ComparedNumber]:
    """The metrics of a run that both have, not yet corrected for the others."""
    evaluation, title = first.config.evaluation, first.title(run)
    one, other, images = _on_common_images(run, first, second, notes)
    seeds = tuple(seed for seed in one if seed in other)
    if not seeds:
        notes.append(f"{title}: no seed with results in both")
        return
    values = [
        {seed: metrics(counts[seed], evaluation) for seed in seeds} for counts in (one, other)
    ]
    parts = [ratios({seed: counts[seed] for seed in seeds}, evaluation) for counts in (one, other)]
    shared = [name for name in values[0][seeds[0]] if name in values[1][seeds[0]]]
    for metric in sorted(shared, key=list(METRICS).index):
        pairs = [tuple(side[seed][metric][0] for side in values) for seed in seeds]
        tested = None
        if METRICS[metric].tested and metric in parts[0]:
            tested = difference(parts[1][metric], parts[0][metric], chosen)
        same = all(a == b or (a != a and b != b) for a, b in pairs)
        yield ComparedNumber(
            run,
            title,
            metric,
            _mean(a for a, _ in pairs),
            _mean(b for _, b in pairs),
            seeds,
            images,
            tested,
            tested.p if tested else None,
            "identical" if same else "not tested",
        )


def _mean(values: Iterator[float]) -> float | None:
    there = [value for value in values if value == value]
    return fmean(there) if there else None


def _on_common_images(
    run: Run, first: ComparedSide, second: ComparedSide, notes: list[str]
) -> tuple[Mapping[int, Counts], Mapping[int, Counts], int]:
    """The counts of both on the test images that both have, and how many these are."""
    sides = [side.counts(run) for side in (first, second)]
    found = [_ids(counts) for counts in sides]
    lacking = found[0] ^ found[1]
    if lacking:
        notes.append(f"{first.title(run)}: {len(lacking)} test images of one only are left out")
        sides = [side.counts(run, lacking) for side in (first, second)]
    return sides[0], sides[1], len(found[0] & found[1])


def _ids(seeds: Mapping[int, Counts]) -> set[str]:
    """The images that any task of any seed was scored on."""
    return {
        name
        for counts in seeds.values()
        for task in counts
        if task is not None
        for name in task.images.ids
    }


def _corrected(numbers: list[ComparedNumber], chosen: Design) -> list[ComparedNumber]:
    """The numbers with p values for all of them together; what is identical needs no test."""
    open_ = [None if one.outcome == "identical" else one.p for one in numbers]
    return [
        number if p is None else replace(number, p=p, outcome=_outcome(p, chosen))
        for number, p in zip(numbers, holm(open_), strict=True)
    ]


def _outcome(p: float, chosen: Design) -> Outcome:
    return "differs" if p < chosen.alpha else "not significantly different"


def _settings(
    first: ComparedSide, second: ComparedSide, common: list[Run]
) -> dict[str, tuple[Any, Any]]:
    """What differs in the configurations, and in what runs recorded of themselves."""
    left_out = {"presets", "preset"}
    flat = [
        _flat(side.config.model_dump(mode="json", exclude=left_out)) for side in (first, second)
    ]
    found = {
        key: (flat[0].get(key), flat[1].get(key))
        for key in dict.fromkeys((*flat[0], *flat[1]))
        if flat[0].get(key) != flat[1].get(key)
    }
    for fact in FACTS:
        pairs = {
            (side[0].get(fact), side[1].get(fact))
            for run in common
            if (side := (first.record(run), second.record(run))) and all(side)
        }
        differing = [pair for pair in pairs if pair[0] != pair[1]]
        if differing:
            text = tuple(", ".join(sorted({str(p[k])[:16] for p in differing})) for k in (0, 1))
            found[f"run.json: {fact}"] = (text[0], text[1])
    return found


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as `training.loss.dice`."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        inside = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{key}.") if inside else {f"{prefix}{key}": value}
    return flat
