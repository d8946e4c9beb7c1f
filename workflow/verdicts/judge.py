"""What this run says of all that the paper prints: values, claims, rankings, and the audit.

On phantom data every verdict reads `demo` and asserts nothing.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache

from workflow.audit.engine import AuditReport, audit
from workflow.audit.paper import Paper, published_paper
from workflow.config.cells import made_tables, table_runs
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.results.read import Results
from workflow.verdicts.claims import ClaimVerdict, claim_verdicts
from workflow.verdicts.rankings import RankingVerdict, ranking_verdicts
from workflow.verdicts.values import ValueVerdict, expected_by_chance, value_verdicts


@dataclass(frozen=True)
class Verdicts:
    """All that is said of the paper.

    Attributes:
        values: the verdicts on printed numbers, table by table.
        claims: the verdicts on the text's claims, in its order.
        rankings: the verdicts on printed rankings, table by table.
        audit: the audit of the printed tables by themselves; it looks at no result of this run.
        notices: the warnings that hold for the runs behind the verdicts.
        level: the level of the intervals.
        margin: the margin of equivalence, in points.
        gain_margin: the same of a gain of one method over another.
        tested: how many values are tested.
        by_chance: of how many of them this run would say that they differ if all were equal.
    """

    values: tuple[ValueVerdict, ...]
    claims: tuple[ClaimVerdict, ...]
    rankings: tuple[RankingVerdict, ...]
    audit: AuditReport
    notices: tuple[str, ...]
    preset: str
    level: float
    margin: float
    gain_margin: float
    tested: int
    by_chance: float

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """`values`, `claims`, `rankings` -> verdict -> how many; only verdicts that occur."""
        kinds = {"values": self.values, "claims": self.claims, "rankings": self.rankings}
        return {name: dict(Counter(v.verdict for v in found)) for name, found in kinds.items()}


@cache
def audited_paper() -> tuple[Paper, AuditReport]:
    """The paper and its audit, which no result changes."""
    paper = published_paper()
    return paper, audit(paper)


def judge(config: Config, results: Results) -> Verdicts:
    """Every verdict that the configuration's tables give occasion for."""
    paper, report = audited_paper()
    shown = dict.fromkeys(run for key in made_tables(config) for run in table_runs(config, key))
    values = tuple(value_verdicts(config, results))
    tested, by_chance = expected_by_chance(values, results.design)
    return Verdicts(
        values=values,
        claims=tuple(claim_verdicts(config, results, paper.claims, report.claims)),
        rankings=tuple(ranking_verdicts(config, results)),
        audit=report,
        notices=notices(config, shown),
        preset=config.preset,
        level=results.design.level,
        margin=results.design.margin,
        gain_margin=results.design.gain_margin,
        tested=tested,
        by_chance=by_chance,
    )
