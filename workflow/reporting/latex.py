"""A table as LaTeX, for booktabs and xcolor: compiles with pdflatex once wrapped in a document."""

from workflow.reporting.table_text import MINUS, LaidRow, Shown, footnotes, lay_out, marked, show
from workflow.reporting.tables import ReportTable

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
    MINUS: "$-$",
}


def to_latex(table: ReportTable) -> str:
    """A `table*` whose rows have the printed values, small and grey, below ours."""
    notices = "".join(rf" \textbf{{{escape(notice)}.}}" for notice in table.notices)
    notes = [*_marks(table), *(escape(note) for note in footnotes(table))]
    lines = [
        r"% \usepackage{booktabs,xcolor}",
        r"\begin{table*}",
        r"\centering",
        rf"\renewcommand{{\thetable}}{{{escape(table.key)}}}",
        rf"\caption{{{escape(table.caption)}{notices}}}",
        r"\par\smallskip\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{{'l' * len(table.stub)}{'c' * (table.width - len(table.stub))}}}",
        r"\toprule",
        *_header(table),
        r"\midrule",
    ]
    for index, laid in enumerate(lay_out(table)):
        lines += _group(laid, table, first=index == 0) + _row(laid, table)
    return "\n".join(
        [
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\par\smallskip {' '.join(notes)}",
            r"\end{table*}",
            "",
        ]
    )


def _marks(table: ReportTable) -> list[str]:
    if not marked(table):
        return []
    if table.mark == "bold":
        return [r"Best in \textbf{bold}."]
    return [r"Best in \textcolor{red}{red}, second best in \textcolor{blue}{blue}."]


def escape(text: str) -> str:
    """Text in which LaTeX sees no command; line breaks become spaces."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


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
    if not laid.group:
        return []
    rule = [] if first else [r"\midrule"]
    heading = rf"\textit{{{escape(laid.group)}}}"
    return [*rule, _line([rf"\multicolumn{{{table.width}}}{{l}}{{{heading}}}"])]


def _row(laid: LaidRow, table: ReportTable) -> list[str]:
    cells = [show(cell, table) for cell in laid.row.cells]
    stub = [escape(laid.title) if laid.span else "", *map(escape, laid.row.stub)]
    lines = [_line([*stub, *(_ours(words, table) for words in cells)])]
    if any(words.printed or words.remark for words in cells):
        lines.append(_line([*[""] * len(stub), *(_below(words) for words in cells)]))
    return [*lines, r"\addlinespace[2pt]"]


def _ours(words: Shown, table: ReportTable) -> str:
    text = escape(words.text)
    if words.mark == "best":
        text = rf"\textcolor{{red}}{{{text}}}" if table.mark == "color" else rf"\textbf{{{text}}}"
    elif words.mark == "second":
        text = rf"\textcolor{{blue}}{{{text}}}"
    if words.spread:
        text += rf"\,{{\scriptsize$\pm$\,{words.spread}}}"
    return text


def _below(words: Shown) -> str:
    printed = rf"\textcolor{{gray}}{{[{escape(words.printed)}]}}" if words.printed else ""
    remark = f"({escape(words.remark)})" if words.remark else ""
    text = " ".join(part for part in (printed, remark) if part)
    return rf"{{\scriptsize {text}}}" if text else ""


def _line(cells: list[str]) -> str:
    return rf"{' & '.join(cells)} \\"
