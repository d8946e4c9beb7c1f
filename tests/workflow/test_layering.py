"""The house rules that a machine can check: who may import whom, sizes, no traces of a machine.

`tests/baselines/test_layering_networks.py` has the networks' side.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

from workflow.base import source_tree
from workflow.base.architecture import ORDER
from workflow.base.source_tree import PACKAGES, SourceTree, room_of

ROOT = Path(__file__).parents[2]
# What the Snakefile imports: it has to load at once, so nothing heavy may be behind it.
DAG = (
    "workflow.base.digests",
    "workflow.base.errors",
    "workflow.base.files",
    "workflow.base.wording",
    "workflow.cluster.hooks",
    "workflow.cluster.placement",
    "workflow.config.cells",
    "workflow.config.load",
    "workflow.config.paths",
    "workflow.data.required",
    "workflow.figures.inputs",
    "workflow.figures.plots",
    "workflow.report.captions",
    "workflow.running.fingerprint",
    "workflow.running.inputs",
    "workflow.running.launch",
    "workflow.running.locks",
    "workflow.running.packs",
    "workflow.running.raw_files",
    "workflow.running.triggers",
    "workflow.status.outputs",
    "workflow.status.progress",
    "workflow.status.terminal",
)
HEAVY = {"torch", "torchvision", "timm", "segmentation_models_pytorch", "numpy", "pandas", "scipy"}
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}
MOST_MODULES = 16


TREE = SourceTree.read(ROOT)
SOURCES, TREES = TREE.files, TREE.trees


def imported(tree, only_at_import=False):
    """What a module imports, by full name; of our own modules the module, not a name in it."""
    return source_tree.imported(tree, SOURCES, only_at_import)


def behind(module):
    """Everything that is imported when a module is, with the packages around it."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name in TREES:
                waiting += imported(TREES[name], only_at_import=True)
                waiting += [name.rpartition(".")[0]] if "." in name else []
    return found


def first_party(names):
    return {name for name in names if name.partition(".")[0] in PACKAGES}


def test_the_search_sees_imports_in_functions_too():
    tree = ast.parse(
        "import torch\ndef f():\n    from workflow.data import split\n    import timm\n"
    )
    assert imported(tree) == {"torch", "workflow.data.split", "timm"}
    assert imported(tree, only_at_import=True) == {"torch"}
    assert "numpy" in behind("workflow.data.images")
    assert len(SOURCES) > 60


@pytest.mark.parametrize("module", SOURCES)
def test_imports_point_one_way(module):
    """From a room to those before it; imports inside functions count, and nothing is excepted."""
    room = room_of(module)
    for name in first_party(imported(TREES[module])):
        other = room_of(name)
        if room is None or other == room:
            continue
        assert other is None or FLOOR[other] < FLOOR[room], (module, name)


def test_every_room_has_a_place_and_nothing_stands_outside_of_rooms():
    rooms = {path.name for path in (ROOT / "workflow").iterdir() if list(path.glob("*.py"))}
    assert rooms == set(FLOOR) - {"__main__"}
    files = {path.name for path in (ROOT / "workflow").iterdir() if path.is_file()}
    assert files <= {"__init__.py", "__main__.py"}


def test_no_package_has_more_modules_than_one_overlooks():
    packages = [name for name, path in SOURCES.items() if path.name == "__init__.py"]
    for package in packages:
        if package.startswith("workflow"):
            modules = [*SOURCES[package].parent.glob("*.py")]
            assert len(modules) - 1 <= MOST_MODULES, package  # less `__init__.py`


def test_no_import_is_relative():
    assert not [name for name, tree in TREES.items() if "." in imported(tree)]


def test_there_is_no_circle_of_imports():
    """Imports inside functions count."""
    assert TREE.circles() == []


@pytest.mark.parametrize("module", DAG)
def test_the_dag_imports_nothing_heavy(module):
    assert not {name.partition(".")[0] for name in behind(module)} & HEAVY


