"""Parts of the image browser's data, kept from one report to the next.

A report is deleted before it is made anew, so its large files are kept a second time, in a store
that is no output, and the report has hard links to them: they take no further space, and nothing
is copied. A part is a folder whose files follow from its key, which lies beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from workflow.base.files import link_or_copy, remove_tree, write_text
from workflow.base.folders import replacing_folder


@dataclass(frozen=True)
class Part:
    """A folder of files.

    Attributes:
        name: where it lies, from the store's folder.
        key: of all that its files are made from.
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
        if not (folder.is_dir() and note.is_file() and note.read_text(encoding="utf-8") == key):
            # First, so that an interrupted change leaves no files with a key of others.
            note.unlink(missing_ok=True)
            with replacing_folder(folder) as temporary:
                part.make(temporary)
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
            remove_tree(note.with_suffix(""), levels=len(note.relative_to(self.folder).parts) - 1)

    def _note(self, name: str) -> Path:
        return self.folder / f"{name}.key"
