"""What the code of a module means: a hash of its syntax tree, and what it imports.

Parsing all that a run rests on takes each job a quarter of a second. So what was found is kept in
the user's cache, by the content of the file: nothing there can be out of date, and whoever removes
it loses time alone.
"""

import ast
import contextlib
import hashlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from workflow.base.files import cache_folder, read_json, write_text

# Each edit of a module adds one; beyond so many it starts anew.
MOST = 5000


class Code(NamedTuple):
    """A module.

    Attributes:
        tree: hash of its syntax tree without docstrings.
        imports: names that it imports, which may be modules or parts of them.
    """

    tree: str
    imports: list[str]


def parse(text: str) -> Code:
    """The code of a module's text.

    Raises:
        SyntaxError: it is not Python.
    """
    tree = ast.parse(text)
    names: list[str] = []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return Code(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), names)


class Parsed:
    """Codes of texts, each parsed once for all processes; a cache that fails is done without."""

    def __init__(self) -> None:
        self._codes: dict[str, Code] | None = None
        self._new = False

    def __getitem__(self, text: str) -> Code:
        """The code of a text; raises what `parse` does."""
        if self._codes is None:
            self._codes = _kept()
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._codes:
            self._codes[key] = parse(text)
            self._new = True
        return self._codes[key]

    def keep(self) -> None:
        """Keep what was parsed for other processes."""
        if self._new:
            with contextlib.suppress(OSError, RuntimeError):
                write_text(_place(), json.dumps(self._codes))
            self._new = False


def _place() -> Path:
    """Another Python, or another `parse`, finds something else in the same text."""
    by = hashlib.sha256(sys.version.encode() + Path(__file__).read_bytes()).hexdigest()
    return cache_folder() / f"syntax-{by[:16]}.json"


def _kept() -> dict[str, Code]:
    try:
        codes = {str(key): Code(*code) for key, code in read_json(_place()).items()}
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}
    return codes if len(codes) < MOST else {}
