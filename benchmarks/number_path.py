"""The modules that a number crosses while a table is made; `benchmarks.house` runs it in any tree.

`python -P benchmarks/number_path.py ROOT CONFIG TABLE`, with ROOT on the path: makes the table of
CONFIG (results/PRESET/config.json) from saved counts, as the tree at ROOT does, and prints as JSON
the modules of that tree whose functions ran, in the order of their first call: from the first
function that is handed a `counts.parquet`, with those that wait for its answer, to the end of the
table's last file. It imports nothing of this tree, because ROOT may be another one.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# What makes a table, and what reads a configuration: as they are called now, and were called once.
MAKERS = (
    ("workflow.tables.make", "make_table"),
    ("workflow.reporting.make_table", "make_table"),
)
READERS = (("workflow.running.step", "read_config"), ("workflow.step", "read_config"))
COUNTS = "counts.parquet"


class Crossed:
    """Takes note of the modules of a tree whose functions run, once counts are read."""

    def __init__(self, root: Path) -> None:
        self.root = f"{root.resolve()}/"
        self.modules: dict[str, None] = {}
        self.begun = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Python calls this at every call of a function."""
        if event != "call":
            return
        module = self._module(frame)
        if module is None:
            return
        if not self.begun and any(str(v).endswith(COUNTS) for v in _arguments(frame)):
            self.begun = True
            self.modules = dict.fromkeys(reversed(list(self._waiting(frame))))
        if self.begun:
            self.modules.setdefault(module)

    def _waiting(self, frame: FrameType | None) -> Any:
        while frame is not None:
            if module := self._module(frame):
                yield module
            frame = frame.f_back

    def _module(self, frame: FrameType) -> str | None:
        file = frame.f_code.co_filename
        if not file.startswith(self.root):
            return None
        name = file.removeprefix(self.root).removesuffix(".py").replace("/", ".")
        return name.removesuffix(".__init__")


def _arguments(frame: FrameType) -> list[Any]:
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [value for name in names if isinstance(value := frame.f_locals.get(name), str | Path)]


def found(candidates: tuple[tuple[str, str], ...]) -> Callable[..., Any]:
    """The first of some functions that this tree has.

    Raises:
        ModuleNotFoundError: it has none of them.
    """
    for module, name in candidates:
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("workflow"):
                raise
    raise ModuleNotFoundError(f"none of {', '.join(module for module, _ in candidates)}")


def main(root: str, config: str, table: str) -> None:
    """Make the table and print the modules."""
    make, read = found(MAKERS), found(READERS)
    resolved = read(Path(config))
    crossed = Crossed(Path(root))
    sys.setprofile(crossed)
    try:
        make(resolved, table)
    finally:
        sys.setprofile(None)
    print(json.dumps(list(crossed.modules)))


if __name__ == "__main__":
    main(*sys.argv[1:])
