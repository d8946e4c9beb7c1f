"""Rebuild all that is made from a finished run, as `resformer rebuild` does.

Makes every table, figure and verdict anew from the saved counts and masks, and the report if it is
asked for, with the same bytes as the single steps write.
One reading of the counts serves all tables of results and all verdicts. Figures are drawn by
further processes meanwhile, which read masks only. Ends with what each part took, and peak memory.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from workflow.base.columns import aligned
from workflow.base.workers import usable_threads
from workflow.config.cells import figure_runs, made_figures, made_tables, runs
from workflow.config.model import Config
from workflow.figures.plots import made_plots
from workflow.report.site import build_report
from workflow.results.read import Results, read_results
from workflow.tables.make import make_table
from workflow.verdicts.judge import judge
from workflow.verdicts.make import write_verdicts


class Spent(NamedTuple):
    """Seconds: by the clock, and of the processor; the first depends on what else is running."""

    clock: float
    processor: float


class Parts(dict[str, Spent]):
    """What each part of the work took."""

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time the body."""
        start = _now()
        yield
        self[name] = _since(start)


def _now() -> Spent:
    return Spent(time.perf_counter(), time.process_time())


def _since(start: Spent) -> Spent:
    return Spent(*(now - then for now, then in zip(_now(), start, strict=True)))


def rebuild(config: Config, report: bool = False) -> Parts:
    """Make every table, figure and verdict of a preset, and the report if it is asked for.

    Returns:
        What it took; parts named `figure ...` overlap with the others, each in its own process.

    Raises:
        DataError: the counts of a run cannot be used.
        ConfigError: a table or figure cannot be made.
    """
    parts, start = Parts(), _now()
    with _figure_processes(config) as figures:
        with parts.timed("counts"):
            results = read_results(config, runs(config))
        with parts.timed("intervals"):
            _ = results.estimates
        with parts.timed("tables"):
            for key in made_tables(config):
                make_table(config, key, results)
        with parts.timed("verdicts"):
            write_verdicts(config, judge(config, results))
        with parts.timed("larger figures"):
            _draw_plots(config, results)
        with parts.timed("waiting for figures"):
            for key, drawn in figures.items():
                parts[f"figure {key}"] = drawn.result()
    if report:
        with parts.timed("report"):
            build_report(config, results)
    drawing = sum(spent.processor for name, spent in parts.items() if name.startswith("figure"))
    here = _since(start)
    parts["all"] = Spent(here.clock, here.processor + drawing)
    return parts


@contextmanager
def _figure_processes(config: Config) -> Iterator[dict[str, Future[Spent]]]:
    """Figure -> what drawing it took, once it is drawn; as many are drawn at once as cores."""
    # The largest first, so that none is left alone at the end.
    keys = sorted(made_figures(config), key=lambda key: -len(figure_runs(config, key)))
    # Not forked: a fork of a process that has threads may hang.
    context = multiprocessing.get_context("spawn")
    workers = usable_threads(max(len(keys), 1))
    pool = ProcessPoolExecutor(workers, context)
    try:
        yield {key: pool.submit(_draw, config, key) for key in keys}
    finally:
        pool.shutdown(cancel_futures=True)


def _draw(config: Config, key: str) -> Spent:
    # Here only: what draws needs matplotlib, and the rest of a rebuild does not.
    from workflow.figures.make import make_figure

    start = _now()
    make_figure(config, key)
    return _since(start)


def _draw_plots(config: Config, results: Results) -> None:
    """Draw the larger figures here, where the counts are read already."""
    from workflow.figures.make_plot import make_plot

    for key in made_plots(config):
        make_plot(config, key, results)


def summary(parts: Parts) -> str:
    """Seconds by part, and the peak memory of this process and of the largest that drew figures."""
    unit = 1 if sys.platform == "darwin" else 1024
    rows = [["seconds", "clock", "processor"]]
    rows += [[name, f"{s.clock:.1f}", f"{s.processor:.1f}"] for name, s in parts.items()]
    rows.append(["peak memory", "MB"])
    for name, who in (("all else", resource.RUSAGE_SELF), ("a figure", resource.RUSAGE_CHILDREN)):
        rows.append([name, f"{resource.getrusage(who).ru_maxrss * unit / 1e6:.0f}"])
    return "\n".join(aligned(rows)) + "\n"
