"""The verdicts as they read: rows of plain text, which Markdown and the report's pages lay out."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple, get_args

from workflow.base.wording import table_name
from workflow.config.cells import Run
from workflow.config.metrics import title_of
from workflow.config.model import Config
from workflow.metrics.against import CANNOT_TELL
from workflow.metrics.intervals import NOT_ESTIMABLE, Difference, MeanEstimate
from workflow.results.missing import method_title
from workflow.results.printed import printed_results
from workflow.tables.standings import probability
from workflow.tables.text import MINUS, signed
from workflow.verdicts.claims import ClaimVerdict, ClaimWord, ComparisonVerdict
from workflow.verdicts.judge import Verdicts
from workflow.verdicts.rankings import RankingBlock, RankingVerdict, RankingWord
from workflow.verdicts.values import DEMO, ValueVerdict

# The verdicts of each kind, the most favourable to the paper first.
ORDER = {
    "values": ("reproduced", CANNOT_TELL, "differs", "not testable", DEMO),
    "claims": get_args(ClaimWord),
    "rankings": get_args(RankingWord),
}


# Columns that hold text of any length.
PROSE = {"Claim", "Comparisons", "The paper's order", "This run's order", "Would take", "Remark"}
# The verdicts on a stated size, in a sentence; others stand for themselves.
SIZES = {"reproduced": "holds", CANNOT_TELL: "open"}
# Margins in points at which it is counted what would be reproduced.
LADDER = (1, 2, 3, 5, 10, 20)


class SheetLine(NamedTuple):
    """A row: in each cell, lines of text; and the run that its numbers come from, if it is one."""

    cells: tuple[tuple[str, ...], ...]
    verdict: str
    run: Run | None = None


class Group(NamedTuple):
    """Rows under a heading."""

    heading: str
    lines: list[SheetLine]


class VerdictSheet(NamedTuple):
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


def sheets(config: Config, verdicts: Verdicts) -> list[VerdictSheet]:
    """Values, claims and rankings."""
    words = _Words(config)
    return [
        _sheet(
            verdicts,
            "values",
            "Printed values",
            _of_values(verdicts),
            ("Data set", "Method", "Metric", "Paper", "This run", "Interval", "Difference",
             "Equal within", "Verdict", "Among all", "Would take", "Remark"),
            _grouped((table_name(v.key.table), words.value(v)) for v in verdicts.values),
        ),
        _sheet(
            verdicts,
            "claims",
            "Claims of the text",
            _of_claims(verdicts),
            ("Claim", "Verdict", "Audit", "Comparisons", "Remark"),
            _grouped((f"Section {v.claim.section}", words.claim(v)) for v in verdicts.claims),
        ),
        _sheet(
            verdicts,
            "rankings",
            "Rankings",
            _of_rankings(verdicts),
            ("Column", "Kind", "Methods", "τ", "Interval", "p", "Verdict", "The paper's order",
             "This run's order", "Remark"),
            _grouped((table_name(v.block.table), words.ranking(v)) for v in verdicts.rankings),
        ),
    ]  # fmt: skip


def _of_values(verdicts: Verdicts) -> tuple[str, ...]:
    """What the verdicts on values mean, what they assume, and how many come by chance."""
    level, margin = f"{100 * verdicts.level:g} %", f"{verdicts.margin:g}"
    told = [one.against.supports for one in verdicts.values if one.verdict != DEMO]
    supports = [margin for margin in told if margin is not None]
    lines = [
        f"Of the {len(printed_results())} values that the paper prints, "
        f"{len(verdicts.values)} are in this run's tables. This run: mean over seeds, in "
        f"per cent, with its {level} interval over seeds and groups. Difference: this run "
        "minus paper. Equal within: the smallest margin at which the verdict would be reproduced.",
        f"reproduced: the {level} interval of the difference lies within ±{margin} points, of "
        f"which half a printed digit is spent on rounding (±{margin} is effectively "
        f"±{verdicts.margin - 0.05:g}). differs: it does not, and leaves out 0. {CANNOT_TELL}: "
        "neither; equal values and values further apart than the margin are both possible. Would "
        "take: with how many seeds or groups it could be told, if the values were equal. not "
        "testable: there is no interval, or one seed, or a notice says that this run cannot be "
        "compared.",
        "Assumed: the printed value is a mean over seeds that vary as this run's do. On ISIC "
        "2017's official test images, which are the paper's, the doubt is that between the seeds "
        "of both. Elsewhere the paper's test volumes are others, not known, and taken to be as "
        "many and as mixed as this run's, so the printed value is as doubtful as this run's: the "
        "interval of the difference is √2 as wide as one of them. It cannot foresee a training "
        "that collapses in one of the two laboratories alone.",
    ]
    if supports:
        counts = ", ".join(f"±{m}: {sum(s <= m for s in supports)}" for m in LADDER)
        lines += [
            f"Of {len(supports)} values that are testable, this many would be reproduced at other "
            f"margins: {counts}.",
            f"If all {verdicts.tested} were equal, about {verdicts.by_chance:.0f} would be said to "
            "differ by chance. Among all: the verdict that remains when of all that are said to "
            f"differ, and of all said to be reproduced, at most {100 - 100 * verdicts.level:g} % "
            "are expected to be false (Benjamini and Hochberg's correction).",
        ]
    return tuple(lines)


def _of_claims(verdicts: Verdicts) -> tuple[str, ...]:
    """What the verdicts on claims mean."""
    level = f"{100 * verdicts.level:g} %"
    return (
        "Each comparison: the best method of one side minus the best of the other, on "
        f"their common seeds, in points, with its {level} interval.",
        "holds: in every comparison, a method that the claim is about beats all those it "
        "is compared with. does not hold: in some comparison, one of those beats all that "
        "the claim is about. not resolvable: neither; this design cannot tell. not "
        "testable: runs are missing, there is one seed, or a notice says that this run cannot be "
        "compared. The tests are corrected for the number of methods and comparisons of each "
        "claim, the intervals are not; claims are not corrected for each other.",
        "A claim of a margin holds only if its direction and its size do. Size: the difference "
        "held against the stated one as a value is against a printed one, at a margin of "
        f"±{verdicts.gain_margin:g} points. Its direction may hold "
        "where its size differs, or is open because this run cannot tell it at the margin; or the "
        "size may differ while the direction is open.",
        "The best of a side is chosen by the same noisy numbers. Where eight methods stand against "
        "two, that alone makes the difference of the bests smaller, by 0.4 to 2.6 points in "
        "simulations, in the paper as in this run.",
        "Audit: what the paper's own tables say of the claim, whatever this run finds.",
    )


def _of_rankings(verdicts: Verdicts) -> tuple[str, ...]:
    """What the verdicts on rankings mean."""
    level = f"{100 * verdicts.level:g} %"
    return (
        f"Kendall's τ between the printed order of a column and this run's, with its "
        f"{level} interval: 1 is the same order, -1 the opposite. p: the share of all orders that "
        "agree, or disagree, as well (exact permutation test).",
        f"Of five methods or more, survives: the interval lies above 0, and p is at most "
        f"{1 - verdicts.level:.2g}. reversed: below 0, likewise. not resolvable: neither, or no "
        "two methods differ significantly. Of fewer methods no order is beyond chance, and their "
        "pairs are compared: pairs agree: some differ significantly, all in the printed order. "
        "pairs disagree: all in the opposite one. not testable: there are no two orders, there is "
        "one seed, or a notice says that this run cannot be compared.",
        "Which methods differ significantly is corrected over all pairs of all columns of the "
        "table, as in the table itself. That an order survives says that it is not chance; it does "
        "not say that each place is right.",
    )


def _sheet(
    verdicts: Verdicts,
    name: str,
    title: str,
    meaning: tuple[str, ...],
    columns: tuple[str, ...],
    groups: list[Group],
) -> VerdictSheet:
    found = verdicts.counts[name]
    counts = {word: found[word] for word in ORDER[name] if word in found}
    return VerdictSheet(name, title, counts, meaning, columns, groups)


def _grouped(lines: Iterable[tuple[str, SheetLine]]) -> list[Group]:
    return [
        Group(heading, [line for _, line in members])
        for heading, members in groupby(lines, key=lambda item: item[0])
    ]


class _Words:
    """Verdicts in words, with the titles and decimals of a configuration."""

    def __init__(self, config: Config) -> None:
        self.config, self.places = config, config.statistics.decimals

    def value(self, found: ValueVerdict) -> SheetLine:
        estimate = found.estimate
        mean = "-" if estimate is None else f"{estimate.value:.{self.places}f}"
        if estimate is not None and estimate.n < found.expected:
            mean += f" ({estimate.n} of {found.expected})"
        cells = (
            self.dataset(found.key.dataset),
            method_title(self.config, found.key.method),
            title_of(found.key.metric),
            found.printed,
            mean,
            self.interval(estimate),
            signed(found.difference, self.places),
            self.margin(found),
            found.verdict,
            "" if found.corrected == found.verdict else found.corrected,
            found.could_tell,
            found.remark,
        )
        return SheetLine(tuple((cell,) for cell in cells), found.verdict, found.run)

    def margin(self, found: ValueVerdict) -> str:
        supports = found.against.supports
        shown = supports is not None and found.verdict != DEMO
        return f"±{supports:.{self.places}f}" if shown else ""

    def claim(self, found: ClaimVerdict) -> SheetLine:
        remarks = {one.remark: None for one in found.comparisons if one.remark}
        cells = (
            (found.claim.says,),
            (found.verdict,),
            (found.audit,),
            tuple(self.comparison(one) for one in found.comparisons) or ("-",),
            tuple(remarks) or (found.remark,),
        )
        return SheetLine(cells, found.verdict)

    def comparison(self, found: ComparisonVerdict) -> str:
        what = found.comparison
        text = f"{self.dataset(what.dataset)}, {title_of(what.metric)}: "
        names = [method_title(self.config, name) for name in (found.left, found.right) if name]
        text += f" {MINUS} ".join(names) or "no result"
        if found.measured is not None:
            places = self.places
            value = found.measured.value
            signs = isinstance(found.measured, Difference)
            number = signed(value, places) if signs else f"{value:.{places}f}"
            text += f" = {number} {self.interval(found.measured)}".rstrip()
        if found.verdict != DEMO:
            text += f", {found.verdict}"
            if found.verdict != "holds" and found.of > 1:
                text += f" ({found.beaten} of {found.of} beaten)"
        if what.stated is not None:
            text += f"; stated {what.stated}"
            if found.stated not in (None, DEMO):
                text += f": size {SIZES.get(found.stated, found.stated)}"
        return text

    def ranking(self, found: RankingVerdict) -> SheetLine:
        agreement = found.agreement
        cells = (
            self.block(found.block),
            "pairwise comparison" if found.pairwise else "ranking",
            f"{len(found.measured)} of {len(found.printed)}",
            "" if agreement is None else _minus(f"{agreement.tau:.2f}"),
            "" if agreement is None else _interval(agreement.low, agreement.high, 2),
            probability(found.p),
            found.verdict,
            self.order(found.printed),
            self.order(found.measured),
            found.remark,
        )
        return SheetLine(tuple((cell,) for cell in cells), found.verdict)

    def block(self, block: RankingBlock) -> str:
        title = self.dataset(block.dataset)
        parts = [block.group, block.column, title if title != block.column else ""]
        return ", ".join([*filter(None, parts), title_of(block.metric)])

    def order(self, methods: Iterable[str]) -> str:
        return " > ".join(method_title(self.config, name) for name in methods)

    def dataset(self, name: str) -> str:
        datasets = self.config.datasets
        return datasets[name].title if name in datasets else name

    def interval(self, found: MeanEstimate | Difference | None) -> str:
        if found is None or found.low is None or found.high is None:
            return ""
        if not found.estimable:
            return NOT_ESTIMABLE
        return _interval(found.low, found.high, self.places)


def _interval(low: float, high: float, places: int) -> str:
    return _minus(f"[{low:.{places}f}, {high:.{places}f}]")


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
