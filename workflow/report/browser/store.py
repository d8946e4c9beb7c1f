"""Parts of the image browser's data, kept from one report to the next.

A report is deleted before it is made anew, so its large files are kept a second time, in a store
that is no output, and the report has hard links to them: they take no further space, and nothing
is copied. A part is a folder whose files follow from its key, which lies beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from workflow.base.digests import condition, digest_file, record_folder, recorded_digests
from workflow.base.files import link_or_copy, remove_tree, write_text
from workflow.base.folders import replacing_folder


@dataclass(frozen=True)
class Part:
    """A folder of files.

    Attributes:
        name: the path from the store's folder.
        key: the key of all that its files are made from.
        make: writes them into a folder.
    """

    name: str
    key: Callable[[], str]
    make: Callable[[Path], None]


class Store:
    """Makes parts whose keys have changed, and keeps the others as they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, part: Part) -> str:
        """Make a part if the store has not got it; its key."""
        folder, note = self.folder / part.name, self._note(part.name)
        key = part.key()
        if not (note.is_file() and note.read_text(encoding="utf-8") == key and _whole(folder)):
            # First, so that an interrupted change leaves no files with a key of others.
            note.unlink(missing_ok=True)
            with replacing_folder(folder) as temporary:
                part.make(temporary)
            record_folder(folder)
            write_text(note, key)
        return key

    def link(self, name: str, target: Path) -> None:
        """Put the files of a part into another folder as well."""
        target.mkdir(parents=True)
        for file in (self.folder / name).iterdir():
            link_or_copy(file, target / file.name)

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove the parts of other names."""
        kept = {self._note(name) for name in names}
        for note in set(self.folder.rglob("*.key")) - kept:
            note.unlink()
            digest_file(note.with_suffix("")).unlink(missing_ok=True)
            remove_tree(note.with_suffix(""), levels=len(note.relative_to(self.folder).parts) - 1)

    def _note(self, name: str) -> Path:
        return self.folder / f"{name}.key"


def _whole(folder: Path) -> bool:
    """Whether the files of a part are there and are what was written."""
    files = recorded_digests(folder)
    return bool(files) and all(condition(*file) == "good" for file in files.items())
