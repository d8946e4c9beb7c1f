"""A table as LaTeX: compiles with pdflatex once wrapped in a document that loads PACKAGES."""

from collections.abc import Sequence

from workflow.base.plain import plain
from workflow.tables import standings
from workflow.tables.content import ReportTable
from workflow.tables.text import (
    ALIKE,
    MINUS,
    LaidRow,
    Shown,
    footnotes,
    lay_out,
    marked,
    show,
)

PACKAGES = ("booktabs", "xcolor", "graphicx")
# So many lines of standings go on one page, below a caption and above notes; a block's heading and
# the rule above it take two.
LINES_ON_A_PAGE = 60
# Letters in a heading of the standings that stays in one line.
LONGEST_HEADING = 20
# What pdflatex has no letter for, beyond these, is written as its number.
_LETTERS = 0x17F
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row, a bare bracket or star would be read as its option
    "*": "{*}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "τ": r"$\tau$",
    "≥": r"$\geq$",
    ALIKE: r"$\approx$",
    MINUS: "$-$",
}


def to_latex(table: ReportTable) -> str:
    """A `table*` whose rows have the printed values, small and grey, below this run's.

    Below it come the standings, as `table*` of their own. What is wider than the text is scaled.
    """
    lines = [rf"% \usepackage{{{','.join(PACKAGES)}}}"]
    body = [*_header(table), r"\midrule"]
    for index, laid in enumerate(lay_out(table)):
        body += _group(laid, table, first=index == 0) + _row(laid, table)
    columns = "l" * len(table.stub) + "c" * (table.width - len(table.stub))
    caption = rf"{escape(table.caption)}{_notices(table)}"
    notes = " ".join([*_marks(table), *(escape(note) for note in footnotes(table))])
    lines += _float(table, caption, r"\footnotesize", columns, body, notes)
    return "\n".join([*lines, *_standings(table), ""])


def escape(text: str) -> str:
    """Text in which LaTeX sees no command; line breaks become spaces."""
    return "".join(_escaped(character) for character in plain(" ".join(text.split())))


def _escaped(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    return character if ord(character) <= _LETTERS else f"U+{ord(character):04X}"


def _float(
    table: ReportTable, caption: str, size: str, columns: str, body: Sequence[str], notes: str
) -> list[str]:
    return [
        r"\begin{table*}",
        r"\centering",
        rf"\renewcommand{{\thetable}}{{{escape(table.key)}}}",
        rf"\caption{{{caption}}}",
        rf"\par\smallskip{size}",
        r"\setlength{\tabcolsep}{3pt}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        *([rf"\par\smallskip {notes}"] if notes else []),
        r"\end{table*}",
    ]


def _notices(table: ReportTable) -> str:
    return "".join(rf" \textbf{{{escape(notice)}.}}" for notice in table.notices)


def _marks(table: ReportTable) -> list[str]:
    if not marked(table):
        return []
    if table.mark == "bold":
        return [r"Best in \textbf{bold}."]
    return [r"Best in \textcolor{red}{red}, second best in \textcolor{blue}{blue}."]


def _header(table: ReportTable) -> list[str]:
    titles = [escape(column) for span in table.spans for column in span.columns]
    stub = [escape(title) for title in table.stub]
    if not any(span.title for span in table.spans):
        return [_line([*stub, *titles])]
    groups, rules, column = list(stub), [], len(stub) + 1
    for span in table.spans:
        last = column + len(span.columns) - 1
        groups.append(rf"\multicolumn{{{len(span.columns)}}}{{c}}{{{escape(span.title)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{last}}}")
        column = last + 1
    return [_line(groups), "".join(rules), _line([*[""] * len(stub), *titles])]


def _group(laid: LaidRow, table: ReportTable, first: bool) -> list[str]:
    return _heading(laid.group, table.width, first) if laid.group else []


def _heading(title: str, width: int, first: bool) -> list[str]:
    rule = [] if first else [r"\midrule"]
    return [*rule, _line([rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(title)}}}}}"])]


def _row(laid: LaidRow, table: ReportTable) -> list[str]:
    cells = [show(cell, table) for cell in laid.row.cells]
    stub = [escape(laid.title) if laid.span else "", *map(escape, laid.row.stub)]
    lines = [_line([*stub, *(_this_run(words, table) for words in cells)])]
    if any(words.printed or words.remark for words in cells):
        lines.append(_line([*[""] * len(stub), *(_below(words) for words in cells)]))
    return [*lines, r"\addlinespace[2pt]"]


def _this_run(words: Shown, table: ReportTable) -> str:
    text = escape(words.text)
    if words.mark == "best":
        text = rf"\textcolor{{red}}{{{text}}}" if table.mark == "color" else rf"\textbf{{{text}}}"
    elif words.mark == "second":
        text = rf"\textcolor{{blue}}{{{text}}}"
    if words.spread:
        text += rf"\,{{\scriptsize$\pm$\,{words.spread}}}"
    if words.alike:
        text += r"$^{\approx}$"
    if words.place:
        text += rf"\,{{\scriptsize({words.place})}}"
    return text


def _below(words: Shown) -> str:
    printed = rf"\textcolor{{gray}}{{[{escape(words.printed)}]}}" if words.printed else ""
    remark = f"({escape(words.remark)})" if words.remark else ""
    text = " ".join(part for part in (printed, remark) if part)
    return rf"{{\scriptsize {text}}}" if text else ""


def _standings(table: ReportTable) -> list[str]:
    """As many floats as the standings fill pages; a block stays whole."""
    headings, lines = standings.headings(table), []
    head = _line(["Method", *map(_stacked, headings)])
    pages: list[list[standings.StandingsBlock]] = []
    left = 0
    for block in standings.blocks(table):
        needed = len(block.lines) + 2
        if needed > left:
            pages.append([])
            left = LINES_ON_A_PAGE
        pages[-1].append(block)
        left -= needed
    for number, page in enumerate(pages, start=1):
        part = f" ({number} of {len(pages)})" if len(pages) > 1 else ""
        caption = f"Intervals and tests{part}.{_notices(table)}"
        notes = " ".join(map(escape, standings.notes(table))) if number == len(pages) else ""
        body = [head, r"\midrule"]
        for index, block in enumerate(page):
            body += _heading(block.title, len(headings) + 1, first=index == 0)
            body += [_line([escape(line.title), *map(escape, line.texts)]) for line in block.lines]
        lines += _float(table, caption, r"\scriptsize", "l" + "c" * len(headings), body, notes)
    return lines


def _stacked(heading: str) -> str:
    """A long heading in two lines, broken near its middle, so that it does not widen the table."""
    middle = len(heading) / 2
    breaks = [at for at, letter in enumerate(heading) if letter == " "]
    if len(heading) <= LONGEST_HEADING or not breaks:
        return escape(heading)
    at = min(breaks, key=lambda place: abs(place - middle))
    return rf"\shortstack{{{escape(heading[:at])} \\ {escape(heading[at + 1 :])}}}"


def _line(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
