"""The modules of a source tree and what they import, read without importing any of them."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

PACKAGES = ("workflow", "resformer", "baselines")


@dataclass(frozen=True)
class SourceTree:
    """All modules of the packages of a tree.

    Attributes:
        files: module -> its file.
        trees: module -> its syntax tree.
    """

    root: Path
    files: Mapping[str, Path]
    trees: Mapping[str, ast.Module]

    @classmethod
    def read(cls, root: Path, packages: Iterable[str] = PACKAGES) -> Self:
        """Read the packages below a root.

        Raises:
            SyntaxError: a module is not Python.
        """
        found = (file for package in packages for file in sorted((root / package).rglob("*.py")))
        files = {module_name(file, root): file for file in found}
        trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in files.items()}
        return cls(root, files, trees)

    @cached_property
    def packages(self) -> list[str]:
        """The packages, those in packages too."""
        return [name for name, file in self.files.items() if file.name == "__init__.py"]

    def modules_in(self, package: str) -> list[str]:
        """The modules that are directly in a package, itself and packages in it left out."""
        return [
            name
            for name in self.files
            if name.rpartition(".")[0] == package and name not in self.packages
        ]

    def docstring(self, module: str) -> str:
        """What a module says of itself; empty if it says nothing."""
        return ast.get_docstring(self.trees[module]) or ""

    def imports(self, module: str, only_at_import: bool = False) -> set[str]:
        """What a module imports, as `imported` has it."""
        return imported(self.trees[module], self.files, only_at_import)

    def own_imports(self, module: str) -> set[str]:
        """The other modules of this tree that a module imports; imports in functions count."""
        return {name for name in self.imports(module) if name in self.files and name != module}

    def circles(self) -> list[list[str]]:
        """Modules that import each other, directly or through others; largest circles first."""
        graph = {name: self.own_imports(name) for name in self.files}
        behind = {name: _reached(graph, name) for name in graph}
        found = {
            frozenset(other for other in behind[name] if name in behind[other])
            for name in graph
            if name in behind[name]
        }
        return sorted((sorted(circle) for circle in found), key=lambda c: (-len(c), c))


def module_name(file: Path, root: Path) -> str:
    """The dotted name of a file below a root."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The room of a module of `workflow`: the package of its first folder.

    None for what is in no room. A module right in `workflow` would be a room of its own.
    """
    parts = module.split(".")
    return parts[1] if parts[0] == "workflow" and len(parts) > 1 else None


def imported(
    tree: ast.Module, modules: Iterable[str] = (), only_at_import: bool = False
) -> set[str]:
    """What a syntax tree imports, by full name.

    Args:
        tree: of a module.
        modules: what is a module: `from a import b` is `a.b` if that is one, and `a` if not.
        only_at_import: leave out imports inside functions.
    """
    known = set(modules)
    names: set[str] = set()
    for node in _executed(tree) if only_at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            names |= inner or {node.module or "."}
    return names


def _executed(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: all but the insides of functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """All that is reached from a node by one arrow or more."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name])
    return found
