"""ARCHITECTURE.md, the page that says where everything is and why.

It is made from the packages' docstrings, the rules, and the imports as they are;
`resformer architecture` writes it, and a test fails where it is out of date.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workflow.base.source_tree import SourceTree, room_of

ROOT = Path(__file__).parents[2]
PAGE = "ARCHITECTURE.md"
WIDTH = 100
# The rooms in the order in which data goes: each may import from those before it alone.
ORDER = (
    ("base",),
    ("config",),
    ("running",),
    ("networks",),
    ("methods", "data"),
    ("metrics",),
    ("training",),
    ("evaluation",),
    ("results",),
    ("audit",),
    ("tables",),
    ("verdicts",),
    ("figures",),
    ("report",),
    ("prediction", "comparison"),
    ("planning",),
    ("status",),
    ("cluster",),
    ("commands",),
    ("__main__",),  # the front door, which stands outside of rooms
)
# Packages beside the rooms.
LIBRARIES = ("resformer", "baselines")

# Files are at the stations, and the rooms that make them at the arrows.
PICTURE = """\
config.yaml, a preset, the command line
    │
    │  config       one checked object, which every room below reads
    ▼
raw files           the user's, downloaded, or painted (data/phantom)
    │
    │  data         list, inventory, split, resize, gates
    ▼
images.npy, masks.npy                   resformer/, baselines/
    │                                        │
    │                ┌───────  networks  ────┘
    │  training  ◄───┘  one run for each data set, method and seed
    ▼
weights.safetensors, history.csv, run.json
    │
    │  evaluation   each network once over the test images
    ▼
counts.parquet, masks.npz               the paper's printed numbers
    │                                        │
    │  metrics      by seed, with intervals  │  audit    are they possible?
    ▼                                        │
results  ◄───────────────────────────────────┘
    │
    ├────────────────────┬─────────────────────┐
    │  tables            │  verdicts           │  figures
    ▼                    ▼                     ▼
table_VI.html        claims.md             figure_5.png
    │                    │                     │
    └────────────────────┴──────────┬──────────┘
                                    │  report
                                    ▼
                               index.html
