"""A table as lines, one per cell, with every number unrounded: CSV, and parquet with types."""

from typing import Any

import pyarrow as pa

from workflow.base.files import csv_text
from workflow.config.metrics import METRICS
from workflow.results.result_cells import ResultCell
from workflow.tables.content import FactCell, ReportTable, TableRow

_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
# Column -> its type in parquet. `low` and `high` are the interval of `mean`; the columns on the
# best other method of the compared set are those of this one's mean minus its, on common seeds.
RESULT_COLUMNS = {
    **dict.fromkeys(("table", "group", "row", "machine", "setup", "columns"), _TEXT),
    **dict.fromkeys(("dataset", "method", "metric", "class_or_rule", "state"), _TEXT),
    **dict.fromkeys(("mean", "sd", "low", "high"), _NUMBER),
    **dict.fromkeys(("seeds", "expected_seeds"), _COUNT),
    **dict.fromkeys(("missing_seeds", "failed_seeds", "undefined_seeds"), _TEXT),
    "groups": _COUNT,
    "interval_notes": _TEXT,
    **dict.fromkeys(("printed", "difference"), _NUMBER),
    "verdict": _TEXT,
    "supported_margin": _NUMBER,
    **dict.fromkeys(("mark", "below_control"), _TEXT),
    **dict.fromkeys(("place", "first_place", "last_place"), _COUNT),
    "may_be_best": pa.bool_(),
    "best_other": _TEXT,
    **dict.fromkeys(("to_best_other", "to_best_other_low", "to_best_other_high"), _NUMBER),
    **dict.fromkeys(("p", "smallest_detectable_difference"), _NUMBER),
    **dict.fromkeys(("preset", "notice"), _TEXT),
}
FACT_COLUMNS: dict[str, pa.DataType] = dict.fromkeys(
    ("table", "row", "dataset", "fact", "this_run", "printed", "preset", "notice"), _TEXT
)


def to_csv(table: ReportTable) -> str:
    """One line per cell, per cent unless column `unit` is there; empty where there is no number."""
    return csv_text(_columns(table), _records(table))


def to_arrow(table: ReportTable) -> pa.Table:
    """The same lines with typed columns; null where there is no number."""
    columns, records = _columns(table), _records(table)
    arrays = {
        name: pa.array([_typed(record.get(name), kind) for record in records], kind)
        for name, kind in columns.items()
    }
    return pa.table(arrays)


def _columns(table: ReportTable) -> dict[str, pa.DataType]:
    if table.kind == "datasets":
        return FACT_COLUMNS
    # Where every number is in per cent, no column says so.
    return RESULT_COLUMNS | ({"unit": _TEXT} if table.units - {"%"} else {})


def _records(table: ReportTable) -> list[dict[str, Any]]:
    titles = [span.title for span in table.spans for _ in span.columns]
    about = {
        "table": table.key,
        "preset": table.preset,
        "notice": "; ".join(table.notices),
    }
    return [
        {**about, "row": row.title, "columns": title, "dataset": row.dataset, **_record(row, cell)}
        for row in table.rows
        for title, cell in zip(titles, row.cells, strict=True)
    ]


def _record(row: TableRow, cell: ResultCell | FactCell) -> dict[str, Any]:
    if isinstance(cell, FactCell):
        facts = {"fact": cell.fact, "this_run": cell.text, "printed": cell.printed}
        return {**facts, "metric": cell.fact, "state": "fact", "mean": cell.value}
    return {
        "group": row.group,
        "machine": row.machine,
        "setup": row.setup,
        "dataset": cell.run.dataset if cell.run else None,
        "method": cell.run.method if cell.run else None,
        "metric": cell.metric,
        "unit": METRICS[cell.metric].unit if cell.metric in METRICS else None,
        "class_or_rule": cell.facet,
        "state": cell.state,
        "mean": cell.mean,
        "sd": cell.sd,
        "seeds": len(cell.values),
        "expected_seeds": cell.expected,
        "missing_seeds": " ".join(map(str, cell.missing)),
        "failed_seeds": " ".join(map(str, cell.failed)),
        "undefined_seeds": " ".join(map(str, cell.undefined)),
        "groups": cell.groups,
        "printed": cell.printed,
        "difference": cell.difference,
        "verdict": cell.verdict,
        "supported_margin": cell.supports,
        "mark": cell.mark,
        "below_control": cell.below or None,
        "place": cell.place,
        **_interval(cell),
        **_comparison(cell),
    }


def _interval(cell: ResultCell) -> dict[str, Any]:
    if cell.estimate is None:
        return {}
    return {
        "low": cell.estimate.low,
        "high": cell.estimate.high,
        "interval_notes": "; ".join(cell.estimate.notes),
    }


def _comparison(cell: ResultCell) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if cell.standing is not None:
        found |= {
            "place": cell.standing.place,
            "first_place": cell.standing.first,
            "last_place": cell.standing.last,
            "may_be_best": cell.standing.with_best,
        }
    if cell.versus is not None:
        found |= {"best_other": cell.versus.method, "p": cell.versus.p}
    if cell.versus is not None and (difference := cell.versus.difference) is not None:
        found |= {
            "to_best_other": difference.value,
            "to_best_other_low": difference.low,
            "to_best_other_high": difference.high,
            "smallest_detectable_difference": difference.detectable,
        }
    return found


def _typed(value: Any, kind: pa.DataType) -> Any:
    """Text that stands for a number as that number; no text as null."""
    if value in ("", None):
        return None
    return float(value) if kind == _NUMBER else value
