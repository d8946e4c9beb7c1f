"""The verdicts as files: CSV, one line a verdict and unrounded, and Markdown for people.

Every file carries the notices of `notices.py` and the preset on its face.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from workflow.audit.formats import COLUMNS as AUDIT_COLUMNS
from workflow.audit.formats import as_markdown, as_records
from workflow.base.files import csv_text
from workflow.base.markdown import escaped, head, row
from workflow.config.model import Config
from workflow.metrics.intervals import Difference
from workflow.verdicts.claims import ClaimVerdict, ComparisonVerdict
from workflow.verdicts.judge import Verdicts
from workflow.verdicts.rankings import RankingVerdict
from workflow.verdicts.sheets import VerdictSheet, sheets
from workflow.verdicts.values import DEMO, ValueVerdict

V = TypeVar("V")
Columns = Mapping[str, Callable[[V], object]]
# Column -> what it says of a verdict.
VALUES: Columns[ValueVerdict] = {
    "table": lambda v: v.key.table,
    "dataset": lambda v: v.key.dataset,
    "method": lambda v: v.key.method,
    "metric": lambda v: v.key.metric,
    "printed": lambda v: v.printed,
    "mean": lambda v: v.estimate and v.estimate.value,
    "sd": lambda v: v.estimate and v.estimate.sd,
    "low": lambda v: v.estimate and v.estimate.low,
    "high": lambda v: v.estimate and v.estimate.high,
    "seeds": lambda v: v.estimate.n if v.estimate else 0,
    "expected_seeds": lambda v: v.expected,
    "difference": lambda v: v.difference,
    "difference_low": lambda v: None if v.verdict == DEMO else v.against.low,
    "difference_high": lambda v: None if v.verdict == DEMO else v.against.high,
    "supported_margin": lambda v: None if v.verdict == DEMO else v.against.supports,
    "p_equal": lambda v: None if v.verdict == DEMO else v.against.p,
    "p_beyond_margin": lambda v: None if v.verdict == DEMO else v.against.p_apart,
    "verdict": lambda v: v.verdict,
    "verdict_among_all": lambda v: v.corrected,
    "would_take": lambda v: v.could_tell,
    "remark": lambda v: v.remark,
}
CLAIMS: Columns[ClaimVerdict] = {
    "claim": lambda v: v.claim.id,
    "section": lambda v: v.claim.section,
    "says": lambda v: v.claim.says,
    "kind": lambda v: v.claim.kind,
    "verdict": lambda v: v.verdict,
    "direction": lambda v: v.direction,
    "size": lambda v: v.size,
    "audit": lambda v: v.audit,
}
COMPARISONS: Columns[ComparisonVerdict] = {
    "dataset": lambda v: v.comparison.dataset,
    "metric": lambda v: v.comparison.metric,
    "left": lambda v: v.left,
    "right": lambda v: v.right,
    "this_run": lambda v: v.measured and v.measured.value,
    "low": lambda v: v.measured and v.measured.low,
    "high": lambda v: v.measured and v.measured.high,
    "seeds": lambda v: v.measured and v.measured.n,
    "p": lambda v: v.measured.p if isinstance(v.measured, Difference) else None,
    "smallest_detectable_difference": lambda v: (
        v.measured.detectable if isinstance(v.measured, Difference) else None
    ),
    "beaten": lambda v: None if v.verdict == DEMO else v.beaten,
    "of": lambda v: v.of,
    "comparison": lambda v: v.verdict,
    "stated": lambda v: v.comparison.stated,
    "stated_verdict": lambda v: v.stated,
    "remark": lambda v: v.remark,
}
RANKINGS: Columns[RankingVerdict] = {
    "table": lambda v: v.block.table,
    "group": lambda v: v.block.group,
    "column": lambda v: v.block.column,
    "dataset": lambda v: v.block.dataset,
    "metric": lambda v: v.block.metric,
    "kind": lambda v: "pairwise comparison" if v.pairwise else "ranking",
    "methods": lambda v: len(v.measured),
    "of": lambda v: len(v.printed),
    "tau": lambda v: v.agreement and v.agreement.tau,
    "low": lambda v: v.agreement and v.agreement.low,
    "high": lambda v: v.agreement and v.agreement.high,
    "p": lambda v: v.p,
    "verdict": lambda v: v.verdict,
    "printed_order": lambda v: " ".join(v.printed),
    "this_runs_order": lambda v: " ".join(v.measured),
    "remark": lambda v: v.remark,
}


def files(config: Config, verdicts: Verdicts) -> dict[str, str]:
    """File name -> content: values, claims, rankings and audit, each as .csv and .md."""
    claims = (record for claim in verdicts.claims for record in _of_claim(claim))
    found = {
        "values.csv": _csv(verdicts, VALUES, (_record(VALUES, v) for v in verdicts.values)),
        "claims.csv": _csv(verdicts, {**CLAIMS, **COMPARISONS}, claims),
        "rankings.csv": _csv(verdicts, RANKINGS, (_record(RANKINGS, v) for v in verdicts.rankings)),
        "audit.csv": _csv(verdicts, AUDIT_COLUMNS, as_records(verdicts.audit)),
        "audit.md": _face(verdicts, "Audit of the printed tables") + as_markdown(verdicts.audit),
    }
    return found | {f"{s.name}.md": _markdown(verdicts, s) for s in sheets(config, verdicts)}


def _csv(
    verdicts: Verdicts, columns: Iterable[str], records: Iterable[Mapping[str, object]]
) -> str:
    face = {"preset": verdicts.preset, "notice": "; ".join(verdicts.notices)}
    return csv_text([*columns, *face], ({**record, **face} for record in records))


def _record(columns: Columns[V], verdict: V) -> dict[str, object]:
    return {column: said(verdict) for column, said in columns.items()}


def _of_claim(found: ClaimVerdict) -> Iterator[dict[str, object]]:
    """A record for each comparison; a single one for a claim without any."""
    claim = _record(CLAIMS, found)
    for one in found.comparisons:
        yield {**claim, **_record(COMPARISONS, one)}
    if not found.comparisons:
        yield {**claim, "remark": found.remark}


def _markdown(verdicts: Verdicts, sheet: VerdictSheet) -> str:
    counted = ", ".join(f"{word} {count}" for word, count in sheet.counts.items()) or "none"
    parts = [_face(verdicts, sheet.title) + f"**{counted}.**\n"]
    parts += [f"{escaped(line)}\n" for line in sheet.meaning]
    for group in sheet.groups:
        rows = [
            row("<br>".join(escaped(line) for line in cell) for cell in line.cells)
            for line in group.lines
        ]
        table = [*head(map(escaped, sheet.columns)), *rows]
        parts.append(f"## {escaped(group.heading)}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def _face(verdicts: Verdicts, title: str) -> str:
    lines = [f"# {title}", *(f"> **{escaped(notice)}**" for notice in verdicts.notices)]
    return "\n\n".join([*lines, f"Preset {escaped(verdicts.preset)}."]) + "\n\n"
