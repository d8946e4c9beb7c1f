"""The plot of this run's values against the printed ones, and what the verdicts on these are."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.base.wording import table_name
from workflow.config.metrics import METRICS, title_of
from workflow.figures.layout import INK, LINE
from workflow.figures.lettering import width_of
from workflow.figures.plots.page import MARGIN, MUTED, TEXT, WIDTH, Page, open_page
from workflow.figures.plots.subject import Subject
from workflow.metrics.against import CANNOT_TELL
from workflow.verdicts.values import ValueVerdict, value_verdicts

# Inches: a square panel, and what is around it.
ACROSS, SIDE, LEFT, TOP, BOTTOM = 3, 1.95, 0.4, 0.2, 0.36
VERDICT_COLOURS = {
    "reproduced": "#1b7837",
    CANNOT_TELL: "#f0e2b6",
    "differs": "#c2703d",
    "not testable": "#d9d9d9",
}


def draw(subject: Subject) -> Figure:
    """A panel for each metric, and one with the verdicts by table unless it is a demo."""
    verdicts = list(value_verdicts(subject.config, subject.results))
    found = [one for one in verdicts if one.estimate is not None]
    metrics = [name for name in METRICS if any(v.key.metric == name for v in verdicts)]
    judged = not subject.config.demo
    rows = -(-(len(metrics) + judged) // ACROSS)
    words = subject.words(
        f"This run has a value for {len(found)} of the {len(verdicts)} printed in its tables.",
        "Hollow: they differ, by the interval and the margin of equivalence." if judged else "",
    )
    page = open_page(words, rows * (TOP + SIDE + BOTTOM))
    for index in range(len(metrics) + judged):
        row, column = divmod(index, ACROSS)
        x = column * (WIDTH - MARGIN) / ACROSS + LEFT
        y = row * (TOP + SIDE + BOTTOM) + TOP
        if index < len(metrics):
            of_metric = [one for one in found if one.key.metric == metrics[index]]
            page.text(x, y - 0.06, title_of(metrics[index]), weight="bold")
            _against(page.panel(x, y, SIDE, SIDE), subject, of_metric)
        else:
            page.text(x, y - 0.06, "Verdicts by table", weight="bold")
            _verdict_keys(page, x, y + 0.1)
            _counts(page.panel(x + 0.2, y + 0.3, SIDE - 0.2, SIDE - 0.3), verdicts)
    return page.figure


def _against(axes: Axes, subject: Subject, verdicts: Sequence[ValueVerdict]) -> None:
    """One point for each printed value, on axes with the same range."""
    numbers = [float(one.printed) for one in verdicts]
    numbers += [one.estimate.value for one in verdicts if one.estimate]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 100.0)
    space = max(0.06 * (high - low), 1.0)
    low, high = max(low - space, -3.0), min(high + space, 103.0)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="paper (%)", ylabel="this run (%)")
    axes.xaxis.labelpad = axes.yaxis.labelpad = 1.5
    axes.locator_params(nbins=6)
    axes.grid(True)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.7, zorder=1, gid="equal")
    for one in verdicts:
        if (own := one.estimate) is None:
            continue
        family, x = subject.family(one.key.method), float(one.printed)
        if own.low is not None and own.high is not None:
            axes.plot([x, x], [own.low, own.high], color=family.colour, linewidth=0.6, alpha=0.35)
        axes.plot(
            x, own.value, family.marker, color=family.colour, markersize=3, markeredgewidth=0.6,
            markerfacecolor="white" if one.verdict == "differs" else family.colour, gid="value",
        )  # fmt: skip


def _verdict_keys(page: Page, x: float, y: float) -> None:
    """The colours of the verdicts, in two lines."""
    for index, (word, colour) in enumerate(VERDICT_COLOURS.items()):
        left, line = x + (index % 2) * SIDE / 2, y + (index // 2) * LINE
        page.mark(left + 0.04, line - 0.035, "s", colour)
        page.text(left + 0.12, line, word)


def _counts(axes: Axes, verdicts: Sequence[ValueVerdict]) -> None:
    """How many values of each table have which verdict, as stacked bars."""
    tables = [(key, list(of)) for key, of in groupby(verdicts, lambda one: one.key.table)]
    longest = max(len(members) for _, members in tables)
    for place, (_, members) in enumerate(tables):
        start = 0
        for word, colour in VERDICT_COLOURS.items():
            count = sum(one.verdict == word for one in members)
            axes.barh(place, count, left=start, height=0.7, color=colour)
            if count / longest * (SIDE - 0.2) > width_of(f"{count}", TEXT) + 0.04:
                axes.text(
                    start + count / 2, place, f"{count}", size=TEXT,
                    color="white" if word == "reproduced" else INK,
                    ha="center", va="center_baseline",
                )  # fmt: skip
            start += count
    axes.set_yticks(range(len(tables)), [table_name(key) for key, _ in tables])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(tables) - 0.4, -0.6), xlim=(0, longest), xlabel="values")
    axes.xaxis.labelpad = 1.5
    axes.spines["left"].set_visible(False)
