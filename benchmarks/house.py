"""How a source tree is laid out, by numbers: `python -m benchmarks.house [ROOT] [options]`.

ROOT is a checkout of this project, this one by default, or one from before the rooms were redrawn;
both are measured in the same way, and no code of another checkout is imported here:
  packages      and the modules that are directly in each
  lines         of Python by room, and of rules
  exceptions    imports that break the order which the tree itself states, imports in functions too
  circles       of modules that import each other, imports in functions too
  commands      modules that run as programs, those of them that use argparse, and the modules
                behind one front door (with `add_arguments` and `run`)
  a number      modules whose functions run from reading saved counts to the end of a table; it
                needs results of a preset in ROOT, and says so where there are none
Example: `python -m benchmarks.house ../before --preset smoke --table VI`.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow.base.source_tree import PACKAGES, SourceTree

HERE = Path(__file__).parents[1]
TRACER = Path(__file__).with_name("number_path.py")
# Where a tree states its order: the rooms in order, or which room may import from which.
STATED_IN = ("workflow/base/architecture.py", "tests/workflow/test_layering.py")
# Beside the packages, for the lines in all.
OTHER_CODE = ("tests", "benchmarks")


class Arrow(NamedTuple):
    """An import of a module by another."""

    importer: str
    imported: str


def room(module: str) -> str:
    """The package of the second level that a module is in, or of the first if it is in none."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else parts[0]


def rooms_of(tree: SourceTree) -> dict[str, list[str]]:
    """Room -> its modules, with those of the packages in it and the packages themselves."""
    found: dict[str, list[str]] = {}
    for module in tree.files:
        own = module if module in tree.packages else module.rpartition(".")[0]
        found.setdefault(room(f"{own}.x"), []).append(module)
    return found


def lines(file: Path) -> int:
    """The lines of a text file."""
    return len(file.read_text(encoding="utf-8").splitlines())


def literal(file: Path, name: str) -> Any:
    """The plain value that a file assigns to a name; None if it does not."""
    if not file.is_file():
        return None
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == name and isinstance(node, ast.Assign):
            return ast.literal_eval(node.value)
    return None


def exceptions(tree: SourceTree) -> list[Arrow] | None:
    """The imports that break the order which a tree states; None if it states none."""
    for name in STATED_IN:
        if order := literal(tree.root / name, "ORDER"):
            return list(against_order(tree, order))
        if allowed := literal(tree.root / name, "ROOMS"):
            return list(against_list(tree, allowed))
    return None


def against_order(tree: SourceTree, order: Sequence[Sequence[str]]) -> Iterator[Arrow]:
    """Imports between rooms of `workflow` that do not go to an earlier floor.

    Args:
        tree: the modules.
        order: the rooms of each floor, the first floor first.
    """
    floors = {f"workflow.{name}": floor for floor, names in enumerate(order) for name in names}
    for module in tree.files:
        for name in sorted(tree.own_imports(module)):
            here, there = (".".join(part.split(".")[:2]) for part in (module, name))
            known = here != there and here in floors and there in floors
            if known and floors[there] >= floors[here]:
                yield Arrow(module, name)


def against_list(tree: SourceTree, allowed: Mapping[str, set[str]]) -> Iterator[Arrow]:
    """Imports from a room that is not on the importing room's list.

    Args:
        tree: the modules.
        allowed: room -> the rooms it may import from, itself aside; a module is in the room with
            the longest name that its own name begins with.
    """

    def of(module: str) -> str:
        return max((name for name in allowed if f"{module}.".startswith(f"{name}.")), key=len)

    for module in tree.files:
        for name in sorted(tree.own_imports(module)):
            if of(name) not in allowed[of(module)] | {of(module)} and name != "workflow":
                yield Arrow(module, name)


def programs(tree: SourceTree) -> tuple[list[str], list[str]]:
    """The modules that do something when they are run, and those of them that use argparse."""
    run = [name for name in tree.files if _runs(tree.trees[name])]
    return run, [name for name in run if "argparse" in tree.imports(name)]


def _runs(tree: ast.Module) -> bool:
    tests = (node.test for node in tree.body if isinstance(node, ast.If))
    return any("__main__" in ast.dump(test) for test in tests)


def behind_one_door(tree: SourceTree) -> list[str]:
    """The modules that a front door can call: it gives them a parser, and then the options."""
    return [
        name
        for name, text in tree.trees.items()
        if {"add_arguments", "run"}
        <= {node.name for node in text.body if isinstance(node, ast.FunctionDef)}
    ]


