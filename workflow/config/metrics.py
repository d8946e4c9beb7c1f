"""Every metric, and every fact of a run, that a table can show: the one place that lists them.

An entry is all that the workflow knows of a metric by name: the configuration allows it, and
tables, statistics, verdicts, figures and pages title, mark and test it, because it stands here. A
metric that is a share of counted pixels or labels (`ratio`) needs no more than its entry. Any other
has a function beside it: `workflow.metrics.metrics` says where.
"""

from typing import Literal, NamedTuple

Task = Literal["segmentation", "classification"]
TableKind = Literal["results", "datasets", "efficiency", "classes", "rules", "metrics"]
# What is counted, of pixels or of labels: true and false positives, false and true negatives.
Count = Literal["tp", "fp", "fn", "tn"]
Unit = Literal["%", "px"]

# Where a metric may stand: in the tables that the paper has, and so on the pages of runs and in the
# figures of seeds; in those by class, by convention, and of any metric.
_EVERYWHERE: tuple[TableKind, ...] = ("results", "classes", "rules", "metrics")
_BESIDE: tuple[TableKind, ...] = ("classes", "metrics")


class Ratio(NamedTuple):
    """A share of counts; a count that is named twice counts twice.

    Attributes:
        above: the counts whose sum stands above the line.
        below: those below it.
    """

    above: tuple[Count, ...]
    below: tuple[Count, ...]


class Metric(NamedTuple):
    """A number that says how good the predictions of a run are.

    Attributes:
        title: what its columns are called.
        task: of the methods that have it.
        tables: the kinds of table that may show it.
        ratio: what it is the share of, image by image or over all; None for any other metric.
        unit: of its values; all shares are in per cent.
        higher_is_better: whether the best is the largest.
        tested: whether it has intervals and tests; it has to be a mean of ratios of sums for that.
        decimals: with how many it is shown; None is `statistics.decimals`.
        rule: the `evaluation.rule` that always brings it; None for those of every rule.
        needs: the key of `evaluation` without which it is not measured.
        note: what is said of it below a table.
    """

    title: str
    task: Task
    tables: tuple[TableKind, ...]
    ratio: Ratio | None = None
    unit: Unit = "%"
    higher_is_better: bool = True
    tested: bool = False
    decimals: int | None = None
    rule: str | None = None
    needs: str | None = None
    note: str = ""


class Fact(NamedTuple):
    """What a run recorded of itself.

    Attributes:
        title: what its columns are called, with its unit.
        higher_is_better: whether the best is the largest.
    """

    title: str
    higher_is_better: bool = False


METRICS: dict[str, Metric] = {
    "ji": Metric(
        "JI", "segmentation", _EVERYWHERE, Ratio(("tp",), ("tp", "fp", "fn")), tested=True
    ),
    "dsc": Metric(
        "DSC",
        "segmentation",
        _EVERYWHERE,
        Ratio(("tp", "tp"), ("tp", "tp", "fp", "fn")),
        tested=True,
    ),
    "acc": Metric(
        "Acc",
        "classification",
        _EVERYWHERE,
        Ratio(("tp", "tn"), ("tp", "fp", "fn", "tn")),
        tested=True,
    ),
    "sen": Metric("Sen", "classification", _EVERYWHERE, Ratio(("tp",), ("tp", "fn")), tested=True),
    "spe": Metric("Spe", "classification", _EVERYWHERE, Ratio(("tn",), ("tn", "fp")), tested=True),
    "auc": Metric(
        "AUC",
        "classification",
        ("classes", "rules", "metrics"),
    ),
    "ece": Metric(
        "ECE",
        "classification",
        _BESIDE,
        higher_is_better=False,
        note="ECE: expected calibration error of each label's sigmoid in ten bins, mean over "
        "labels; the smallest is best.",
    ),
    "avd": Metric(
        "AVD",
        "segmentation",
        _BESIDE,
        higher_is_better=False,
        tested=True,
        decimals=2,
        rule="per_volume",
        note="AVD: absolute volume difference, a share of the imaged volume (of the image, where "
        "each stands for itself); the smallest is best.",
    ),
    "ji_65": Metric(
        "Thresholded JI",
        "segmentation",
        _BESIDE,
        tested=True,
        rule="challenge",
        note="Thresholded JI: mean over images of a Jaccard index that counts as 0 below 0.65.",
    ),
    "hd95": Metric(
        "HD95",
        "segmentation",
        _BESIDE,
        unit="px",
        higher_is_better=False,
        needs="boundary",
        note="HD95: 95th percentile of the distances between the borders of predicted and "
        "reference mask, over images where both have the lesion; in pixels of the resolution that "
        "was counted at, since prepared data has no length in mm; the smallest is best.",
    ),
    "asd": Metric(
        "ASD",
        "segmentation",
        _BESIDE,
        unit="px",
        higher_is_better=False,
        needs="boundary",
        note="ASD: average surface distance, the mean of the same distances; the smallest is best.",
    ),
}
FACTS: dict[str, Fact] = {
    "parameters": Fact("Param. (M)"),
    "gflops": Fact("GFLOPs"),
    "hours": Fact("Hours"),
    "memory": Fact("Memory (GB)"),
    "images_per_second": Fact("Images/s", higher_is_better=True),
}
# The metric that stands for a task where there is room for one.
LEADING: dict[str, str] = {"segmentation": "dsc", "classification": "acc"}
# Of the metrics of the paper's tables.
METRIC_TASK: dict[str, Task] = {
    name: metric.task for name, metric in METRICS.items() if "results" in metric.tables
}


def columns_of(kind: TableKind) -> tuple[str, ...]:
    """What the columns of a kind of table may hold; nothing for a summary of data sets."""
    if kind == "efficiency":
        return tuple(FACTS)
    return tuple(name for name, metric in METRICS.items() if kind in metric.tables)


def ratios(task: Task) -> dict[str, Ratio]:
    """The metrics of a task that are shares of counts."""
    found = {name: metric.ratio for name, metric in METRICS.items() if metric.task == task}
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def title_of(name: str) -> str:
    """What a column of a metric or a fact is called."""
    return METRICS[name].title if name in METRICS else FACTS[name].title


def with_unit(name: str) -> str:
    """A metric with its unit in parentheses, as axes and columns of mixed units have it."""
    return f"{METRICS[name].title} ({METRICS[name].unit})"


def sign(name: str) -> int:
    """1 where the largest value is the best, -1 where the smallest is."""
    entry = METRICS.get(name) or FACTS[name]
    return 1 if entry.higher_is_better else -1
