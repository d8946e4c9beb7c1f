"""The verdicts as files: CSV, one line a verdict and unrounded, and Markdown for people.

Every file carries the notices of `notices.py` and the preset on its face.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from workflow.audit.formats import as_csv, as_markdown
from workflow.base.markdown import escaped, head, row
from workflow.config.model import Config
from workflow.metrics.intervals import Difference
from workflow.verdicts.claims import ClaimVerdict, ComparisonVerdict
from workflow.verdicts.judge import Verdicts
from workflow.verdicts.rankings import RankingVerdict
from workflow.verdicts.sheets import Sheet, sheets
from workflow.verdicts.values import DEMO, ValueVerdict

VALUE_COLUMNS = (
    "table", "dataset", "method", "metric", "printed", "mean", "sd", "low", "high", "seeds",
    "expected_seeds", "difference", "verdict", "remark",
)  # fmt: skip
CLAIM_COLUMNS = (
    "claim", "section", "says", "kind", "verdict", "audit", "dataset", "metric", "left", "right",
    "ours", "low", "high", "seeds", "p", "detectable", "beaten", "of", "comparison", "stated",
    "stated_verdict", "remark",
)  # fmt: skip
RANKING_COLUMNS = (
    "table", "group", "column", "dataset", "metric", "methods", "of", "tau", "low", "high",
    "verdict", "printed_order", "our_order", "remark",
)  # fmt: skip


def files(config: Config, verdicts: Verdicts) -> dict[str, str]:
    """File name -> content: values, claims, rankings and audit, each as .csv and .md."""
    claims = (row for claim in verdicts.claims for row in _claim_records(claim))
    audit = csv.DictReader(io.StringIO(as_csv(verdicts.audit)))
    found = {
        "values.csv": _csv(verdicts, VALUE_COLUMNS, map(_value_record, verdicts.values)),
        "claims.csv": _csv(verdicts, CLAIM_COLUMNS, claims),
        "rankings.csv": _csv(verdicts, RANKING_COLUMNS, map(_ranking_record, verdicts.rankings)),
        "audit.csv": _csv(verdicts, audit.fieldnames or (), audit),
        "audit.md": _face(verdicts, "Audit of the printed tables") + as_markdown(verdicts.audit),
    }
    return found | {f"{s.name}.md": _markdown(verdicts, s) for s in sheets(config, verdicts)}


def _csv(verdicts: Verdicts, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    face = {"preset": verdicts.preset, "notice": "; ".join(verdicts.notices)}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, (*columns, *face), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **face} for row in rows)
    return stream.getvalue()


def _value_record(found: ValueVerdict) -> dict[str, Any]:
    estimate = found.estimate
    return {
        **found.key._asdict(),
        "printed": found.printed,
        "mean": estimate and estimate.value,
        "sd": estimate and estimate.sd,
        "low": estimate and estimate.low,
        "high": estimate and estimate.high,
        "seeds": estimate.n if estimate else 0,
        "expected_seeds": found.expected,
        "difference": found.difference,
        "verdict": found.verdict,
        "remark": found.remark,
    }


def _claim_records(found: ClaimVerdict) -> Iterable[dict[str, Any]]:
    """One record per comparison; one alone for a claim without any."""
    claim = found.claim
    of_claim = {
        "claim": claim.id,
        "section": claim.section,
        "says": claim.says,
        "kind": claim.kind,
        "verdict": found.verdict,
        "audit": found.audit,
    }
    if not found.comparisons:
        return [{**of_claim, "remark": found.remark}]
    return [{**of_claim, **_comparison_record(one)} for one in found.comparisons]


def _comparison_record(found: ComparisonVerdict) -> dict[str, Any]:
    what, ours = found.comparison, found.ours
    tested = ours if isinstance(ours, Difference) else None
    return {
        "dataset": what.dataset,
        "metric": what.metric,
        "left": found.left,
        "right": found.right,
        "ours": ours and ours.value,
        "low": ours and ours.low,
        "high": ours and ours.high,
        "seeds": ours and ours.n,
        "p": tested and tested.p,
        "detectable": tested and tested.detectable,
        "beaten": None if found.verdict == DEMO else found.beaten,
        "of": found.of,
        "comparison": found.verdict,
        "stated": what.stated,
        "stated_verdict": found.stated,
        "remark": found.remark,
    }


def _ranking_record(found: RankingVerdict) -> dict[str, Any]:
    agreement, block = found.agreement, found.block
    return {
        "table": block.table,
        "group": block.group,
        "column": block.column,
        "dataset": block.dataset,
        "metric": block.metric,
        "methods": len(found.ours),
        "of": len(found.printed),
        "tau": agreement and agreement.tau,
        "low": agreement and agreement.low,
        "high": agreement and agreement.high,
        "verdict": found.verdict,
        "printed_order": " ".join(found.printed),
        "our_order": " ".join(found.ours),
        "remark": found.remark,
    }


def _markdown(verdicts: Verdicts, sheet: Sheet) -> str:
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
