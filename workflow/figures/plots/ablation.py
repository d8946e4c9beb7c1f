"""Effects of the network's parts: the whole less the same without a part, paired by seed and group.

Tests are those of the tables, so a filled marker here is a pair that its table tells apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.base.wording import table_name
from workflow.config import cells
from workflow.config.cells import Run
from workflow.config.metrics import title_of
from workflow.figures.layout import INK, LINE
from workflow.figures.plots import ablation_tables, whole_methods
from workflow.figures.plots.page import FAINT, MARGIN, MUTED, TEXT, WIDTH, open_page
from workflow.figures.plots.subject import Subject
from workflow.metrics.intervals import Difference, difference
from workflow.results.printed import printed_results
from workflow.results.result_cells import ResultCell
from workflow.tables.build import build_table
from workflow.tables.content import ComparedSet, ReportTable

# Inches: a line, the names of lines, between panels, above and below a row of panels.
ROW, NAMES, GAP, TOP, BOTTOM = 0.15, 1.25, 0.12, 0.36, 0.42
WIDEST = 1.8


@dataclass(frozen=True)
class Effect:
    """One pair of a table.

    Attributes:
        panel: the metric, and what is taken from what.
        whole: the network with the part.
        part: the network without.
        found: whole less part; None where they have no seed in common.
        told_apart: whether the table's tests tell them apart.
        printed: the difference of the printed values; None on phantom data, or if one is missing.
    """

    panel: tuple[str, str]
    whole: Run
    part: Run
    found: Difference | None
    told_apart: bool
    printed: float | None


def draw(subject: Subject) -> Figure:
    """A row of panels for each table, a panel for each metric, a line for each pair."""
    tables = {key: list(effects(subject, key)) for key in ablation_tables(subject.config)}
    tables = {key: found for key, found in tables.items() if found}
    heights = {key: TOP + ROW * len(_lines(found)) + BOTTOM for key, found in tables.items()}
    printed = any(one.printed is not None for found in tables.values() for one in found)
    words = subject.words(
        "In points; filled: told apart by the tests of the table (Holm)."
        if tables
        else "No pair has a result.",
        "Upright tick: the difference of the printed values." if printed else "",
    )
    page = open_page(words, sum(heights.values()))
    y = 0.0
    for key, found in tables.items():
        lines, panels = _lines(found), list(dict.fromkeys(one.panel for one in found))
        page.text(MARGIN, y + TOP - LINE - 0.06, table_name(key), weight="bold")
        wide = min(WIDEST, (WIDTH - NAMES - 2 * MARGIN + GAP) / len(panels) - GAP)
        for place, run in enumerate(lines):
            name = subject.title(run).replace(" on ", ", ")
            page.text(NAMES - 0.06, y + TOP + (place + 0.7) * ROW, name, NAMES - 0.1, ha="right")
        for column, panel in enumerate(panels):
            x = NAMES + column * (wide + GAP)
            page.text(x, y + TOP - LINE - 0.06, panel[0], wide, weight="bold")
            page.text(x, y + TOP - 0.06, panel[1], wide)
            axes = page.panel(x, y + TOP, wide, ROW * len(lines))
            _panel(axes, subject, [one for one in found if one.panel == panel], lines)
        y += heights[key]
    return page.figure


def effects(subject: Subject, key: str) -> Iterator[Effect]:
    """The pairs of a table: in each compared set, the whole network with each of the others."""
    if not cells.table_runs(subject.config, key):
        return
    table = build_table(subject.config, key, subject.results, printed_results())
    compared = whole_methods(subject.config)
    for one in table.sets:
        members = {
            table.rows[row].title: cell
            for row in one.rows
            if isinstance(cell := table.rows[row].cells[one.column], ResultCell) and cell.run
        }
        whole = [name for name, cell in members.items() if cell.run in compared]
        for name, cell in members.items():
            if len(whole) == 1 and name != whole[0]:
                yield _effect(subject, table, one, (whole[0], members[whole[0]]), (name, cell))


def _effect(
    subject: Subject,
    table: ReportTable,
    one: ComparedSet,
    whole: tuple[str, ResultCell],
    part: tuple[str, ResultCell],
) -> Effect:
    runs = [cell.run for _, cell in (whole, part) if cell.run]
    metric = whole[1].metric
    ratios = [subject.results.ratios.get(run, {}).get(metric) for run in runs]
    a, b = ratios
    pair = (runs[0].method, runs[1].method)
    numbers = [cell.printed for _, cell in (whole, part)]
    known = [float(text) for text in numbers if text is not None]
    return Effect(
        panel=(title_of(metric), f"{whole[0]} less {part[0]}"),
        whole=runs[0],
        part=runs[1],
        found=difference(a, b, subject.results.design) if a and b else None,
        told_apart=bool({pair, pair[::-1]} & one.told_apart),
        printed=known[0] - known[1] if table.comparable and len(known) == 2 else None,
    )


def _lines(found: Sequence[Effect]) -> list[Run]:
    """The whole networks, in the order of the table."""
    return list(dict.fromkeys(one.whole for one in found))


def _panel(axes: Axes, subject: Subject, found: Sequence[Effect], lines: Sequence[Run]) -> None:
    axes.set(ylim=(len(lines) - 0.5, -0.5), yticks=[], xlabel="difference (points)")
    axes.xaxis.labelpad = 1
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    for one in found:
        line = lines.index(one.whole)
        axes.axhline(line, color=FAINT, linewidth=0.4, zorder=0)
        if one.found is None:
            axes.text(
                0.02, line, subject.absent(one.part), size=TEXT, color=MUTED, style="italic",
                va="center_baseline", transform=axes.get_yaxis_transform(),
            )  # fmt: skip
            continue
        family = subject.family(one.whole.method)
        if one.found.low is not None and one.found.high is not None:
            ends = [one.found.low, one.found.high]
            axes.plot(ends, [line, line], color=family.colour, linewidth=1.0)
        axes.plot(
            one.found.value, line, family.marker, color=family.colour, markersize=3.2,
            markerfacecolor=family.colour if one.told_apart else "white", gid="effect",
        )  # fmt: skip
        if one.printed is not None:
            axes.plot(one.printed, line, "|", color=INK, markersize=6, markeredgewidth=1.1)
    reach = max(abs(end) for end in axes.get_xlim())
    axes.set_xlim(-reach, reach)
    axes.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
