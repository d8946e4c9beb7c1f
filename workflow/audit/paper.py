"""All that is audited together: printed cells, claims about them, and the record of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from workflow.audit.cells import PrintedCell, read_facts, read_tables
from workflow.audit.claims import Claim, read_claims
from workflow.audit.record import DatasetRecord, read_record
from workflow.results.printed import PUBLISHED


@dataclass(frozen=True)
class Paper:
    """A paper's numbers and claims; the record is what is known of its data from elsewhere."""

    cells: tuple[PrintedCell, ...]
    claims: tuple[Claim, ...] = ()
    record: Mapping[str, DatasetRecord] = field(default_factory=dict)

    def with_cell(self, cell: PrintedCell, text: str) -> "Paper":
        """The same paper, had it printed `text` in one cell."""
        changed = replace(cell, text=text)
        return replace(self, cells=tuple(changed if c == cell else c for c in self.cells))

    def with_claim(self, old: Claim, new: Claim) -> "Paper":
        """The same paper, had its text said `new`."""
        return replace(self, claims=tuple(new if c == old else c for c in self.claims))

    def only(self, dataset: str) -> "Paper":
        """What concerns one data set: no rule compares numbers of two."""
        return replace(
            self,
            cells=tuple(cell for cell in self.cells if cell.dataset == dataset),
            claims=tuple(
                replace(claim, datasets=(dataset,))
                for claim in self.claims
                if dataset in claim.datasets and claim.kind != "data"
            ),
        )


def read_paper(
    tables: Path, facts: Path | None = None, claims: Path | None = None, record: Path | None = None
) -> Paper:
    """Read what is to be audited; only the tables are needed.

    Raises:
        AuditError: a file cannot be used; the message says which, and what to do.
    """
    return Paper(
        cells=read_tables(tables) + (read_facts(facts) if facts else ()),
        claims=read_claims(claims) if claims else (),
        record=read_record(record) if record else {},
    )


def published_paper() -> Paper:
    """The paper that this project reproduces, with its claims and the record of its data."""
    return read_paper(
        PUBLISHED / "tables.csv",
        PUBLISHED / "table_I.csv",
        PUBLISHED / "claims.yaml",
        PUBLISHED / "record.yaml",
    )
