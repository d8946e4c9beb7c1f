"""Seed spread: every seed of every method as a dot, with the mean and its interval."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.config.cells import Run
from workflow.config.metrics import METRIC_TASK, title_of, with_unit
from workflow.figures.plots.page import FAINT, MARGIN, MUTED, TEXT, WIDTH, open_page
from workflow.figures.plots.subject import Subject

# Inches: a row, the names of methods, what is between panels and above and below a row of them.
ROW, NAMES, GAP, TOP, BOTTOM = 0.125, 1.0, 0.14, 0.18, 0.36


def draw(subject: Subject) -> Figure:
    """A row of panels for each metric, a panel for each data set, a line for each method."""
    task = subject.key.removeprefix("seeds_")
    metrics = [name for name, of in METRIC_TASK.items() if of == task]
    tall = ROW * len(subject.methods)
    words = subject.words(_unpaired(subject))
    page = open_page(words, len(metrics) * (TOP + tall + BOTTOM))
    across = len(subject.datasets)
    wide = (WIDTH - NAMES - 2 * MARGIN + GAP) / across - GAP
    for row, metric in enumerate(metrics):
        y = row * (TOP + tall + BOTTOM) + TOP
        for line, method in enumerate(subject.methods):
            name = subject.config.methods[method].title
            page.text(NAMES - 0.06, y + (line + 0.78) * ROW, name, NAMES - 0.1, ha="right")
        for column, dataset in enumerate(subject.datasets):
            x = NAMES + column * (wide + GAP)
            title = f"{title_of(metric)}, {subject.config.datasets[dataset].title}"
            page.text(x, y - 0.05, title, wide, weight="bold")
            axes = page.panel(x, y, wide, tall)
            _panel(axes, subject, dataset, metric)
            axes.set_xlabel(with_unit(metric), labelpad=1)
    return page.figure


def _panel(axes: Axes, subject: Subject, dataset: str, metric: str) -> None:
    axes.set(ylim=(len(subject.methods) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    # Otherwise a bar ends where the panel does, and reads as cut.
    axes.use_sticky_edges = False
    axes.grid(True, axis="x")
    for line, method in enumerate(subject.methods):
        run = Run(dataset, method)
        axes.axhline(line, color=FAINT, linewidth=0.4, zorder=0)
        if run in subject.runs and not _method(axes, subject, run, metric, line):
            axes.text(
                0.02, line, subject.absent(run), size=TEXT, color=MUTED, style="italic",
                va="center_baseline", transform=axes.get_yaxis_transform(),
            )  # fmt: skip


def _method(axes: Axes, subject: Subject, run: Run, metric: str, line: int) -> bool:
    """Draw one method; whether it has a value."""
    estimate = subject.results.estimates.get((run, metric))
    ratios = subject.results.ratios.get(run, {}).get(metric)
    if estimate is None or ratios is None:
        return False
    family, values = subject.family(run.method), ratios.values()
    if estimate.low is not None and estimate.high is not None:
        axes.barh(
            line, estimate.high - estimate.low, 0.62, estimate.low,
            color=family.colour, alpha=0.22, gid="interval",
        )  # fmt: skip
    axes.plot(
        values, [line] * len(values), "o", color=family.colour, markersize=1.9,
        markeredgewidth=0, alpha=0.9, gid=f"{run.method} seeds",
    )  # fmt: skip
    mean = estimate.value
    axes.plot([mean, mean], [line - 0.38, line + 0.38], color=family.colour, linewidth=1.1)
    return True


def _unpaired(subject: Subject) -> str:
    """What an empty line means, where there is one."""
    pairs = len(subject.datasets) * len(subject.methods)
    return "Empty: in no table." if len(subject.runs) < pairs else ""
