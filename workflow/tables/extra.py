"""Tables beyond the paper's: what training cost, results of each class, and other conventions.

They have the cells of the tables of results, so they say the same of missing seeds, and all formats
write them. Nothing is tested here: the paper's tables are where methods are compared.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workflow.base.digests import read_recorded_json
from workflow.config import paths
from workflow.config.cells import Run, table_runs, with_controls
from workflow.config.metrics import METRICS, Task, sign, title_of
from workflow.config.model import Config
from workflow.config.sections import ColumnGroup
from workflow.metrics.metrics import alternative_rules, collect, per_class
from workflow.metrics.rules import RULES
from workflow.metrics.scores import DECISIONS
from workflow.metrics.statistics import kendall
from workflow.results.controls import below_controls
from workflow.results.records import images_per_second
from workflow.results.result_cells import Place, ResultCell, Values, values_by_cell
from workflow.tables.build import Column, fill, metric_columns, titles
from workflow.tables.comparisons import SAME, mean_of
from workflow.tables.content import FactCell, ReportTable, TableRow

RULE_TITLES = {"empty_is_one": "empty = 1"}
COSTS = (
    "Param.: trainable parameters. GFLOPs: of one forward pass of one image, two per multiply-add.",
    "Hours: of a whole training. Memory: at its peak, of the GPU, or of the process on a CPU.",
    "Images/s: in training, validation included.",
)
UNTESTED = "Marks go by the means alone; nothing is tested here."


def build_efficiency_table(config: Config, key: str) -> ReportTable:
    """What the runs of a table cost, from their run.json."""
    values = costs(config, table_runs(config, key))
    recorded = {
        place.metric for place, seeds in values.items() if not all(map(math.isnan, seeds.values()))
    }
    facts = list(enumerate(metric_columns(config, key)))
    # Without any record, every fact is asked for and missing; else what no run records is left out.
    columns = [
        Column(number, group, fact, group.title, title_of(fact))
        for number, (group, fact) in facts
        if fact in recorded or not values
    ]
    table = fill(config, key, columns, values, {})
    lacking = dict.fromkeys(title_of(f) for _, (_, f) in facts if values and f not in recorded)
    notes = (*COSTS, f"Recorded by no run: {', '.join(lacking)}.") if lacking else COSTS
    return replace(table, notes=notes)


def build_class_table(config: Config, key: str) -> ReportTable:
    """The results of each lesion or label by itself."""
    of, also = titles(config, key), {metric for _, metric in metric_columns(config, key)}
    columns = [
        Column(number, group, metric, f"{group.title}, {of[metric]}", _class_title(name), name)
        for number, (group, metric) in enumerate(metric_columns(config, key))
        for name in _classes(config, group, metric)
    ]
    runs = table_runs(config, key)
    values = values_by_cell(per_class(config, runs, also), "class")
    table = fill(config, key, columns, values, {}, _below(config, runs))
    notes = [METRICS[metric].note for metric in of if METRICS[metric].note]
    return replace(table, notes=(*notes, UNTESTED))


def build_rule_table(config: Config, key: str) -> ReportTable:
    """The results by each convention of their metric, with ranks and how far these agree."""
    of = titles(config, key)
    columns = [
        Column(number, group, metric, f"{group.title}, {of[metric]}", _rule_title(rule), rule)
        for number, (group, metric) in enumerate(metric_columns(config, key))
        for rule in _rules(config, group, metric)
    ]
    runs = table_runs(config, key)
    values = values_by_cell(alternative_rules(config, runs), "rule")
    table = fill(config, key, columns, values, {}, _below(config, runs))
    rows = with_places(table.rows)
    used = {configured(config, column.metric) for column in columns}
    notes = (
        "In parentheses the rank in the column. τ: Kendall's rank correlation of a column with the "
        f"one by the rule of the other tables, {', '.join(map(_rule_title, sorted(used)))}.",
        UNTESTED,
    )
    return replace(table, rows=(*rows, agreement_row(config, rows)), notes=notes)


def _below(config: Config, runs: Iterable[Run]) -> dict[tuple[Run, Task], str]:
    """Which of these runs a control does as well as, by the metrics of the other tables."""
    return below_controls(config, collect(config, with_controls(config, runs)))


def costs(config: Config, runs: Iterable[Run]) -> Values:
    """(data set, method, fact) -> seed -> what run.json records, NaN where it does not.

    A failed run has no hours, which are those of a whole training.
    """
    values: Values = {}
    for run in runs:
        for seed in config.seeds:
            file = paths.run(config, *run, seed) / "run.json"
            if file.is_file():
                record = read_recorded_json(file)
                for fact, value in _facts(record).items():
                    if fact == "hours" and record.get("failure"):
                        continue
                    number = float("nan") if value is None else float(value)
                    values.setdefault(Place(*run, fact), {})[seed] = number
    return values


def _facts(record: Mapping[str, Any]) -> dict[str, float | None]:
    """The facts of one run.json in the units of their titles."""

    def scaled(name: str, unit: float) -> float | None:
        return None if record.get(name) is None else record[name] / unit

    return {
        "parameters": scaled("parameters", 1e6),
        "gflops": scaled("flops", 1e9),
        "hours": scaled("wall_seconds", 3600),
        "memory": scaled("peak_memory_bytes", 1e9),
        "images_per_second": images_per_second(record),
    }


def with_places(rows: Iterable[TableRow]) -> list[TableRow]:
    """The rows with each cell's rank in its column; equal means share the better one."""
    rows = list(rows)
    columns = zip(*(_means(row) for row in rows), strict=True)
    means = [[mean for mean in column if mean is not None] for column in columns]

    def placed(cell: ResultCell | FactCell, column: int) -> ResultCell | FactCell:
        if not isinstance(cell, ResultCell) or (mean := mean_of(cell)) is None:
            return cell
        ahead = [sign(cell.metric) * (other - mean) > SAME for other in means[column]]
        return replace(cell, place=1 + sum(ahead))

    return [
        replace(row, cells=tuple(placed(cell, j) for j, cell in enumerate(row.cells)))
        for row in rows
    ]