"""


class Station(NamedTuple):
    """A file that a number goes through, and what becomes of it there."""

    file: str
    what: str


# A number's way. From `saved.py` on, each file rests on the one before it.
NUMBER = (
    Station(
        "workflow/evaluation/evaluate.py",
        "runs the network over the test images and counts, image by image, into `counts.parquet`",
    ),
    Station("workflow/metrics/saved.py", "reads the counts back, as arrays of images and classes"),
    Station("workflow/metrics/metrics.py", "makes metrics of them, one for each seed"),
    Station("workflow/results/read.py", "adds the mean over seeds and its interval"),
    Station(
        "workflow/tables/build.py",
        "finds the cell, with the printed number beside it and the tests against other methods",
    ),
    Station("workflow/tables/make.py", "writes the table in five formats"),
    Station("workflow/report/site.py", "shows it on a page, where each number leads to its runs"),
)


class PlannedChange(NamedTuple):
    """Something that one may want to change, and the files to touch; tests are left out.

    Attributes:
        what: the change in a few words.
        files: files of the repository, or folders for a new file in them.
        how: what to write there.
    """

    what: str
    files: tuple[str, ...]
    how: str


CHANGES = (
    PlannedChange(
        "a metric",
        ("workflow/config/metrics.py", "config.yaml"),
        "an entry of `METRICS`, which is enough for a share of counts, and a function in "
        "`workflow/metrics/metrics.py` for any other; the tables that show it",
    ),
    PlannedChange(
        "an optimiser",
        ("workflow/config/training.py", "workflow/training/optimisers.py"),
        "an entry of `OPTIMIZERS`; how it is made of parameters",
    ),
    PlannedChange(
        "a data source",
        ("workflow/data/sources/", "config.yaml"),
        "a file with all about it, as `source.py` there says; its data sets. "
        "A folder of your own needs its entry alone: see docs/data.md",
    ),
    PlannedChange(
        "a page of the report",
        ("workflow/report/navigation.py", "workflow/report/templates/"),
        "an entry of `PAGES`; a template",
    ),
    PlannedChange("a table", ("config.yaml",), "an entry of `tables`"),
    PlannedChange(
        "a method",
        ("baselines/", "config.yaml"),
        "a module with `build()`; an entry of `methods`: see docs/adding-a-method.md",
    ),
)


def architecture(tree: SourceTree) -> str:
    """The page, as Markdown.

    Args:
        tree: the source tree, which has every room of `ORDER`.
    """
    paragraphs = [
        "# Architecture",
        _filled(
            "Five minutes, from the top: the way of the data in one picture, the rooms in that "
            "order, who may import whom, and what to touch for a change. This page is written by "
            "`resformer architecture` from the packages' docstrings, the rules and "
            "the imports as they are; a test holds it to the code."
        ),
        "## The way of the data",
        f"```\n{PICTURE}```",
        _filled(
            f"`running` starts every step and knows a result again by a hash; `base` carries files "
            f"and errors. Around the way, and never imported by it: {_around()}. Snakemake ties "
            "the steps together: `Snakefile` includes `workflow/rules/`, where a rule is inputs, "
            "outputs, resources and one command."
        ),
        "\n".join(_rules(tree.root)),
        "### Follow one number",
        "\n".join(f"{n}. {_link(at.file)} {at.what}" for n, at in enumerate(NUMBER, 1)),
        "## The rooms",
        "Each in `workflow/`, in the order in which data goes; the last two stand beside it.",
        *_rooms(tree),
        "## Who imports whom",
        _filled(
            "A room imports from those above it alone. There is no exception and no circle, and an "
            "import inside a function counts (`tests/workflow/test_layering.py`). Below are the "
            "imports as they are: a row imports from the rooms whose numbers are in it."
        ),
        f"```\n{_matrix(tree)}\n```",
        _filled(
            "`resformer` and `baselines` import nothing of `workflow`, and `workflow` names none "
            "of their networks: `config.yaml` does. A result is known again by the code that it "
            "rests on, so what is in `base`, `config` and `running` can change without training "
            "anything anew (`NOT_HASHED` in `workflow/running/fingerprint.py`)."
        ),
        "## Where to change what",
        _changes(),
        "Tests mirror the tree: `workflow/tables/` is tested in `tests/workflow/tables/`.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _around() -> str:
    """The rooms that are no station of the picture and carry nothing."""
    words = set(re.findall(r"\w+", PICTURE)) | {"base", "running", "methods"}
    return ", ".join(f"`{name}`" for name in _names() if name not in words)


def _names() -> list[str]:
    """The rooms that are packages."""
    return [name for names in ORDER for name in names if not name.startswith("_")]


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _link(file: str, shown: str | None = None) -> str:
    return f"[`{shown or file.removeprefix('workflow/')}`]({file})"


def _rules(root: Path) -> Iterator[str]:
    """A table of the modules that rules run, in the order of the Snakefile."""
    by_module: dict[str, list[str]] = {}
    for name, module in rules_of(root):
        by_module.setdefault(module, []).append(name)
    yield from ("| what runs | for the rules |", "|---|---|")
    for module, names in by_module.items():
        file = next(file for file in _files_of(module) if (root / file).is_file())
        rules = ", ".join(f"`{name}`" for name in dict.fromkeys(names))
        yield f"| {_link(file)} | {rules} |"


def _files_of(module: str) -> tuple[str, str]:
    """The files that `python -m` may run for a module or a package."""
    stem = module.replace(".", "/")
    return f"{stem}.py", f"{stem}/__main__.py"


def rules_of(root: Path) -> Iterator[tuple[str, str]]:
    """Rule -> the module that its command runs, in the order of the Snakefile.

    Rules that are made in a loop, one for each table or seed, are named by what they begin with.
    """
    snakefile = (root / "Snakefile").read_text(encoding="utf-8")
    for included in re.findall(r'^include: "(.+)"$', snakefile, re.MULTILINE):
        text = (root / included).read_text(encoding="utf-8")
        parts = re.split(r"^ *rule ?(\w*):$", text, flags=re.MULTILINE)
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            looped = re.search(r'name:\s+f?"(\w+?)_?[{"]', body)
            command = re.search(
                r"python -m (?:workflow\.running\.launch )?(workflow(?:\.\w+)*)", body
            )
            if command:
                yield name or (looped[1] if looped else ""), command[1]


def _rooms(tree: SourceTree) -> Iterator[str]:
    """A paragraph for each room, with the packages in it below."""
    for name in [*(f"workflow.{name}" for name in _names()), *LIBRARIES]:
        yield _filled(f"**{_room_link(name)}.** {_said(tree, name)}")
        inner = [one for one in sorted(tree.packages) if one.startswith(f"{name}.")]
        if inner:
            yield "\n".join(
                textwrap.fill(
                    f"- **{_room_link(one)}.** {_said(tree, one)}",
                    WIDTH,
                    subsequent_indent="  ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                for one in inner
            )


def _room_link(package: str) -> str:
    folder = package.replace(".", "/")
    return f"[{folder.removeprefix('workflow/')}]({folder}/)"


def _said(tree: SourceTree, package: str) -> str:
    """A package's docstring in one paragraph, in which the file to open first is a link."""
    text = " ".join(tree.docstring(package).split())
    for name in first_files(text):
        if file := file_of(tree.root, package, name):
            text = text.replace(f"`{name}`", _link(file, name), 1)
    return text


def first_files(docstring: str) -> list[str]:
    """The files that a docstring says to open first: those of the sentence that says so."""
    sentence = re.search(r"\bOpen\s.*", " ".join(docstring.split()))
    return re.findall(r"`?([\w/]+\.(?:py|md))\b", sentence[0]) if sentence else []


def file_of(root: Path, package: str, name: str) -> str | None:
    """The path of a file that a package's docstring names: in it, in a room, or at the root."""
    folder = package.replace(".", "/")
    found = (f"{folder}/{name}", f"workflow/{name}", name)
    return next((file for file in found if (root / file).is_file()), None)


def rests_on(tree: SourceTree) -> dict[str, list[str]]:
    """Room -> the rooms that it imports from, in their order; imports in functions count."""
    names = _names()
    found: dict[str, set[str | None]] = {name: set() for name in names}
    for module in tree.files:
        if (room := room_of(module)) in found:
            found[room] |= {room_of(other) for other in tree.own_imports(module)}
    return {name: [one for one in names if one in found[name] - {name}] for name in names}


def _matrix(tree: SourceTree) -> str:
    """The rooms in their order, each with the numbers of those that it imports from."""
    names, found = _names(), rests_on(tree)
    width = max(map(len, names))
    lines = []
    for number, name in enumerate(names, 1):
        marks = (f"{n:>3}" if one in found[name] else "  ·" for n, one in enumerate(names, 1))
        lines.append(f"{number:>2} {name:<{width}} {''.join(list(marks)[: number - 1])}".rstrip())
    return "\n".join(lines)


def _changes() -> str:
    rows = ["| to add or change | files | what to write |", "|---|---|---|"]
    for change in CHANGES:
        files = ", ".join(_link(file, file) for file in change.files)
        rows.append(f"| {change.what} | {len(change.files)}: {files} | {change.how} |")
    return "\n".join(rows)
