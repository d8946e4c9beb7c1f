"""What the overview says in a minute: who took part, on what hardware, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from workflow.base.wording import duration
from workflow.config.model import Config
from workflow.report.browser.links import case_link
from workflow.results.families import FAMILIES, family
from workflow.results.records import RunRecord
from workflow.results.result_cells import ResultCell
from workflow.tables.content import ReportTable
from workflow.verdicts.claims import ClaimVerdict, ClaimWord
from workflow.verdicts.values import DEMO

# The claims that are told in full; of the others only the number.
DECIDED: tuple[ClaimWord, ...] = (
    "holds",
    "direction holds, size differs",
    "does not hold",
)


class Separability(NamedTuple):
    """In how many columns methods differ significantly on a data set, and where its images are.

    Attributes:
        title: the title of the data set.
        images: the image browser, with the images first on which methods differ most.
        columns: how many columns of tables compare methods on it.
        resolvable: the number of those in which at least two methods differ significantly.
    """

    title: str
    images: str
    columns: int
    resolvable: int


def by_family(config: Config, methods: Iterable[str]) -> dict[str, list[str]]:
    """Name of a family -> the titles of its methods, in the order of the families."""
    methods = list(dict.fromkeys(methods))
    found = {
        one.name: [config.methods[m].title for m in methods if family(config, m) == one]
        for one in FAMILIES
    }
    return {name: titles for name, titles in found.items() if titles}


def hardware(records: Sequence[RunRecord]) -> list[str]:
    """Each device with its precision, as runs recorded it: how many seeds it trained, how long."""
    used: dict[str, list[float]] = {}
    for record in records:
        for facts in (seed.facts for seed in record.seeds if seed.facts.get("device")):
            used.setdefault(_machine(facts), []).append(facts.get("wall_seconds") or 0.0)
    return [
        f"{name} ({len(spent)} run{'s' if len(spent) != 1 else ''}, {duration(sum(spent))})"
        for name, spent in sorted(used.items(), key=lambda item: -len(item[1]))
    ]


def _machine(facts: Mapping[str, Any]) -> str:
    driver, precision = facts.get("driver"), facts.get("precision")
    parts = (facts["device"], f"driver {driver}" if driver else None, precision)
    return ", ".join(str(part) for part in parts if part)


def decided_claims(claims: Sequence[ClaimVerdict]) -> dict[str, list[ClaimVerdict]]:
    """Verdict -> the claims that this run decides; none on phantom data."""
    return {word: [one for one in claims if one.verdict == word] for word in DECIDED}


def undecided_claims(claims: Sequence[ClaimVerdict]) -> int:
    """How many claims this run leaves open."""
    return sum(one.verdict not in (*DECIDED, DEMO) for one in claims)


def told_apart(
    config: Config, browsed: Iterable[str], tables: Iterable[ReportTable]
) -> list[Separability]:
    """The data sets that the image browser shows; it orders by disagreement unless told else."""
    tested: dict[str, list[bool]] = {dataset: [] for dataset in browsed}
    for dataset, resolvable in _tested(tables):
        tested.get(dataset, []).append(resolvable)
    return [
        Separability(config.datasets[name].title, case_link(name), len(found), sum(found))
        for name, found in tested.items()
    ]


def _tested(tables: Iterable[ReportTable]) -> Iterable[tuple[str, bool]]:
    """Each compared set that was tested: its data set, and whether any two methods differ in it."""
    for table in tables:
        for one in table.sets:
            cell = table.rows[one.rows[0]].cells[one.column]
            if one.resolvable is not None and isinstance(cell, ResultCell) and cell.run:
                yield cell.run.dataset, one.resolvable
