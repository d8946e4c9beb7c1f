"""How many files a change touches: `python -m benchmarks.places [CHANGE ...]`.

Makes each change that ARCHITECTURE is built for, for real, in a copy of the tree: a metric, an
optimiser, a public data source, a page of the report, a table, a method. Then looks whether it is
there: the number in the table, the step of the optimiser, the prepared images, the page. Prints the
files written by hand; tests aside, and aside `config.schema.json`, which
`resformer schema` writes. `tests/test_places.py` holds the numbers.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.changes import CHANGES
from tests.workspace import copy_tree, environment

SCHEMA = "workflow/config/config.schema.json"


class Touched(NamedTuple):
    """What a change took.

    Attributes:
        by_hand: the files that were written.
        schema: whether the configuration's schema was made anew by its command.
        output: what the check printed: what it found.
    """

    by_hand: tuple[str, ...]
    schema: bool
    output: str


def touched(name: str, folder: Path) -> Touched:
    """Make a change in a new copy of the tree, and look whether it is there.

    Args:
        name: the change's name.
        folder: the folder that the copy is made in.

    Raises:
        ValueError: a text that the change replaces is not there exactly once.
        RuntimeError: the change is made and is not there.
    """
    change = CHANGES[name]
    copy_tree(folder)
    for file, edits in change.edits.items():
        text = (folder / file).read_text(encoding="utf-8")
        for old, new in edits:
            if text.count(old) != 1:
                raise ValueError(f"{name}: {file} has {old!r} {text.count(old)} times; once needed")
            text = text.replace(old, new)
        (folder / file).write_text(text, encoding="utf-8")
    for file, text in change.files.items():
        if (folder / file).exists():
            raise ValueError(f"{name}: {file} is there already")
        (folder / file).write_text(text, encoding="utf-8")
    before = (folder / SCHEMA).read_bytes()
    _run(folder, name, [sys.executable, "-m", "workflow", "schema"])
    output = _run(folder, name, [sys.executable, "-c", change.check])
    anew = (folder / SCHEMA).read_bytes() != before
    return Touched((*change.edits, *change.files), anew, output.strip())


def _run(folder: Path, name: str, command: list[str]) -> str:
    """Run a command in a copy, and return what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(PYTHONPATH=str(folder)),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: made, and not there:\n{done.stdout}\n{done.stderr[-4000:]}")
    return done.stdout


def lines(found: Mapping[str, Touched]) -> list[str]:
    """What is printed: for each change the number of its files, and which these are."""
    return [
        f"{name:<28}{len(one.by_hand)}  {', '.join(one.by_hand)}"
        f"{' (and the schema, by its command)' if one.schema else ''}\n{'':<31}{one.output}"
        for name, one in found.items()
    ]


def main() -> None:
    """Make the changes that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.places", description=__doc__)
    parser.add_argument("change", nargs="*", help=f"any of: {', '.join(CHANGES)}; none is all")
    names = parser.parse_args().change or list(CHANGES)
    if unknown := sorted(set(names) - set(CHANGES)):
        parser.error(f"unknown change {unknown[0]!r}; known: {', '.join(CHANGES)}")
    for name in names:
        with TemporaryDirectory() as scratch:
            print(*lines({name: touched(name, Path(scratch) / "tree")}), sep="\n", flush=True)


if __name__ == "__main__":
    main()
