"""The verdicts as they read: rows of plain text, which Markdown and the report's pages lay out."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from workflow.base.wording import table_name
from workflow.config.cells import Run
from workflow.config.metrics import title_of
from workflow.config.model import Config
from workflow.metrics.intervals import NOT_ESTIMABLE, Difference, Estimate
from workflow.results.missing import method_title
from workflow.results.printed import printed_results
from workflow.tables.text import MINUS, signed
from workflow.verdicts.claims import ClaimVerdict, ComparisonVerdict
from workflow.verdicts.judge import Verdicts
from workflow.verdicts.rankings import Block, RankingVerdict
from workflow.verdicts.values import DEMO, ValueVerdict

# The verdicts of each kind, the most favourable to the paper first.
ORDER = {
    "values": ("reproduced", "within noise", "differs", "not testable", DEMO),
    "claims": ("holds", "does not hold", "not resolvable", "not testable", DEMO),
    "rankings": ("survives", "reversed", "not resolvable", "not testable", DEMO),
}


# Columns that hold text of any length.
PROSE = {"Claim", "Comparisons", "The paper's order", "Our order", "Remark"}


class Line(NamedTuple):
    """A row: in each cell, lines of text; and the run that its numbers come from, if it is one."""

    cells: tuple[tuple[str, ...], ...]
    verdict: str
    run: Run | None = None


class Group(NamedTuple):
    """Rows under a heading."""

    heading: str
    lines: list[Line]


class Sheet(NamedTuple):
    """The verdicts of one kind.

    Attributes:
        name: values, claims or rankings.
        counts: verdict -> how many, in a fixed order.
        meaning: what each verdict means, and what the numbers are.
        columns: titles; `Verdict` is one of them.
    """

    name: str
    title: str
    counts: dict[str, int]
    meaning: tuple[str, ...]
    columns: tuple[str, ...]
    groups: list[Group]


def sheets(config: Config, verdicts: Verdicts) -> list[Sheet]:
    """Values, claims and rankings."""
    words = _Words(config)
    level, margin = f"{100 * verdicts.level:g} %", f"{verdicts.margin:g}"
    return [
        _sheet(
            verdicts,
            "values",
            "Printed values",
            (
                f"Of the {len(printed_results())} values that the paper prints, "
                f"{len(verdicts.values)} are in this run's tables. Ours: mean over seeds, in per "
                f"cent, with its {level} interval over seeds and groups; difference: ours less "
                "printed.",
                f"reproduced: the interval lies within ±{margin} of the printed value. "
                "within noise: it holds the printed value, and others beyond that margin. differs: "
                "neither. not testable: there is no interval.",
            ),
            ("Data set", "Method", "Metric", "Printed", "Ours", "Interval", "Difference", "Verdict",
             "Remark"),
            _grouped((table_name(v.key.table), words.value(v)) for v in verdicts.values),
        ),
        _sheet(
            verdicts,
            "claims",
            "Claims of the text",
            (
                "Each comparison: the best method of one side less the best of the other, on their "
                f"common seeds, in points, with its {level} interval.",
                "holds: in every comparison, a method that the claim is about beats all those it "
                "is compared with. does not hold: in some comparison, one of those beats all that "
                "the claim is about. not resolvable: neither; this design cannot tell. not "
                "testable: runs are missing. The tests are corrected for the number of methods "
                "and comparisons, the intervals are not. A stated value or margin has the same "
                "verdicts as a printed value.",
                "Audit: what the paper's own tables say of the claim, whatever our results are.",
            ),
            ("Claim", "Verdict", "Audit", "Comparisons", "Remark"),
            _grouped((f"Section {v.claim.section}", words.claim(v)) for v in verdicts.claims),
        ),
        _sheet(
            verdicts,
            "rankings",
            "Rankings",
            (
                f"Kendall's τ between the printed order of a column and ours, with its {level} "
                "interval: 1 is the same order, -1 the opposite.",
                "survives: the interval lies above 0. reversed: below 0. not resolvable: it holds "
                "0, or no two methods can be told apart. not testable: there are no two orders.",
            ),
            ("Column", "Methods", "τ", "Interval", "Verdict", "The paper's order", "Our order",
             "Remark"),
            _grouped((table_name(v.block.table), words.ranking(v)) for v in verdicts.rankings),
        ),
    ]  # fmt: skip


def _sheet(
    verdicts: Verdicts,
    name: str,
    title: str,
    meaning: tuple[str, ...],
    columns: tuple[str, ...],
    groups: list[Group],
) -> Sheet:
    found = verdicts.counts[name]
    counts = {word: found[word] for word in ORDER[name] if word in found}
    return Sheet(name, title, counts, meaning, columns, groups)


def _grouped(lines: Iterable[tuple[str, Line]]) -> list[Group]:
    return [
        Group(heading, [line for _, line in members])
        for heading, members in groupby(lines, key=lambda item: item[0])
    ]


class _Words:
    """Verdicts in words, with the titles and decimals of a configuration."""

    def __init__(self, config: Config) -> None:
        self.config, self.places = config, config.statistics.decimals

    def value(self, found: ValueVerdict) -> Line:
        estimate = found.estimate
        ours = "-" if estimate is None else f"{estimate.value:.{self.places}f}"
        if estimate is not None and estimate.n < found.expected:
            ours += f" ({estimate.n} of {found.expected})"
        cells = (
            self.dataset(found.key.dataset),
            method_title(self.config, found.key.method),
            title_of(found.key.metric),
            found.printed,
            ours,
            self.interval(estimate),
            signed(found.difference, self.places),
            found.verdict,
            found.remark,
        )
        return Line(tuple((cell,) for cell in cells), found.verdict, found.run)

    def claim(self, found: ClaimVerdict) -> Line:
        remarks = {one.remark: None for one in found.comparisons if one.remark}
        cells = (
            (found.claim.says,),
            (found.verdict,),
            (found.audit,),
            tuple(self.comparison(one) for one in found.comparisons) or ("-",),
            tuple(remarks) or (found.remark,),
        )
        return Line(cells, found.verdict)

    def comparison(self, found: ComparisonVerdict) -> str:
        what = found.comparison
        text = f"{self.dataset(what.dataset)}, {title_of(what.metric)}: "
        names = [method_title(self.config, name) for name in (found.left, found.right) if name]
        text += f" {MINUS} ".join(names) or "no result"
        if found.ours is not None:
            places = self.places
            ours = found.ours.value
            number = (
                signed(ours, places) if isinstance(found.ours, Difference) else f"{ours:.{places}f}"
            )
            text += f" = {number} {self.interval(found.ours)}".rstrip()
        if found.verdict != DEMO:
            text += f", {found.verdict}"
            if found.verdict != "holds" and found.of > 1:
                text += f" ({found.beaten} of {found.of} beaten)"
        if what.stated is not None:
            text += f"; stated {what.stated}"
            if found.stated not in (None, DEMO):
                text += f": {found.stated}"
        return text

    def ranking(self, found: RankingVerdict) -> Line:
        agreement = found.agreement
        cells = (
            self.block(found.block),
            f"{len(found.ours)} of {len(found.printed)}",
            "" if agreement is None else _minus(f"{agreement.tau:.2f}"),
            "" if agreement is None else _interval(agreement.low, agreement.high, 2),
            found.verdict,
            self.order(found.printed),
            self.order(found.ours),
            found.remark,
        )
        return Line(tuple((cell,) for cell in cells), found.verdict)

    def block(self, block: Block) -> str:
        title = self.dataset(block.dataset)
        parts = [block.group, block.column, title if title != block.column else ""]
        return ", ".join([*filter(None, parts), title_of(block.metric)])

    def order(self, methods: Iterable[str]) -> str:
        return " > ".join(method_title(self.config, name) for name in methods)

    def dataset(self, name: str) -> str:
        datasets = self.config.datasets
        return datasets[name].title if name in datasets else name

    def interval(self, found: Estimate | Difference | None) -> str:
        if found is None or found.low is None or found.high is None:
            return ""
        if not found.estimable:
            return NOT_ESTIMABLE
        return _interval(found.low, found.high, self.places)


def _interval(low: float, high: float, places: int) -> str:
    return _minus(f"[{low:.{places}f}, {high:.{places}f}]")


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
