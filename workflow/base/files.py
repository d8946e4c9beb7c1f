"""Outputs appear whole or not at all: everything the steps write goes through here."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from workflow.base.plain import plain

# What a spreadsheet would compute, and what it reads as a number of either sign.
FORMULA = re.compile(r"'*[=+\-@\t\r].")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, and move it into place at the end.

    If the body raises or the process dies, `path` stays as it was. The suffix is kept, because
    several writers (numpy, matplotlib) choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(file: Path, target: Path) -> None:
    """Put a file into another place as well, without taking its space twice where links are."""
    try:
        os.link(file, target)
    except OSError:  # a file system without hard links, or another one
        shutil.copy2(file, target)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, indented for people."""
    write_text(Path(path), json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        yaml.YAMLError: it is none.
    """
    # Where libyaml is there, eight times as fast as PyYAML's own code.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def read_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The lines of a CSV file, as column -> text, which is as it was given to `csv_text`."""
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter=delimiter))
    return [{column: from_cell(text) for column, text in line.items()} for line in lines]


def csv_text(columns: Iterable[str], records: Iterable[Mapping[str, Any]]) -> str:
    """A CSV file: a heading and a line for each record.

    Args:
        columns: the columns in their order; what else a record has is left out.
        records: column -> value; what is None or not there is empty.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*columns], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: to_cell(value) for key, value in one.items()} for one in records)
    return stream.getvalue()


def to_cell(value: Any) -> Any:
    """A value as a cell of CSV has it: a text that a spreadsheet would compute begins with `'`.

    Spreadsheets take what begins with =, +, - or @ for a formula. Numbers stay as they are, and
    characters that act on a terminal are written as their numbers.
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text.lstrip("'")) else text


def from_cell(text: Any) -> Any:
    """What was given to `to_cell`, of a text; what is no text stays as it is."""
    quoted = isinstance(text, str) and text.startswith("'") and FORMULA.match(text)
    return text[1:] if quoted and not NUMBER.fullmatch(text.lstrip("'")) else text


def cache_folder() -> Path:
    """Where what was measured or counted here is kept: of the user, and of all presets and clones.

    Raises:
        RuntimeError: the user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resformer"


def remove_tree(folder: Path, levels: int = 0) -> None:
    """Remove a folder, if it is there, and the folders around it that this leaves empty.

    Args:
        folder: what to remove with all it holds.
        levels: how many of the folders around it may go.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:levels]:
        try:
            parent.rmdir()
        except OSError:  # not empty, or not there
            return


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
