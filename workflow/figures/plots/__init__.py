"""The larger figures: what there is to draw beyond the paper's own figures, and of which runs.

In go the counts and records of runs; out come PDF and PNG, which follow from the tables of the
configuration, so there is nothing to configure. The Snakefile asks here, so nothing heavy is
imported; a figure of the configuration that has one of these keys takes its place. Open
`drawing.py` first: it has the module of each.
"""

from typing import Literal, NamedTuple

from workflow.config import cells
from workflow.config.cells import Run, is_control
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.config.sections import Task
from workflow.results.printed import PrintedKey, printed_results
from workflow.running import fingerprint


class Plot(NamedTuple):
    """A larger figure.

    Attributes:
        title: what is drawn, in a few words.
        caption: how to read it.
        of: the runs it is about: those of the tables that compare methods, all or with a task;
            those of the tables that compare a method with parts of itself; or those that the paper
            prints a number for.
        reads: `counts`, and `records` of what runs wrote about their training.
    """

    title: str
    caption: str
    of: Task | Literal["methods", "ablations", "printed"]
    reads: tuple[Literal["counts", "records"], ...] = ("counts",)


PLOTS = {
    "published": Plot(
        "Ours against printed values",
        "Every number of Tables II–IX that was run: the printed value, and our mean over seeds "
        "with its interval over seeds and groups. On the line both are equal.",
        "printed",
    ),
    "seeds_segmentation": Plot(
        "Seed spread in segmentation",
        "Every seed as a dot, the mean as a line, and its interval over seeds and groups as a bar.",
        "segmentation",
    ),
    "seeds_classification": Plot(
        "Seed spread in classification",
        "Every seed as a dot, the mean as a line, and its interval over seeds and groups as a bar.",
        "classification",
    ),
    "ranking": Plot(
        "Rankings with ties",
        "Methods in the order of their means. A bar joins methods of which no two can be told "
        "apart, so an order within a bar means nothing.",
        "methods",
    ),
    "ablation": Plot(
        "Effects of the network's parts",
        "The whole network less the same network without a part, paired by seed and group, with "
        "intervals. Right of the line the part helps.",
        "ablations",
    ),
    "efficiency_segmentation": Plot(
        "Computation against quality in segmentation",
        "The FLOPs of one forward pass, and the mean over seeds. The line joins the methods that "
        "no cheaper method equals.",
        "segmentation",
        ("counts", "records"),
    ),
    "efficiency_classification": Plot(
        "Computation against quality in classification",
        "The FLOPs of one forward pass, and the mean over seeds. The line joins the methods that "
        "no cheaper method equals.",
        "classification",
        ("counts", "records"),
    ),
    "curves": Plot(
        "Training curves of all seeds",
        "The validation loss of every seed, and in grey the training loss. A dot marks the epoch "
        "that was kept, a cross the end of a run that failed.",
        "methods",
        ("records",),
    ),
    "reliability": Plot(
        "Calibration",
        "How often a label is there, by the probability that the network gives it. On the diagonal "
        "the probabilities are right; below it they are too high.",
        "classification",
    ),
}


def made_plots(config: Config) -> list[str]:
    """The larger figures that have anything to show under `select`."""
    return [key for key in PLOTS if key not in config.figures and plot_runs(config, key)]


def plot_runs(config: Config, key: str) -> list[Run]:
    """The runs that a larger figure is about, in the order of the tables."""
    of = PLOTS[key].of
    if of == "printed":
        found = printed_runs(config)
    elif of == "ablations":
        found = [
            run
            for table in ablation_tables(config)
            for run in cells.table_runs(config, table)
            if not is_control(config, run.method)
        ]
    else:
        found = [run for run in _compared(config) if of in ("methods", *_tasks(config, run))]
    if "records" in PLOTS[key].reads:
        found = [run for run in found if config.methods[run.method].module is not None]
    return list(dict.fromkeys(found))


def ablation_tables(config: Config) -> list[str]:
    """The tables that compare a method with parts of itself: those that compare within rows."""
    return [key for key in _of_results(config) if config.tables[key].compare_within]


def whole_methods(config: Config) -> set[Run]:
    """The runs that ablations start from: those that tables compare with other methods."""
    return set(_compared(config))


def printed_runs(config: Config) -> list[Run]:
    """The runs that the paper prints a number for."""
    published = printed_results()
    return [
        Run(cell.dataset, cell.method)
        for table in _of_results(config)
        for cell in cells.table_cells(config, table)
        if PrintedKey(table, cell.dataset, cell.method, cell.metric) in published
    ]


def plot_fingerprint(config: Config, key: str) -> str:
    """Of a larger figure, the counts or records it reads aside."""
    runs = plot_runs(config, key)
    values = [
        PLOTS[key],
        [config.tables[table].model_dump(exclude={"caption"}) for table in _of_results(config)],
        [
            (*run, *fingerprint.titles(config, *run), config.methods[run.method].model_dump())
            for run in runs
        ],
        config.evaluation.model_dump(exclude={"batch_size"}),
        config.statistics.model_dump(),
        notices(config, runs),
        config.seeds,
        fingerprint.assets(),
    ]
    return fingerprint.digest(values, "workflow.figures.make_plot")


def _of_results(config: Config) -> list[str]:
    return cells.made_tables(config, kind="results")


def is_comparison(config: Config, key: str) -> bool:
    """Whether a table compares different methods."""
    return config.tables[key].kind == "results" and not config.tables[key].compare_within


def _compared(config: Config) -> list[Run]:
    """The runs of tables that compare different methods; controls are there to bracket them."""
    tables = [key for key in _of_results(config) if is_comparison(config, key)]
    runs = [run for key in tables for run in cells.table_runs(config, key)]
    return [run for run in dict.fromkeys(runs) if not is_control(config, run.method)]


def _tasks(config: Config, run: Run) -> list[Task]:
    return list(config.methods[run.method].tasks)
