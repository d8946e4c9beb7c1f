"""Whether the paper's rankings survive: Kendall's tau-b between the printed order and ours.

One ranking for each column of a table, among the rows that the table compares: the whole column, or
a block of it as `compare_within` says. A ranking survives if the interval of tau lies above 0, so
that our order agrees with the printed one beyond chance; it is reversed if the interval lies below
0, and not resolvable if it holds 0, or if no two methods of the column can be told apart. Methods
without a result are left out and named; with fewer than two left there is nothing to test.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from workflow.config.cells import Run, made_tables, table_cells, table_rows
from workflow.config.model import Config
from workflow.config.sections import Table
from workflow.metrics.ratios import Ratios
from workflow.metrics.statistics import Agreement, agreement, rank
from workflow.results.missing import missing_of
from workflow.results.printed import PrintedKey, printed_results
from workflow.results.read import Results
from workflow.verdicts.values import DEMO

RankingWord = Literal["survives", "reversed", "not resolvable", "not testable", "demo"]
TOO_FEW = "fewer than two methods have a result"
ALL_EQUAL = "all numbers of one order are equal"


@dataclass(frozen=True)
class Block:
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
    """A printed ranking and ours.

    Attributes:
        printed: the block's methods in the printed order, the best first.
        ours: those with a result in our order.
        agreement: of the two; None where there is none, and on phantom data.
        verdict: whether the printed ranking survives.
        remark: which methods are missing, and why.
    """

    block: Block
    printed: tuple[str, ...]
    ours: tuple[str, ...]
    agreement: Agreement | None
    verdict: RankingWord
    remark: str


def ranking_verdicts(config: Config, results: Results) -> Iterator[RankingVerdict]:
    """A verdict on every printed ranking of two methods or more that a table here holds."""
    for table in made_tables(config):
        for block, numbers in _blocks(config, table).items():
            if len(numbers) > 1:
                yield _verdict(config, results, block, numbers)


def _blocks(config: Config, table: str) -> dict[Block, dict[str, float]]:
    """The blocks of a table: method -> printed number, of the methods that are run."""
    definition, published = config.tables[table], printed_results()
    rows = table_rows(config, table)
    blocks: dict[Block, dict[str, float]] = {}
    for cell in table_cells(config, table):
        printed = published.get(PrintedKey(table, cell.dataset, cell.method, cell.metric))
        if printed is not None:
            row = rows[cell.row]
            group = row.group or "" if "group" in definition.compare_within else ""
            column = _column_title(definition, cell.column)
            block = Block(table, column, group, cell.dataset, cell.metric)
            blocks.setdefault(block, {})[cell.method] = float(printed)
    return blocks


def _column_title(definition: Table, column: int) -> str:
    """The title over a metric column."""
    return [group.title for group in definition.columns for _ in group.metrics][column]


def _verdict(
    config: Config, results: Results, block: Block, numbers: Mapping[str, float]
) -> RankingVerdict:
    runs = {method: Run(block.dataset, method) for method in numbers}
    column: dict[str, Ratios | None] = {
        method: results.ratios.get(run, {}).get(block.metric) for method, run in runs.items()
    }
    found, word, reason = None, DEMO, ""
    means = {
        method: estimate.value
        for method, run in runs.items()
        if (estimate := results.estimates.get((run, block.metric)))
    }
    if not config.demo:
        ranking = rank(column, results.design)
        found = agreement(column, ranking, numbers, block.dataset, results.design)
        word, reason = _judge(found, len(means), ranking.resolvable)
    lacking = missing_of(config, results, runs.values(), block.metric)
    return RankingVerdict(
        block=block,
        printed=tuple(sorted(numbers, key=lambda method: -numbers[method])),
        ours=tuple(sorted(means, key=lambda method: -means[method])),
        agreement=found,
        verdict=word,
        remark="; ".join(filter(None, (reason, lacking))),
    )


def _judge(found: Agreement | None, present: int, resolvable: bool) -> tuple[RankingWord, str]:
    """The verdict, and why where the interval does not say it."""
    if found is None:
        return "not testable", TOO_FEW if present < 2 else ALL_EQUAL
    if found.low > 0:
        return "survives", ""
    if found.high < 0:
        return "reversed", ""
    return "not resolvable", "" if resolvable else "no two of the methods can be told apart"
