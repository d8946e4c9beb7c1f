"""What stands below a table whose cells are compared: intervals, tests and verdicts, in full.

One block for each compared set, its methods from best to worst. The table itself stays as the paper
prints it.
"""

from typing import NamedTuple

from workflow.metrics.intervals import NOT_ESTIMABLE, Difference, MeanEstimate
from workflow.results.result_cells import ResultCell
from workflow.tables.content import ComparedSet, ReportTable
from workflow.tables.text import (
    NO_DIFFERENCES,
    NOT_TESTED,
    places_of,
    show,
    signed,
    standing_of,
)

# In place of a smallest detectable difference that is larger than a difference can be.
NOTHING_DETECTABLE = "none"


class StandingsLine(NamedTuple):
    """A method's standing, a text for each of `headings`."""

    title: str
    texts: tuple[str, ...]


class StandingsBlock(NamedTuple):
    """The methods of a compared set, the best first; the title says if no two of them differ."""

    title: str
    lines: list[StandingsLine]


def headings(table: ReportTable) -> tuple[str, ...]:
    """What the texts of each line are; the last three only where the paper prints numbers."""
    level = f"{100 * table.level:.3g} %"
    own = ("Place", "This run", f"{level} interval", "Seeds")
    detectable = f"Smallest detectable difference ({_power(table)})"
    tests = ("Difference to best other", f"{level} interval", "p (Holm)", detectable)
    return (*own, *tests, *(("Paper", "Verdict", "Equal within") if _printed(table) else ()))


def blocks(table: ReportTable) -> list[StandingsBlock]:
    """The standings of each set with intervals, which is tested where there are seeds enough."""
    return [
        _block(table, one)
        for one in table.sets
        if any(standing_of(table, one, row) for row in one.rows)
    ]


def notes(table: ReportTable) -> list[str]:
    """What the headings mean, and what the intervals stand on."""
    cells = [cell for cell in table.result_cells if cell.standing is not None]
    lines = [
        "Place: by the mean, and in brackets the places that the tests leave open. Intervals are "
        "over seeds and groups (volumes, or images where each stands for itself).",
        "Difference to best other: the mean minus that of the best other method of the block, with "
        "an interval for this difference alone; p is corrected for all tests of the table, so it "
        "can be large where the interval leaves out 0. Smallest detectable difference: the true "
        f"difference that a single test finds with {_power(table)}; none where that is more than "
        "100 points.",
        *_first_step(table),
    ]
    if _printed(table):
        lines.append(
            "Verdict: whether this run and the paper's value, which has a doubt of its own, agree. "
            "Equal within: the smallest margin, in points, at which the verdict would be that it "
            "is reproduced."
        )
    remarks = [note for cell in cells if cell.estimate for note in cell.estimate.notes]
    for remark in dict.fromkeys(remarks):
        found = f"{remarks.count(remark)} of {len(cells)} intervals"
        lines.append(f"{remark[0].upper()}{remark[1:]} ({found}).")
    return lines


def _first_step(table: ReportTable) -> list[str]:
    """What Holm's correction over the whole table asks of the first difference that is found."""
    tested = [one for one in table.sets if one.family]
    if not tested:
        return []
    sizes = [one.first_step for one in tested if one.first_step is not None]
    family = tested[0].family
    if not sizes:
        found = "no difference of 100 points or less"
    elif len(sizes) == len(tested):
        found = f"differences of {min(sizes):.1f} to {max(sizes):.1f} points, by column"
    else:
        columns = f"{len(tested) - len(sizes)} of {len(tested)} columns"
        found = f"differences from {min(sizes):.1f} points, by column, and none in {columns}"
    return [
        f"All {family} tests of the table are one family: the first that is found must have p "
        f"below {(1 - table.level) / family:.1g}. With {_power(table)} that finds {found}; smaller "
        "ones are mostly missed, so that not significant does not mean equal."
    ]


def _power(table: ReportTable) -> str:
    """`80 % power`."""
    return f"{100 * table.power:.3g} % power"


def _block(table: ReportTable, one: ComparedSet) -> StandingsBlock:
    cells = {row: table.rows[row].cells[one.column] for row in one.rows}
    standing = {
        row: cell
        for row, cell in cells.items()
        if isinstance(cell, ResultCell) and cell.standing is not None
    }
    order = sorted(standing, key=lambda row: _place(standing[row]))
    groups = next((f"{cell.groups} groups" for cell in standing.values() if cell.groups), "")
    title = ", ".join(filter(None, (one.heading, one.title, groups)))
    if not one.resolvable:
        title += f": {NOT_TESTED if one.resolvable is None else NO_DIFFERENCES}"
    return StandingsBlock(
        title, [StandingsLine(table.rows[i].title, _texts(table, standing[i])) for i in order]
    )


def _texts(table: ReportTable, cell: ResultCell) -> tuple[str, ...]:
    words, places, standing = show(cell, table), places_of(cell, table.decimals), cell.standing
    assert standing is not None
    between = _between(cell.estimate, places)
    place = str(standing.place)
    if standing.first != standing.last:
        place += f" ({standing.first}–{standing.last})"
    found = cell.versus.difference if cell.versus else None
    texts = (place, words.text, between, f"{len(cell.values)} of {cell.expected}")
    tests = _tests(found, cell.versus.p if cell.versus else None, places)
    supports = "" if cell.supports is None else f"±{cell.supports:.{places}f}"
    beside = (words.printed, cell.verdict or "", supports) if _printed(table) else ()
    return (*texts, *tests, *beside)


def _tests(found: Difference | None, p: float | None, places: int) -> tuple[str, str, str, str]:
    if found is None:
        return ("", "", "", "")
    detectable = "" if found.low is None else NOTHING_DETECTABLE
    if found.detectable is not None:
        detectable = f"{found.detectable:.{places}f}"
    interval = _between(found, places, signs=True)
    return (signed(found.value, places), interval, probability(p), detectable)


def probability(p: float | None) -> str:
    """A p-value to three decimals, and no 0."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _between(found: MeanEstimate | Difference | None, places: int, signs: bool = False) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    if not found.estimable:
        return NOT_ESTIMABLE
    ends = (
        signed(end, places) if signs else f"{end:.{places}f}" for end in (found.low, found.high)
    )
    return " to ".join(ends)


def _place(cell: ResultCell) -> int:
    return cell.standing.place if cell.standing else 0


def _printed(table: ReportTable) -> bool:
    return any(cell.verdict is not None for cell in table.result_cells)
