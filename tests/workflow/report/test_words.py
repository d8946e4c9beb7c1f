"""The words that a reader sees: the field's terms, one meaning each, and none that came before."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow.config.load import load_config
from workflow.results.families import FAMILIES

ROOT = Path(__file__).parents[3]
# The rooms whose texts are on pages, in tables, in figures and in the terminal.
ROOMS = ("audit", "figures", "metrics", "report", "results", "status", "tables", "verdicts")
# Said before, and what is said now.
BANNED = {
    r"\bours\b": "this run, or ResFormer (sequential)",
    r"\bour (run|mean|means|order|results|interval|method)\b": "this run's, or ResFormer",
    r"\b(told|tells?( \w+){0,3}) apart": "significantly different",
    r"\bless (the|its|it|part|printed)\b": "minus",
    r"not resolvable with": "no significant differences",
    r"\bdetectable\b(?<!smallest detectable)": "smallest detectable difference",
    r"no cheaper (one|method) equals": "Pareto front",
    r"conventions of averaging": "averaging conventions",
    r"rules of decision": "decision thresholds",
    r"of a class or more": "of a lesion or label",
    r"slips? of the hand": "typo",
    r"\bwould do\b": "is consistent",
    r"any or none": "all",
    r"\bmend(s|ed)?\b": "fix",
}
# What no reader sees: names of parts of pages, which begin with a dot or stand in a selector.
UNSEEN = re.compile(r"\.(of-)?ours\b|class=\"(of-)?ours\"")
PARETO = "the Pareto front: the methods that no cheaper method equals"


def literals(source: str) -> Iterator[str]:
    """The texts in a module, docstrings aside."""
    tree = ast.parse(source)
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in documents:
            yield text


def seen(file: Path) -> Iterator[str]:
    """What a file may show to a reader: a module's texts, a page's or script's without comments."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        yield from literals(text)
        return
    text = re.sub(r"\{#.*?#\}|/\*.*?\*/", "", text, flags=re.DOTALL)
    lines = (line for line in text.splitlines() if not line.strip().startswith(("//", "#")))
    yield " ".join(" ".join(lines).split())


def files() -> list[Path]:
    found = [
        file
        for room in ROOMS
        for file in (ROOT / "workflow" / room).rglob("*")
        if file.suffix in (".py", ".html", ".js", ".css", ".yaml")
    ]
    return sorted(found)


def faults(text: str) -> list[str]:
    text = UNSEEN.sub("", text).replace(PARETO, "")
    return [said for said in BANNED if re.search(said, text, re.IGNORECASE)]


def test_no_reader_sees_the_words_of_before():
    scanned = {file: list(seen(file)) for file in files()}
    assert len(scanned) > 80
    wrong = {
        f"{file.relative_to(ROOT)}: {text[:80]}": faults(text)
        for file, texts in scanned.items()
        for text in texts
        if faults(text)
    }
    assert not wrong, "\n".join(f"{place}: {said}" for place, said in wrong.items())


@pytest.mark.parametrize(
    "text",
    [
        "Ours",
        "ours less the printed value",
        "In 3 of 24 columns the tests tell any two methods apart",
        "not told apart from the best",
        "Detectable",
        "98.4 to 98.8 would do",
        "82.3 is one slip of the hand away",
        "The line joins the methods that no cheaper method equals.",
    ],
)
def test_the_words_are_found(text):
    assert faults(text)
    assert faults(next(literals(f'"""A module."""\nx = {text!r}')))
    assert not list(literals(f'"""{text}"""'))


def test_the_paper_s_network_has_its_name_and_tables_the_paper_s_rows():
    config = load_config(overrides={"preset": "paper"})
    titles = {key: method.title for key, method in config.methods.items()}
    resformer = {key: title for key, title in titles.items() if key.startswith("resformer_")}
    assert len(resformer) == 10
    assert all(title.startswith("ResFormer (") for title in resformer.values())
    assert (titles["resformer_seq"], titles["resformer_par"]) == (
        "ResFormer (sequential)",
        "ResFormer (parallel)",
    )
    assert not any("ours" in family.name.lower() for family in FAMILIES)
    # "Ours" is a title of the paper's own rows, and of nothing else.
    for line in (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines():
        if re.search(r"\bours\b", line, re.IGNORECASE):
            assert re.search(r"\{title: Ours - |caption: .* between ours and STL", line), line
