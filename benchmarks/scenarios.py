"""Invented test sets, on which it is known what is true.

A score is 75 points plus random effects: the group's difficulty (common to all methods), method ×
group, method × seed, method × seed × group, and the image's own. Classes share half of each
effect's variance. All methods are equal in truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.metrics.variance import Array

DATA = Path(__file__).parents[1] / "workflow" / "data"
TRUTH = 75.0


@dataclass(frozen=True)
class Scenario:
    """A test set, and how much its scores vary.

    Attributes:
        name: the scenario's name in the table.
        images: the number of images that hold each class, `[groups][classes]`.
        groups: SD of method × group, in points.
        seeds: SD of method × seed.
        both: SD of method × seed × group.
        within: SD of the images of a group.
        difficulty: SD of what a group does to both methods.
        skewed: whether what a group does has a long tail downwards, that of an exponential
            distribution, instead of being normal.
        harder: points that a group loses where it has e times the images. If not 0, each block of
            repeats draws four groups from `images`.
        count: the number of seeds.
    """

    name: str
    images: tuple[tuple[int, ...], ...]
    groups: float = 2.0
    seeds: float = 1.0
    both: float = 1.5
    within: float = 8.0
    difficulty: float = 8.0
    skewed: bool = False
    harder: float = 0.0
    count: int = 5


@dataclass(frozen=True)
class ScenarioBlock:
    """Simulated repeats.

    Attributes:
        scores: mean score of a group's images `[repeats, methods, seeds, groups, classes]`.
        images: how many these are `[groups, classes]`.
        by_image: the score of each image averaged over seeds, for each class, `[repeats,
            methods, images]`.
        truth: the true mean of each method.
    """

    scores: Array
    images: Array
    by_image: list[Array]
    truth: float


def slices(vendor: str) -> pd.DataFrame:
    """How many slices of each RETOUCH volume of a vendor hold each lesion, roughly.

    The record has pixels alone; a lesion on w slices is taken to have 100 w² of them.
    """
    record = pd.read_csv(DATA / "records/retouch_volumes.csv", index_col="id")
    record = record[record["vendor"] == vendor]
    width = {name: np.ceil(np.sqrt(record[name]) / 10) for name in ("irf", "srf", "ped")}
    held = {name: np.minimum(slices, record["slices"]) for name, slices in width.items()}
    return pd.DataFrame(held).astype(int)


def scenarios() -> list[Scenario]:
    """From the plainest to those in which something must give way."""
    equal, unequal = ((40,),) * 4, ((80,), (48,), (24,), (8,))
    one, isic = ((152,), (4,), (2,), (2,)), ((1,),) * 600
    volumes = []
    for vendor in ("Cirrus", "Spectralis", "Topcon"):
        split = pd.read_csv(DATA / f"splits/retouch_{vendor.lower()}.csv", index_col="id")["split"]
        test = slices(vendor).loc[split.index[split == "test"]]
        volumes.append(Scenario(f"RETOUCH {vendor}, 4 volumes", _rows(test)))
    held = slices("Cirrus")[["irf"]]
    return [
        Scenario("4 equal groups", equal),
        Scenario("4 equal groups, only groups vary", equal, seeds=0, both=0),
        Scenario("4 equal groups, seeds dominate", equal, groups=0.5, seeds=3, within=2),
        Scenario("4 equal groups, heavy interaction", equal, both=4),
        Scenario("4 unequal groups", unequal),
        Scenario("4 unequal groups, heavy interaction", unequal, both=4),
        *volumes,
        Scenario("8 equal groups", ((40,),) * 8),
        Scenario("ISIC, 600 images", isic, 10, 0.4, 6, 0, 12, skewed=True),
        Scenario("ISIC, seeds dominate", isic, 10, 1.5, 6, 0, 12, skewed=True),
        Scenario("4 groups, one holds 95 %", one),
        Scenario(
            "4 of 18 Cirrus volumes, large ones harder", _rows(held[held["irf"] > 0]), harder=4
        ),
        Scenario("limit: nothing but interaction", equal, 0, 0, 4, 0, 0),
        Scenario("limit: unequal, only groups vary", unequal, seeds=0, both=0),
        Scenario("limit: 4 skewed groups", equal, skewed=True),
        Scenario("limit: two seeds", equal, count=2),
        Scenario("limit: one seed", equal, count=1),
    ]


def _rows(table: pd.DataFrame) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in table.to_numpy().tolist())


def simulated(
    scenario: Scenario, repeats: int, generator: np.random.Generator
) -> Iterator[ScenarioBlock]:
    """The repeats in blocks, which bound memory and share their groups' sizes."""
    images = np.array(scenario.images, dtype=float)
    step = 10 if scenario.harder else 100
    for start in range(0, repeats, step):
        count = min(step, repeats - start)
        if scenario.harder:
            loss = scenario.harder * (np.log(images) - np.log(images).mean())
            truth = TRUTH - float((images * loss).sum() / images.sum())
            drawn = generator.integers(len(images), size=4)
            yield block_of(scenario, count, images[drawn], TRUTH - loss[drawn], truth, generator)
        else:
            yield block_of(scenario, count, images, np.array(TRUTH), TRUTH, generator)


def block_of(
    scenario: Scenario,
    repeats: int,
    images: Array,
    expected: Array,
    truth: float,
    generator: np.random.Generator,
    methods: int = 2,
) -> ScenarioBlock:
    """Scores of equal methods, a group's being `expected` (of all, or `[groups, 1]`)."""
    groups, classes = images.shape

    def effects(sd: float, *shape: int, skewed: bool = False) -> Array:
        size = (repeats, *shape, classes + 1)
        if skewed:
            draws = (0.5 - generator.gamma(0.5, size=size)) / 0.5**0.5
        else:
            draws = generator.standard_normal(size)
        # Half of the variance is common to the classes.
        return sd * (draws[..., :1] + draws[..., 1:]) / 2**0.5

    scores = (
        expected
        + effects(scenario.difficulty, 1, 1, groups, skewed=scenario.skewed)
        + effects(scenario.groups, methods, 1, groups, skewed=scenario.skewed)
        + effects(scenario.seeds, methods, scenario.count, 1)
        + effects(scenario.both, methods, scenario.count, groups)
    )
    by_image = []
    for k in range(classes):
        group = np.repeat(np.arange(groups), images[:, k].astype(int))
        noise = scenario.within * generator.standard_normal((repeats, methods, len(group)))
        by_image.append(scores[..., group, k].mean(axis=2) + noise)
        mean = noise @ (group[:, None] == np.arange(groups)) / np.maximum(images[:, k], 1)
        scores[..., k] += mean[:, :, None]
    return ScenarioBlock(scores, images, by_image, truth)
