"""Rankings: the methods of a column in the order of their means, joined where no test parts them.

Tests, their family and its correction are those of the table that the column is of.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import networkx
from matplotlib.figure import Figure

from workflow.base.wording import table_name
from workflow.config import cells
from workflow.config.metrics import LEADING, METRICS, title_of
from workflow.figures.layout import INK
from workflow.figures.lettering import shorten
from workflow.figures.plots import is_comparison
from workflow.figures.plots.page import FAINT, MARGIN, MUTED, TEXT, WIDTH, Page, open_page
from workflow.figures.plots.subject import Subject
from workflow.results.printed import printed_results
from workflow.results.result_cells import ResultCell
from workflow.tables.build import build_table
from workflow.tables.content import ComparedSet, ReportTable

# Panels in a row, and inches: a line, names, above the lines and below.
ACROSS, ROW, NAMES, TOP, BOTTOM = 4, 0.125, 0.78, 0.3, 0.24


@dataclass(frozen=True)
class Ladder:
    """One column of a table.

    Attributes:
        heading: which column it is.
        cells: the methods' results, the best first.
        ties: the largest sets of methods, as places in `cells`, of which no two are told apart.
        tested: whether there were any tests.
    """

    heading: tuple[str, str]
    cells: Sequence[ResultCell]
    ties: Sequence[tuple[int, ...]]
    tested: bool


def draw(subject: Subject) -> Figure:
    """A panel for each column, as many in a row as fit."""
    found = list(ladders(subject))
    rows = [found[i : i + ACROSS] for i in range(0, len(found), ACROSS)]
    heights = [TOP + ROW * max(len(one.cells) for one in row) + BOTTOM for row in rows]
    undivided = sum(one.tested and not _divided(one) for one in found)
    words = subject.words(
        "Of each table one metric for each task; means in per cent, with intervals. Two methods "
        "share a bar with a dot for each exactly where the tests of the table (Holm, all its "
        f"columns) do not tell them apart. In {undivided} of {len(found)} columns none are."
        if found
        else "No column has two methods with a result."
    )
    page = open_page(words, sum(heights))
    y = 0.0
    for row, height in zip(rows, heights, strict=True):
        for column, ladder in enumerate(row):
            _panel(page, subject, ladder, MARGIN + column * (WIDTH - MARGIN) / ACROSS, y)
        y += height
    return page.figure


def ladders(subject: Subject) -> Iterator[Ladder]:
    """The columns of all tables that compare different methods, one metric of each task."""
    config = subject.config
    for key in cells.made_tables(config):
        if is_comparison(config, key):
            table = build_table(config, key, subject.results, printed_results())
            shown = _shown(table)
            for one in table.sets:
                members = [table.rows[row].cells[one.column] for row in one.rows]
                found = [c for c in members if isinstance(c, ResultCell) and c.estimate]
                if len(found) > 1 and (_where(found[0]), found[0].metric) in shown:
                    yield _ladder(subject, table, one, found)


def _ladder(
    subject: Subject, table: ReportTable, one: ComparedSet, found: Sequence[ResultCell]
) -> Ladder:
    order = sorted(found, key=lambda cell: -_value(cell))
    methods = [cell.run.method for cell in order if cell.run]
    run = order[0].run
    assert run is not None
    dataset = subject.config.datasets[run.dataset].title
    heading = (table_name(table.key), f"{dataset}, {title_of(order[0].metric)}")
    tested = one.resolvable is not None
    return Ladder(heading, order, ties(methods, one.told_apart) if tested else [], tested)


def ties(methods: Sequence[str], told_apart: frozenset[tuple[str, str]]) -> list[tuple[int, ...]]:
    """The largest sets, of two methods or more, in which no two are told apart.

    So two methods are in a common set exactly if they are not told apart, wherever others stand.

    Args:
        methods: the best first.
        told_apart: pairs, in either order.

    Returns:
        Places in `methods`, in order; the sets by their first places.
    """
    pairs = combinations(enumerate(methods), 2)
    alike = networkx.Graph(
        [(i, j) for (i, a), (j, b) in pairs if not {(a, b), (b, a)} & told_apart]
    )
    return sorted(tuple(sorted(one)) for one in networkx.find_cliques(alike))


def _shown(table: ReportTable) -> set[tuple[tuple[str, str], str]]:
    """(data set and task, metric) of the metrics that stand for their tasks."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for cell in table.result_cells:
        if cell.run:
            metrics.setdefault(_where(cell), []).append(cell.metric)
    return {
        (where, next((metric for metric in found if metric in LEADING.values()), found[0]))
        for where, found in metrics.items()
    }


def _where(cell: ResultCell) -> tuple[str, str]:
    return (cell.run.dataset if cell.run else "", METRICS[cell.metric].task)


def _value(cell: ResultCell) -> float:
    return cell.estimate.value if cell.estimate else float("nan")


def _divided(ladder: Ladder) -> bool:
    """Whether any two of its methods are told apart."""
    return tuple(range(len(ladder.cells))) not in ladder.ties


def _panel(page: Page, subject: Subject, ladder: Ladder, x: float, y: float) -> None:
    """Names, the means with their intervals, and the bars that join."""
    count = len(ladder.cells)
    page.text(x, y + 0.1, ladder.heading[0], weight="bold")
    page.text(x, y + 0.22, ladder.heading[1])
    for line, cell in enumerate(ladder.cells):
        method = cell.run.method if cell.run else ""
        name = shorten(subject.config.methods[method].title, TEXT, NAMES - 0.04)
        page.text(x + NAMES - 0.04, y + TOP + (line + 0.78) * ROW, name, ha="right")
    wide = (WIDTH - MARGIN) / ACROSS - NAMES - 0.42
    axes = page.panel(x + NAMES, y + TOP, wide, ROW * count)
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])
    axes.grid(True, axis="x")
    for line, cell in enumerate(ladder.cells):
        if cell.run is None or (estimate := cell.estimate) is None:
            continue
        family = subject.family(cell.run.method)
        axes.axhline(line, color=FAINT, linewidth=0.4, zorder=0)
        if estimate.low is not None and estimate.high is not None:
            ends = [estimate.low, estimate.high]
            axes.plot(ends, [line, line], color=family.colour, linewidth=0.8)
        axes.plot(estimate.value, line, family.marker, color=family.colour, markersize=3)
    bars = page.panel(x + NAMES + wide + 0.05, y + TOP, 0.3, ROW * count)
    bars.set(ylim=(count - 0.5, -0.5), xlim=(-0.6, max(5.0, len(ladder.ties) - 0.4)))
    bars.set_axis_off()
    if not ladder.tested:
        bars.text(0, 0, "no test", size=TEXT, color=MUTED, va="center_baseline")
    for place, tie in enumerate(ladder.ties):
        bars.plot(
            [place] * len(tie), tie, "o-", color=INK, linewidth=1.0, markersize=2.2,
            markeredgewidth=0, gid="tie",
        )  # fmt: skip