def number_path(root: Path, preset: str, table: str) -> list[str] | str:
    """The modules that a number of a table crosses, or why that cannot be said.

    The table is made by the code at `root`, in a scratch folder that stands for it, so that
    nothing there is written.
    """
    results = root / "results" / preset
    if not (results / "config.json").is_file():
        return f"no results of preset {preset} below {root.name}"
    with tempfile.TemporaryDirectory(prefix="house-") as scratch:
        _stand_in(Path(scratch), root, results)
        done = subprocess.run(
            # -P: the folder of the script has modules that are called as some of Python's own.
            [sys.executable, "-P", str(TRACER), str(root), f"results/{preset}/config.json", table],
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
    crossed = json.loads(done.stdout)
    return [name for name in crossed if name.partition(".")[0] in PACKAGES and _is_file(root, name)]


def _is_file(root: Path, module: str) -> bool:
    """Whether it is Python: templates are functions too, of a file that is none."""
    stem = root / module.replace(".", "/")
    return stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file()


def _stand_in(scratch: Path, root: Path, results: Path) -> None:
    """Links to all of a tree but to what tables are written to."""
    own = scratch / "results" / results.name
    own.mkdir(parents=True)
    for entry in root.iterdir():
        if entry.name != "results":
            (scratch / entry.name).symlink_to(entry)
    for entry in results.iterdir():
        if entry.name != "tables":
            (own / entry.name).symlink_to(entry)


def describe(tree: SourceTree) -> Iterator[str]:
    """All that reading a tree says of it, line by line."""
    direct = {package: len(tree.modules_in(package)) for package in tree.packages}
    largest = sorted(direct.items(), key=lambda item: (-item[1], item[0]))
    yield f"packages      {len(direct)}; {len(tree.files) - len(direct)} modules in them"
    named = ", ".join(f"{name} {number}" for name, number in largest[:5])
    yield f"              modules directly in the largest: {named}"
    yield from _described_lines(tree)
    broken = exceptions(tree)
    yield f"exceptions    {'no order is stated' if broken is None else len(broken)}"
    yield from (f"              {arrow.importer} -> {arrow.imported}" for arrow in broken or [])
    circles = tree.circles()
    yield f"circles       {len(circles)}"
    yield from (f"              {', '.join(circle)}" for circle in circles)
    run, read = programs(tree)
    yield f"commands      {len(run)} modules run as programs, {len(read)} of them use argparse"
    yield f"              {len(behind_one_door(tree))} modules are behind one front door"


def _described_lines(tree: SourceTree) -> Iterator[str]:
    by_room = {
        name: sum(lines(tree.files[module]) for module in modules)
        for name, modules in rooms_of(tree).items()
    }
    total, width = sum(by_room.values()), max(map(len, by_room))
    yield f"lines         {total} of Python in {', '.join(PACKAGES)}"
    for name, number in sorted(by_room.items(), key=lambda item: -item[1]):
        yield f"              {name:<{width}} {number:6} {number / total:6.1%}"
    rules = sorted((tree.root / "workflow" / "rules").glob("*.smk"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in rules)
    functions = sum(line.lstrip().startswith("def ") for line in text.splitlines())
    yield f"              rules: {sum(map(lines, rules))} lines, {functions} functions in them"
    for other in OTHER_CODE:
        number = sum(lines(file) for file in (tree.root / other).rglob("*.py"))
        yield f"              {other}: {number}"


def described_path(crossed: list[str] | str, table: str) -> Iterator[str]:
    """What was found of a number's way, line by line: its modules in order, by room."""
    if isinstance(crossed, str):
        yield f"a number      not measured: {crossed}"
        return
    rooms = Counter(room(name) for name in crossed)
    where = f"{len(crossed)} modules in {len(rooms)} rooms"
    yield f"a number      of table {table} crosses {where} from counts to page"
    for name, number in rooms.items():
        short = [m.removeprefix(f"{name}.") for m in crossed if room(m) == name]
        yield f"              {name} {number}: {', '.join(short)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("root", nargs="?", type=Path, default=HERE, help="a checkout; this one")
    parser.add_argument("--preset", default="smoke", help="whose results a number is of; smoke")
    parser.add_argument("--table", default="VI", help="that it stands in; VI")
    given = parser.parse_args()
    root = given.root.resolve()
    if not (root / "workflow").is_dir():
        parser.error(f"{given.root}: no checkout of this project, as it has no folder workflow/")
    print("\n".join(describe(SourceTree.read(root))), flush=True)
    print("\n".join(described_path(number_path(root, given.preset, given.table), given.table)))


if __name__ == "__main__":
    main()
