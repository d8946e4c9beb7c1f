"""The claims of a paper's text, in a form that a machine can check.

`published/claims.yaml` explains the format at its head. A claim is a set of comparisons, each of
one data set and metric; the audit checks them against the printed cells, and the same comparisons
can be checked against any other results.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from workflow.audit.record import sizes
from workflow.audit.rounding import AuditError, printed
from workflow.audit.yaml_files import check_mapping, read_mapping
from workflow.config.errors import unknown

# Kind -> the keys it must have beside those of every claim.
KINDS = {
    "above": ("metrics", "left", "right"),
    "significant": ("metrics", "left", "right"),
    "margin": ("stated", "left", "right"),
    "value": ("stated", "left"),
    "data": ("stated",),
    "words": (),
}
# Of these kinds no cell and no record can say that they are so: a table of means shows no
# significance, and what has no number is in no table.
UNCONFIRMED = ("significant", "words")
_EVERY = ("id", "section", "says", "kind", "datasets")


class Comparison(NamedTuple):
    """One data set and metric of a claim.

    Attributes:
        left: the methods that the claim is about, represented by the best of them.
        right: those they are compared with, likewise; empty for a claim of kind `value`.
        stated: the margin or value as printed; None for a claim of another kind.
    """

    dataset: str
    metric: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    stated: str | None


@dataclass(frozen=True)
class Claim:
    """A claim; see `published/claims.yaml` for what its fields mean."""

    id: str
    section: str
    says: str
    kind: str
    datasets: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    stated: tuple[tuple[str, str], ...] = ()
    tables: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where the claim stands, in words."""
        return f"Section {self.section} ({self.id})"

    def comparisons(self) -> Iterator[Comparison]:
        """What has to be compared, data set by data set; nothing for a claim without results."""
        if self.kind in ("data", "words"):
            return
        stated = dict(self.stated)
        for dataset in self.datasets:
            for metric in self.metrics or stated:
                yield Comparison(dataset, metric, self.left, self.right, stated.get(metric))


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Read a file of claims.

    Raises:
        AuditError: the file or a claim of it cannot be used.
    """
    content = check_mapping(read_mapping(path), str(path), ("groups", "claims"), ("claims",))
    groups = check_mapping(content.get("groups", {}), f"{path}: groups")
    if not isinstance(content["claims"], list):
        raise AuditError(f"{path}: claims: found {content['claims']!r}; expected a list")
    claims: dict[str, Claim] = {}
    for position, raw in enumerate(content["claims"], start=1):
        claim = _claim(raw, groups, f"{path}: claim {position}")
        if claim.id in claims:
            raise AuditError(f"{path}: claim {position}: id {claim.id!r} is taken already")
        claims[claim.id] = claim
    return tuple(claims.values())


def _claim(raw: Any, groups: dict[str, Any], where: str) -> Claim:
    entry = check_mapping(raw, where, required=_EVERY)
    where = f"{where} ({entry['id']})"
    if entry["kind"] not in KINDS:
        raise AuditError(f"{where}: kind: {unknown(str(entry['kind']), KINDS)}")
    needed = KINDS[entry["kind"]]
    check_mapping(entry, where, (*_EVERY, "tables", *needed), needed)
    for key in ("datasets", *needed):
        if not entry[key]:
            raise AuditError(f"{where}: {key}: found {entry[key]!r}; a claim needs at least one")
    stated = check_mapping(entry.get("stated", {}), f"{where}: stated")
    for metric, text in stated.items():
        _check_stated(text, entry["kind"], metric, f"{where}: stated: {metric}")
    return Claim(
        id=str(entry["id"]),
        section=str(entry["section"]),
        says=str(entry["says"]),
        kind=entry["kind"],
        datasets=_names(entry["datasets"], groups, f"{where}: datasets"),
        metrics=_names(entry.get("metrics", []), groups, f"{where}: metrics"),
        left=_names(entry.get("left", []), groups, f"{where}: left"),
        right=_names(entry.get("right", []), groups, f"{where}: right"),
        stated=tuple(stated.items()),
        tables=_names(entry.get("tables", []), groups, f"{where}: tables"),
    )


def _check_stated(text: Any, kind: str, metric: str, where: str) -> None:
    if not isinstance(text, str):
        raise AuditError(
            f"{where}: found {text!r}; put the number in quotes, so that it keeps its decimals"
        )
    if kind == "data":
        if not (sizes(text) if metric == "image_size" else re.search(r"\d", text)):
            raise AuditError(f"{where}: found {text!r}; expected a number, or a size as 640×480")
        return
    try:
        printed(text)
    except AuditError as error:
        raise AuditError(f"{where}: {error}") from error


def _names(value: Any, groups: dict[str, Any], where: str) -> tuple[str, ...]:
    """A list of names; a name of a group stands for the names in it."""
    if not isinstance(value, list):
        raise AuditError(f"{where}: found {value!r}; expected a list of names")
    names: list[str] = []
    for name in value:
        inner = groups.get(name, [name]) if isinstance(name, str) else None
        if not isinstance(inner, list) or not all(isinstance(part, str) for part in inner):
            raise AuditError(f"{where}: {name!r} is neither a name nor a group with a list of them")
        names += inner
    return tuple(names)