def test_rules_import_what_loads_at_once():
    files = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    rules = "\n".join(path.read_text(encoding="utf-8") for path in files)
    lines = re.findall(r"^ *((?:from|import) .*)$", rules, re.MULTILINE)
    names = set().union(*(imported(ast.parse(line)) for line in lines))
    outside = {name.partition(".")[0] for name in names - first_party(names)}
    assert first_party(names) <= set(DAG)
    assert outside - set(sys.stdlib_module_names) <= {"snakemake"}


@pytest.mark.parametrize("room", ["data", "tables", "verdicts", "figures", "report"])
def test_data_and_reporting_steps_start_without_torch(room):
    for module in SOURCES:
        if room_of(module) == room and module != "workflow.data.images":
            assert not {name.partition(".")[0] for name in behind(module)} & {"torch", "timm"}


def test_networks_do_not_know_the_workflow():
    for module, tree in TREES.items():
        if not module.startswith("workflow"):
            assert not {name for name in imported(tree) if name.startswith("workflow")}


def test_methods_are_known_by_name_in_one_place():
    """Only configuration names baselines; code that imports one could not be told apart by it."""
    for module, tree in TREES.items():
        if module.startswith("workflow"):
            named = {name for name in imported(tree) if name.startswith(("baselines", "resformer"))}
            assert named <= {"resformer.prediction", "resformer.trained"}, module


@pytest.mark.parametrize("module", SOURCES)
def test_prints_are_in_command_lines_only(module):
    tree = TREES[module]
    main = [node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.dump(node)]
    allowed = {id(node) for branch in main for node in ast.walk(branch)}
    calls = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and id(node) not in allowed
    ]
    assert not calls


@pytest.mark.parametrize("module", SOURCES)
def test_modules_and_functions_are_short(module):
    assert len(SOURCES[module].read_text(encoding="utf-8").splitlines()) <= 400
    functions = [
        (node.name, node.end_lineno - node.lineno + 1)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not [(name, lines) for name, lines in functions if lines > 80]


def public(tree):
    """Public classes, functions and methods, not those inside functions."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_"):
                yield node
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from public(node)


@pytest.mark.parametrize("module", SOURCES)
def test_modules_and_what_is_public_in_them_are_documented(module):
    assert ast.get_docstring(TREES[module]) is not None
    assert not [node.name for node in public(TREES[module]) if ast.get_docstring(node) is None]


def test_every_class_name_is_used_once():
    """So that a name in a message or a trace says which class it is; private ones count too."""
    found: dict[str, list[str]] = {}
    for module, tree in SourceTree.read(ROOT, (*PACKAGES, "benchmarks")).trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module)
    assert len(found) > 300
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


@pytest.mark.parametrize("module", SOURCES)
def test_no_exception_is_swallowed(module):
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in line {node.lineno}"
            silent = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            assert not silent, f"swallowed in line {node.lineno}"


def texts():
    """Every text file that belongs to the project, wherever it runs; neither caches nor results."""
    made = {"results", ".git", ".venv", ".snakemake", ".hypothesis"}
    tops = [
        path
        for path in ROOT.iterdir()
        if path.name not in made and not path.name.endswith("_cache")
    ]
    for top in tops:
        for path in [top] if top.is_file() else top.rglob("*"):
            binary = path.suffix in {".pyc", ".png", ".webp", ".jpg", ".pdf", ".zip", ".npy"}
            if path.is_file() and not binary:
                yield path, path.read_text(encoding="utf-8")


def test_no_text_names_a_folder_of_somebodys_machine():
    homes = "|".join(("home", "root", "Users", "work"))
    absolute = re.compile(rf"(?<![\w.~:/$}}<>-])/(?:{homes})/[\w.-]+")
    found = [
        f"{file.relative_to(ROOT)}: {match}"
        for file, text in texts()
        for match in absolute.findall(text)
    ]
    assert not found
    assert absolute.search(" /" + "home/someone") is not None
