"""What a case of bad input is, and the ways in which its files are damaged.

Everything happens in a working folder that looks like a checkout: `DATA` holds the user's files,
`results` is written to. Paths are relative to it, so that messages are the same everywhere.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workflow.base.digests import digest_file

Action = Callable[[], None]


def nothing() -> None:
    """Leave all files as they are."""


@dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Attributes:
        what: is wrong, for the table.
        says: what the message must contain: the file or key, and what was found there.
        damage: makes it so, in the working folder.
        settings: keys of the configuration, over the group's.
        before: the step that comes after the damage.
        around: a context of the steps, such as a server, whose value is put in for `URL`.
    """

    what: str
    says: str
    damage: Action = nothing
    settings: Mapping[str, Any] = field(default_factory=dict)
    before: str = "configuration"
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True)
class Group:
    """Cases that begin with the same files, all of them good.

    Attributes:
        title: a heading of the table.
        dataset: key of the data set that is prepared.
        build: writes the good files.
        settings: keys of the configuration.
        cases: what is damaged, one after the other.
    """

    title: str
    dataset: str
    build: Action
    settings: Mapping[str, Any]
    cases: Sequence[Case]


def selected(*datasets: str) -> dict[str, Any]:
    """One network that takes images of any multiple of 32, on some data sets or all."""
    return {"methods": ["unetpp"], **({"datasets": [*datasets]} if datasets else {})}


def files_below(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder; links are not followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from files_below(path)
        else:
            yield path


# Damages. Each gives an action, and fails if there is nothing to damage.


def each_of(*actions: Action) -> Action:
    """One action after the other."""

    def act() -> None:
        for action in actions:
            action()

    return act


def gone(path: str) -> Action:
    """A file or folder is not there."""
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def holds(path: str, content: str | bytes) -> Action:
    """A file has other content, or is there at all."""

    def act() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode() if isinstance(content, str) else content)

    return act


def cut(path: str, length: int) -> Action:
    """A file ends after so many bytes; a negative number counts from its end."""
    return lambda: holds(path, Path(path).read_bytes()[:length])()


def unrecorded(path: str) -> Action:
    """Nothing was recorded of a file, as of those of an earlier version, when it was written."""
    return lambda: digest_file(Path(path)).unlink()


def edited(path: str, old: str | bytes, new: str | bytes) -> Action:
    """The one occurrence of something in a file is something else."""
    before, after = (x.encode() if isinstance(x, str) else x for x in (old, new))

    def act() -> None:
        content = Path(path).read_bytes()
        assert content.count(before) == 1, (path, old, content.count(before))
        Path(path).write_bytes(content.replace(before, after))

    return act


def flipped(path: str, position: int) -> Action:
    """One bit of a file is another, in the byte at a position, which may count from the end."""

    def act() -> None:
        content = bytearray(Path(path).read_bytes())
        content[position] ^= 16
        Path(path).write_bytes(content)

    return act


def moved(path: str, place: str) -> Action:
    """A file or folder has another name, or lies elsewhere."""

    def act() -> None:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(path).rename(place)

    return act


def copied(path: str, place: str) -> Action:
    """A file or folder is also elsewhere, where it may take something's place."""

    def act() -> None:
        if Path(path).is_dir():
            shutil.copytree(path, place)
        else:
            shutil.copyfile(path, place)

    return act


def emptied(path: str) -> Action:
    """A folder is empty, or a new one takes a file's place."""

    def act() -> None:
        if Path(path).exists():
            gone(path)()
        Path(path).mkdir(parents=True)

    return act


def linked(path: str, target: str) -> Action:
    """A link takes a file's place."""

    def act() -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).symlink_to(target)

    return act


def drawn(path: str, pixels: np.ndarray | Image.Image, **options: Any) -> Action:
    """An image file holds these pixels."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    return lambda: image.save(path, **options)


def set_to(path: str, where: tuple[int, ...] | int, value: int) -> Action:
    """Some of a stored array has another value."""

    def act() -> None:
        array = np.load(path)
        array[where] = value
        np.save(path, array)

    return act
