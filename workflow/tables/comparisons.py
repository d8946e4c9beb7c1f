"""Which cells of a table are best, and which of them the tests tell apart.

Best and second best go by the unrounded means, as the captions of the paper ask. Beside that, every
pair of methods of a compared set is tested on common groups and seeds, and the tests of all sets of
a table are one family of Holm's correction. A set in which no two differ significantly says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from workflow.config.metrics import METRICS, sign
from workflow.config.sections import Table
from workflow.metrics.intervals import Difference
from workflow.metrics.ratios import Ratios
from workflow.metrics.statistics import Ranking, rank_together
from workflow.results.read import Results
from workflow.results.result_cells import Mark, ResultCell, Versus
from workflow.tables.content import ComparedSet, FactCell, TableRow

# Means that differ by less than this are equal: they differ by the order of summation only.
SAME = 1e-9


def mean_of(cell: ResultCell | FactCell) -> float | None:
    """This run's mean in a cell; None where it has none, or a control does as well."""
    return cell.mean if isinstance(cell, ResultCell) and not cell.below else None


def compared_sets(
    rows: Sequence[TableRow],
    columns: Sequence[tuple[str, str]],
    definition: Table,
    value: Callable[[ResultCell | FactCell], float | None] = mean_of,
) -> list[ComparedSet]:
    """The sets of cells that a table compares, block by block and column by column.

    Rows of controls at the foot of a table are in none.

    Args:
        rows: the table's rows.
        columns: (title of the span, title) of each column.
        definition: says how it is marked and among which rows; without marks nothing is compared.
        value: what is compared of a cell.
    """
    if definition.mark is None:
        return []

    def block(index: int) -> tuple[str, ...]:
        parts = {"group": rows[index].group, "dataset": rows[index].dataset}
        return tuple(parts[name] or "" for name in definition.compare_within)

    members: dict[tuple[str, ...], list[int]] = {}
    for index, row in enumerate(rows):
        if not row.control:
            members.setdefault(block(index), []).append(index)
    found = []
    for compared in members.values():
        first = rows[compared[0]]
        above = {"group": first.group, "dataset": first.machine}
        within = [text for name in definition.compare_within if (text := above[name])]
        for column, (span, title) in enumerate(columns):
            valued = tuple(i for i in compared if value(rows[i].cells[column]) is not None)
            if len(valued) > 1:
                heading = ", ".join([*within, *([span] if span else [])])
                found.append(ComparedSet(heading, title, column, valued))
    return found


def with_marks(
    rows: Sequence[TableRow], sets: Sequence[ComparedSet], names: Sequence[Mark]
) -> list[TableRow]:
    """The rows with the best cells of each set marked, by as many ranks as there are names."""
    changed: dict[tuple[int, int], ResultCell] = {}
    for one in sets:
        cells = _cells(rows, one)
        means = {row: cell.mean for row, cell in cells.items() if cell.mean is not None}
        for row, rank in ranked(means, direction(rows, one)).items():
            if rank < len(names):
                changed[row, one.column] = replace(cells[row], mark=names[rank])
    return _replaced(rows, changed)


def with_standings(
    rows: Sequence[TableRow], sets: Sequence[ComparedSet], results: Results
) -> tuple[list[TableRow], tuple[ComparedSet, ...]]:
    """The rows and sets with what the tests say; all tests together are one family.

    A set whose metric is not tested, or on several data sets, which no test can pair, stays as it
    is.
    """
    columns = {i: found for i, one in enumerate(sets) if (found := _ratios(rows, one, results))}
    upward = {i: direction(rows, sets[i]) > 0 for i in columns}
    rankings = rank_together(columns, results.design, upward)
    changed: dict[tuple[int, int], ResultCell] = {}
    for i, ranking in rankings.items():
        against = versus(ranking)
        for row, cell in _cells(rows, sets[i]).items():
            method = cell.run.method if cell.run else ""
            if method in ranking.standings:
                changed[row, sets[i].column] = replace(
                    cell, standing=ranking.standings[method], versus=against.get(method)
                )
    done = list(sets)
    for i, ranking in rankings.items():
        if ranking.tested:
            done[i] = replace(
                done[i],
                resolvable=ranking.resolvable,
                told_apart=ranking.told_apart,
                family=ranking.family,
                first_step=ranking.first_step,
            )
    return _replaced(rows, changed), tuple(done)


def versus(ranking: Ranking) -> dict[str, Versus]:
    """Each method of a column minus the best other one: the best minus the second, for itself."""
    order = list(ranking.standings)
    if len(order) < 2:
        return {}
    found = {}
    for name in order[1:]:
        standing = ranking.standings[name]
        found[name] = Versus(order[0], _negative(standing.behind), standing.p)
    second = ranking.standings[order[1]]
    return {order[0]: Versus(order[1], second.behind, second.p), **found}


def direction(rows: Sequence[TableRow], one: ComparedSet) -> int:
    """1 where the largest of the compared cells is the best, -1 where the smallest is."""
    cells = _cells(rows, one).values()
    return next((sign(cell.metric) for cell in cells), 1)


def ranked(means: Mapping[int, float], sign: int = 1) -> dict[int, int]:
    """Rank of each mean, the best first, from 0; equal means share a rank.

    The next worse mean takes the next rank, so two best still leave a second best. One mean alone
    is compared with nothing and gets no rank.

    Args:
        means: what is compared.
        sign: 1 where the largest is the best, -1 where the smallest is.
    """
    if len(means) < 2:
        return {}
    ranks, rank, previous = {}, -1, math.inf
    for index, mean in sorted(means.items(), key=lambda item: -sign * item[1]):
        if previous - sign * mean > SAME:
            rank, previous = rank + 1, sign * mean
        ranks[index] = rank
    return ranks


def _negative(difference: Difference | None) -> Difference | None:
    """The same difference seen from the other side."""
    if difference is None or difference.low is None or difference.high is None:
        return difference and replace(difference, value=-difference.value)
    return replace(difference, value=-difference.value, low=-difference.high, high=-difference.low)


def _ratios(
    rows: Sequence[TableRow], one: ComparedSet, results: Results
) -> dict[str, Ratios | None] | None:
    """method -> ratios of a set that can be tested."""
    cells = _cells(rows, one).values()
    runs = {cell.run: cell.metric for cell in cells if cell.run and METRICS[cell.metric].tested}
    if len({run.dataset for run in runs}) != 1:
        return None
    found = {run.method: results.ratios.get(run, {}).get(metric) for run, metric in runs.items()}
    return dict(found) if any(ratios is not None for ratios in found.values()) else None


def _cells(rows: Sequence[TableRow], one: ComparedSet) -> dict[int, ResultCell]:
    found = ((i, rows[i].cells[one.column]) for i in one.rows)
    return {i: cell for i, cell in found if isinstance(cell, ResultCell)}


def _replaced(
    rows: Sequence[TableRow], cells: Mapping[tuple[int, int], ResultCell]
) -> list[TableRow]:
    return [
        replace(row, cells=tuple(cells.get((i, j), cell) for j, cell in enumerate(row.cells)))
        for i, row in enumerate(rows)
    ]
