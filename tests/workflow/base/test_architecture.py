"""ARCHITECTURE.md is what the code says, and the packages say what a newcomer asks."""

import itertools
import re

import pytest

from tests.workflow.base.small_tree import tree
from tests.workflow.config.config_changes import changed
from tests.workspace import ROOT
from workflow.__main__ import main
from workflow.base import architecture
from workflow.base.architecture import CHANGES, NUMBER, ORDER, PAGE, PICTURE
from workflow.base.source_tree import SourceTree
from workflow.config import paths

TREE = SourceTree.read(ROOT)
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    assert architecture.architecture(TREE) == TEXT, "run `resformer architecture`"


def test_the_command_writes_the_page_or_says_that_it_is_out_of_date(tmp_path, monkeypatch, capsys):
    page = tmp_path / "PAGE.md"
    monkeypatch.setattr(architecture, "PAGE", page)
    assert main(["architecture", "--check"]) == 1
    assert not page.exists()
    assert main(["architecture"]) == 0
    assert page.read_text(encoding="utf-8") == TEXT
    assert main(["architecture", "--check"]) == 0
    said = [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == ["out of date; `resformer architecture` writes it", "written", "up to date"]


@pytest.mark.parametrize("package", TREE.packages)
def test_a_package_says_what_goes_in_what_comes_out_and_which_file_to_open(package):
    said = " ".join(TREE.docstring(package).split())
    summary = TREE.docstring(package).split("\n\n")[0]
    assert re.search(r"\bIn goe?s? ", said)
    assert re.search(r"\bout comes? ", said)
    assert summary.endswith(".")
    assert "``" not in said
    files = architecture.first_files(said)
    assert files
    for name in files:
        assert architecture.file_of(ROOT, package, name), name


def test_every_link_of_the_page_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) > 60
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_page_names_every_package_and_every_rule():
    for package in TREE.packages:
        folder = package.replace(".", "/")
        assert package == "workflow" or f"]({folder}/)" in TEXT
    rules = [file.read_text() for file in (ROOT / "workflow" / "rules").glob("*.smk")]
    names = {name for text in rules for name in re.findall(r"^rule (\w+):", text, re.MULTILINE)}
    named = {name for name, _ in architecture.rules_of(ROOT)}
    assert names <= named
    assert {"train", "pretrain", "evaluate", "control", "table", "figure", "plot"} <= named
    assert "" not in named


def test_the_picture_has_the_files_that_the_code_writes():
    code = "".join(file.read_text() for file in (ROOT / "workflow").rglob("*.py"))
    config = changed({})
    made = {paths.table(config, "VI", "html").name, paths.figure(config, "5", "png").name}
    files = set(re.findall(r"\b\w+\.(?:npy|npz|safetensors|csv|json|parquet|md|html|png)", PICTURE))
    assert len(files) >= 11
    for file in files - made - {"claims.md"}:
        assert file in code
    assert made <= files
    assert '"claims"' in (ROOT / "workflow" / "status" / "outputs.py").read_text()


def test_the_picture_has_the_rooms_of_the_way_in_their_order():
    way = ["config", "data", "training", "evaluation", "tables", "verdicts", "figures", "report"]
    places = [PICTURE.index(f"│  {room}") for room in way]
    assert places == sorted(places)
    floors = [next(n for n, rooms in enumerate(ORDER) if room in rooms) for room in way]
    assert floors == sorted(floors)


def test_a_number_goes_through_files_that_rest_on_each_other():
    files = [station.file.removesuffix(".py").replace("/", ".") for station in NUMBER]
    assert files[0] in TREE.files
    for earlier, later in itertools.pairwise(files[1:]):
        assert earlier in behind(later), (earlier, later)


def behind(module):
    found, waiting = set(), [module]
    while waiting:
        for name in TREE.own_imports(waiting.pop()) - found:
            found.add(name)
            waiting.append(name)
    return found


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.what)
def test_what_a_change_touches_is_there(change):
    for file in change.files:
        assert (ROOT / file).is_dir() == file.endswith("/")
        assert (ROOT / file).exists()
    for document in re.findall(r"docs/[\w-]+\.md", change.how):
        assert (ROOT / document).is_file()


def test_rooms_are_numbered_with_what_they_import_from(tmp_path):
    found = tree(
        tmp_path,
        {
            "workflow/base/__init__.py": "",
            "workflow/base/files.py": "",
            "workflow/config/load.py": "from workflow.base import files",
            "workflow/tables/make.py": "def f():\n    from workflow.config.load import x",
        },
    )
    rests = architecture.rests_on(found)
    assert rests["config"] == ["base"]
    assert rests["tables"] == ["config"]
    assert rests["base"] == []


def test_the_file_to_open_is_that_of_the_sentence_that_says_so():
    said = "In goes `x.py`; out comes `y.csv`. Open `make.py` first; `a/b.py` has more."
    assert architecture.first_files(said) == ["make.py", "a/b.py"]
    assert architecture.first_files("In goes a thing.") == []


def test_rules_in_a_loop_are_named_by_what_they_begin_with(tmp_path):
    (tmp_path / "Snakefile").write_text('include: "a.smk"\n')
    (tmp_path / "a.smk").write_text(
        'rule one:\n    shell:\n        "python -m workflow.data.make one"\n'
        'for k in x:\n    rule:\n        name:\n            f"table_{k}"\n'
        '        shell:\n            "python -m workflow.running.launch workflow.tables.make"\n'
    )
    assert list(architecture.rules_of(tmp_path)) == [
        ("one", "workflow.data.make"),
        ("table", "workflow.tables.make"),
    ]
