"""Whether the paper's rankings survive: Kendall's tau-b between the printed order and this run's.

One ranking for each column of a table, among the rows that the table compares: the whole column, or
a block of it as `compare_within` says. The tests of all pairs of all columns of a table are one
family of Holm's correction, as they are where the table is shown.

Two questions are asked, and a ranking survives if the answer to both is yes. Are the methods that
were measured in this order, whatever the seeds and groups? The interval of tau has to lie above 0.
Would an order that has nothing to do with the printed one agree so well? Of all orders of the
printed numbers, those whose tau is as far from 0 have to be few: an exact permutation test. It is
reversed if tau is below 0 by both, and not resolvable if either is open, or no two methods differ
significantly.

Of four methods or fewer no order is beyond chance (the same order has p = 2/24), so there is no
ranking but a pairwise comparison. The pairs agree if some of its methods differ significantly and
all that do are in the printed order, and disagree if all that do are in the opposite one.

Methods without a result are left out and named; with fewer than two left, with one seed, or where a
notice says that runs cannot be compared with the paper, nothing is testable.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from workflow.config.cells import Run, is_control, made_tables, table_cells, table_rows
from workflow.config.model import Config
from workflow.config.sections import Table
from workflow.metrics.against import ONE_SEED
from workflow.metrics.ratios import Ratios
from workflow.metrics.statistics import (
    Agreement,
    Ranking,
    agreement,
    permutation_p,
    rank_together,
)
from workflow.results.missing import missing_of
from workflow.results.printed import PrintedKey, printed_results
from workflow.results.printing import printing
from workflow.results.read import Results
from workflow.verdicts.values import DEMO

RankingWord = Literal[
    "survives",
    "reversed",
    "pairs agree",
    "pairs disagree",
    "not resolvable",
    "not testable",
    "demo",
]
TOO_FEW = "fewer than two methods have a result"
ALL_EQUAL = "all numbers of one order are equal"
BY_CHANCE = "an order by chance may agree as well"
NONE_DIFFER = "no two of the methods differ significantly"
# With so many methods the same order is beyond chance, and a column is a ranking.
RANKED = 5


@dataclass(frozen=True)
class RankingBlock:
    """The rows of a column that are compared: a data set and metric, and the group in which.

    Attributes:
        column: the title of the column group; it chooses methods in some tables.
        group: the heading of the rows; empty where it does not matter.
    """

    table: str
    column: str
    group: str
    dataset: str
    metric: str


@dataclass(frozen=True)
class RankingVerdict:
    """A printed ranking and this run's.

    Attributes:
        printed: the block's methods in the printed order, the best first.
        measured: those with a result, in this run's order.
        agreement: the agreement of the two; None where there is none, and on phantom data.
        pairwise: whether it has too few methods for a ranking: their pairs are compared.
        p: of an exact permutation test of the agreement; None where pairs are compared.
        verdict: whether the printed ranking survives.
        remark: which methods are missing, and why.
    """

    block: RankingBlock
    printed: tuple[str, ...]
    measured: tuple[str, ...]
    agreement: Agreement | None
    pairwise: bool
    p: float | None
    verdict: RankingWord
    remark: str


def ranking_verdicts(config: Config, results: Results) -> Iterator[RankingVerdict]:
    """A verdict on every printed ranking of two methods or more that a table here holds."""
    for table in made_tables(config):
        blocks = {
            block: found for block, found in ranking_blocks(config, table).items() if found[1]
        }
        columns = {
            block: _column(results, block, members) for block, (members, _) in blocks.items()
        }
        rankings = {} if config.demo else rank_together(columns, results.design)
        for block, (_, numbers) in blocks.items():
            if len(numbers) > 1:
                yield _verdict(config, results, block, numbers, rankings.get(block))


def ranking_blocks(
    config: Config, table: str
) -> dict[RankingBlock, tuple[list[str], dict[str, float]]]:
    """The blocks of a table: the methods compared in each, and the printed numbers of some."""
    definition, published = config.tables[table], printed_results()
    rows = table_rows(config, table)
    blocks: dict[RankingBlock, tuple[list[str], dict[str, float]]] = {}
    for cell in table_cells(config, table):
        if is_control(config, cell.method):
            continue
        row = rows[cell.row]
        group = row.group or "" if "group" in definition.compare_within else ""
        column = _column_title(definition, cell.column)
        block = RankingBlock(table, column, group, cell.dataset, cell.metric)
        members, numbers = blocks.setdefault(block, ([], {}))
        members.append(cell.method)
        printed = published.get(PrintedKey(table, cell.dataset, cell.method, cell.metric))
        if printed is not None:
            numbers[cell.method] = float(printed)
    return blocks


def _column_title(definition: Table, column: int) -> str:
    """The title over a metric column."""
    return [group.title for group in definition.columns for _ in group.metrics][column]


def _column(results: Results, block: RankingBlock, methods: list[str]) -> dict[str, Ratios | None]:
    """method -> what was measured of it, of the methods of a block."""
    runs = {method: Run(block.dataset, method) for method in methods}
    return {name: results.ratios.get(run, {}).get(block.metric) for name, run in runs.items()}


def _verdict(
    config: Config,
    results: Results,
    block: RankingBlock,
    numbers: Mapping[str, float],
    ranking: Ranking | None,
) -> RankingVerdict:
    """The verdict on a block; `ranking` is that of its column, None on phantom data."""
    runs = {method: Run(block.dataset, method) for method in numbers}
    means = {
        method: estimate.value
        for method, run in runs.items()
        if (estimate := results.estimates.get((run, block.metric)))
    }
    pairwise = len(means) < RANKED
    found, p, reason = None, None, ""
    word: RankingWord = DEMO
    if ranking is not None:
        column = _column(results, block, list(numbers))
        found = agreement(column, ranking, numbers, block.dataset, results.design)
        notices = dict.fromkeys(printing(config, run).reason for run in runs.values())
        if notice := "; ".join(filter(None, notices)):
            word, reason = "not testable", f"not comparable: {notice}"
        elif found is None:
            word, reason = "not testable", TOO_FEW if len(means) < 2 else ALL_EQUAL
        elif not ranking.tested:
            word, reason = "not testable", ONE_SEED
        elif pairwise:
            word, reason = _of_pairs(ranking, numbers)
        else:
            p = permutation_p(means, numbers)
            word, reason = _of_order(found, ranking, p, results.design.alpha)
    lacking = missing_of(config, results, runs.values(), block.metric)
    return RankingVerdict(
        block=block,
        printed=tuple(sorted(numbers, key=lambda method: -numbers[method])),
        measured=tuple(sorted(means, key=lambda method: -means[method])),
        agreement=found,
        pairwise=pairwise,
        p=p,
        verdict=word,
        remark="; ".join(filter(None, (reason, lacking))),
    )


def _of_order(
    found: Agreement, ranking: Ranking, p: float, alpha: float
) -> tuple[RankingWord, str]:
    """The verdict on a ranking, and why where its interval does not say it."""
    if not ranking.resolvable:
        return "not resolvable", NONE_DIFFER
    if found.low <= 0 <= found.high:
        return "not resolvable", ""
    if p > alpha:
        return "not resolvable", BY_CHANCE
    return ("survives" if found.low > 0 else "reversed"), ""


def _of_pairs(ranking: Ranking, numbers: Mapping[str, float]) -> tuple[RankingWord, str]:
    """The verdict on a pairwise comparison, from the pairs that differ significantly."""
    pairs = [pair for pair in ranking.told_apart if set(pair) <= numbers.keys()]
    if not pairs:
        return "not resolvable", NONE_DIFFER
    signs = {_sign(numbers[better] - numbers[worse]) for better, worse in pairs}
    if signs == {1}:
        return "pairs agree", ""
    if signs == {-1}:
        return "pairs disagree", ""
    return "not resolvable", "pairs in either order differ significantly"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
