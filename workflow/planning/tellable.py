"""What a configuration could tell, before it is run: differences of methods, and printed values.

How much scores vary is not known before, so spreads are assumed, as standard deviations in points:
those of `VOLUMES` where groups are volumes, those of `IMAGES` where each image stands for itself.
They are of the size that simulated Dice scores have (`python -m benchmarks.verdict_words`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.base.columns import aligned
from workflow.base.files import read_csv
from workflow.base.wording import table_name
from workflow.config.cells import made_tables, table_cells
from workflow.config.model import Config
from workflow.metrics.against import Printing, against, enough
from workflow.metrics.intervals import Design, MeanEstimate, detectable_among
from workflow.metrics.variance import joined_degrees
from workflow.results.read import design
from workflow.verdicts.rankings import ranking_blocks


@dataclass(frozen=True)
class Assumed:
    """Standard deviations in points.

    Attributes:
        value: of a method's score between groups.
        difference: of the difference of two methods between groups.
        seed: of a method's score between seeds.
    """

    value: float
    difference: float
    seed: float


# Images of ISIC 2017's official test set.
OFFICIAL = 600
VOLUMES, IMAGES = Assumed(6.0, 4.0, 1.2), Assumed(16.0, 12.0, 0.6)


@dataclass(frozen=True)
class Tellable:
    """What a table could tell on a data set.

    Attributes:
        table: the table's key.
        title: the data set's title.
        groups: how many groups its test set has; None where that is not known before it is split.
        methods: how many methods are compared in a column, at most.
        tests: how many comparisons the whole table has.
        single: the true difference in points that a single test finds with the design's power; None
            where none of 100 points or less is found.
        first: the same as the first of all tests of the table, by Holm's steps.
        margin: the margin in points at which a printed value would be reproduced, if this run found
            exactly that; None with one seed.
        would_take: how many seeds or groups could tell at the configured margin; None if no number.
        same_images: whether that is a number of seeds.
    """

    table: str
    title: str
    groups: int | None
    methods: int
    tests: int
    single: float | None = None
    first: float | None = None
    margin: float | None = None
    would_take: int | None = None
    same_images: bool = False


def tellable(config: Config, spread: float = 1.0) -> list[Tellable]:
    """What each table of the paper could tell on each of its data sets.

    Args:
        config: the resolved configuration.
        spread: how many times as much as assumed scores vary.
    """
    chosen, found = design(config), []
    for table in made_tables(config, "results"):
        blocks = ranking_blocks(config, table)
        if not any(printed for _, printed in blocks.values()):
            continue
        columns = [(block, names) for block, (names, _) in blocks.items()]
        tests = sum(len(names) * (len(names) - 1) // 2 for _, names in columns)
        for name in dict.fromkeys(cell.dataset for cell in table_cells(config, table)):
            most = max((len(names) for block, names in columns if block.dataset == name), default=0)
            found.append(_of_dataset(config, table, name, most, tests, spread, chosen))
    return found


def _of_dataset(
    config: Config, table: str, name: str, methods: int, tests: int, spread: float, chosen: Design
) -> Tellable:
    entry, groups, seeds = config.datasets[name], groups_tested(config, name), len(config.seeds)
    same = entry.split == "official"
    known = Tellable(table, entry.title, groups, methods, tests, same_images=same)
    if groups is None or groups < 2 or seeds < 2:
        return known
    assumed = IMAGES if same else VOLUMES

    def doubt(between: float, of_seeds: float) -> tuple[float, float, float]:
        a, b = (np.array(x) for x in (between**2 / groups, of_seeds**2 / seeds))
        degrees, tail = joined_degrees(a, b, np.array(groups - 1.0), seeds - 1)
        return float(np.sqrt(a + b)), float(degrees), float(tail)

    pair = doubt(spread * assumed.difference, spread * assumed.seed * 2**0.5)
    error, degrees, _ = doubt(spread * assumed.value, spread * assumed.seed)
    of_seeds = spread * assumed.seed / seeds**0.5
    mean = MeanEstimate(50.0, None, seeds, 0, 100, error, degrees, (), of_seeds)
    how = Printing(same)
    return Tellable(
        table,
        entry.title,
        groups,
        methods,
        tests,
        single=detectable_among(1, *pair, chosen),
        first=detectable_among(tests, *pair, chosen) if tests else None,
        margin=against(mean, 50.0, how, chosen).supports,
        would_take=enough(mean, how, chosen),
        same_images=same,
    )


def groups_tested(config: Config, name: str) -> int | None:
    """How many groups the test set of a data set has; None where only its split will say."""
    entry = config.datasets[name]
    if entry.source == "isic2017" and entry.split == "official":
        return config.data.phantom.model_dump()["isic2017"]["test"] if config.demo else OFFICIAL
    if entry.source != "retouch":
        return None
    if entry.split == "balanced":
        return config.data.test_volumes
    if entry.split.endswith(".csv"):
        return sum(row["split"] == "test" for row in read_csv(Path(entry.split)))
    return None


def as_text(config: Config, found: list[Tellable], spread: float) -> str:
    """For reading in a terminal."""
    chosen, seeds = design(config), len(config.seeds)
    times = "" if spread == 1 else f", times {spread:g}"
    head = ["", "groups", "methods", "tests", "one test finds", "first of all",
            "equal within", f"±{chosen.margin:g} takes"]  # fmt: skip
    rows = [
        [
            f"{table_name(one.table)}, {one.title}",
            "?" if one.groups is None else f"{one.groups}",
            f"{one.methods}",
            f"{one.tests}",
            *(_points(value, one.margin is not None) for value in (one.single, one.first)),
            "-" if one.margin is None else f"±{one.margin:.1f}",
            _takes(one),
        ]
        for one in found
    ]
    lines = [
        f"{seeds} seed{'s' if seeds != 1 else ''}; assumed standard deviations in points{times}: "
        f"between volumes {VOLUMES.value:g} (of a difference {VOLUMES.difference:g}), between",
        f"images {IMAGES.value:g} ({IMAGES.difference:g}), between seeds {VOLUMES.seed:g} and "
        f"{IMAGES.seed:g}.",
        "",
        *aligned([head, *rows]),
        "",
        f"One test finds: the true difference of two methods in points that a test at "
        f"{1 - chosen.level:.2g} finds with",
        f"{100 * chosen.power:g} % power; first of all: the same after Holm's correction over the "
        "table. Equal within:",
        f"the margin at which a printed value is reproduced if this run finds exactly it; ±"
        f"{chosen.margin:g} takes: so many",
        "seeds or groups.",
    ]
    if seeds < 2:
        lines += ["", "With one seed nothing is testable: what another seed gives is not known."]
    return "\n".join(lines) + "\n"


def _points(value: float | None, known: bool) -> str:
    return f"{value:.1f}" if value is not None else "none" if known else "-"


def _takes(one: Tellable) -> str:
    if one.margin is None:
        return "-"
    kind = "seeds" if one.same_images else "groups"
    return f"{one.would_take} {kind}" if one.would_take else f"no number of {kind}"