def agreement_row(config: Config, rows: list[TableRow]) -> TableRow:
    """How far the order of each column agrees with that of the rule in use: Kendall's tau-b."""
    columns = list(zip(*(_means(row) for row in rows), strict=True))
    # What a column is of, its rule aside.
    heads = [
        (cell.run.dataset, cell.metric, cell.facet)
        for cell in rows[0].cells
        if isinstance(cell, ResultCell) and cell.run
    ]
    used = {
        (dataset, metric): column
        for (dataset, metric, rule), column in zip(heads, columns, strict=True)
        if rule == configured(config, metric)
    }
    taus = [
        tau_b(column, used[dataset, metric])
        for (dataset, metric, _), column in zip(heads, columns, strict=True)
    ]
    cells = (FactCell("tau", "" if tau is None else f"{tau:.2f}", value=tau) for tau in taus)
    return TableRow("τ", None, None, None, tuple(cells), setup="")


def tau_b(column: Sequence[float | None], other: Sequence[float | None]) -> float | None:
    """Kendall's tau-b over the rows that have a value in both; None where there is none."""
    both = [pair for pair in zip(column, other, strict=True) if None not in pair]
    if len(both) < 2:
        return None
    first, second = np.array(both, np.float64).T
    tau = float(kendall(first, second))
    return None if np.isnan(tau) else tau


def configured(config: Config, metric: str) -> str:
    """The convention that the other tables follow."""
    segments = METRICS[metric].task == "segmentation"
    return config.evaluation.rule if segments else config.evaluation.decision


def _means(row: TableRow) -> list[float | None]:
    """What ranks go by: of numbers that a control reaches as well there is none."""
    return [mean_of(cell) for cell in row.cells]


def _classes(config: Config, group: ColumnGroup, metric: str) -> list[str]:
    """The lesions or labels that a metric of a column group is of."""
    dataset = config.datasets[group.dataset or ""]
    return dataset.lesions if METRICS[metric].task == "segmentation" else dataset.labels


def _class_title(name: str) -> str:
    """`IRF`, or `seborrheic keratosis`: the shortest names are abbreviations."""
    return name.upper() if len(name) <= 3 else name.replace("_", " ")


def _rules(config: Config, group: ColumnGroup, metric: str) -> list[str]:
    """The conventions under which a metric differs on a data set."""
    if METRICS[metric].task == "classification":
        return list(DECISIONS)
    # The challenge's JI and DSC are those of `empty_is_one`; where each image stands for itself, a
    # volume is an image.
    left_out = {"challenge"} - {config.evaluation.rule}
    if not config.datasets[group.dataset or ""].by_volume:
        left_out |= {"per_volume"} - {config.evaluation.rule}
    return [rule for rule in RULES if rule not in left_out]


def _rule_title(rule: str) -> str:
    return RULE_TITLES.get(rule, rule.replace("_", " "))
