"""The text files of a report: those that have not changed keep their bytes and their time.

Snakemake deletes a report before it makes it anew, so its files are kept a second time, in a store
that is no output. A page is looked up there by a key of all that it is made from; other files are
compared after they are made. What is no longer made is in neither folder at the end.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Template

from workflow.base.digests import condition, record_folder, recorded_digests
from workflow.base.files import read_json, write_json
from workflow.base.folders import replacing_folder
from workflow.base.templating import environment
from workflow.running.fingerprint import code_hash
from workflow.tables.formats import TEMPLATES as TABLE_TEMPLATES

KEYS = "keys.json"
TEMPLATES = Path(__file__).with_name("templates")


def template_of(name: str) -> Template:
    """A template of the report; those of tables can be used in it."""
    return environment(TEMPLATES, TABLE_TEMPLATES).get_template(name)


class Pages:
    """Writes the text files of a report into a folder.

    Args:
        folder: the folder of the report that is being made; nothing is in it.
        store: the store of the report before; it may be missing.

    Attributes:
        kept: names of the files that are as they were.
        made: names of the files that are new or have changed.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self.store = folder, store
        self.kept: list[str] = []
        self.made: list[str] = []
        self._keys: dict[str, str] = {}
        self._digests = recorded_digests(store)
        self._before: dict[str, str] = read_json(store / KEYS) if self._whole(KEYS) else {}

    def write(self, name: str, text: str) -> None:
        """Write a file, or keep it if it has these bytes already."""
        data, old = text.encode(), self.store / name
        if old.is_file() and old.read_bytes() == data:
            self._keep(name)
            return
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self.made.append(name)

    def render(self, name: str, inputs: object, make: Callable[[], str]) -> None:
        """Write a page, or keep it if its inputs and the code of reports are as they were.

        Args:
            name: the path of its file, from the report's folder.
            inputs: all that the page is made from; its `repr` has to tell different ones apart.
            make: the page.
        """
        key = hashlib.sha256(f"{sources()} {inputs!r}".encode()).hexdigest()
        self._keys[name] = key
        if self._before.get(name) == key and self._whole(name):
            self._keep(name)
        else:
            self.write(name, make())

    def close(self) -> None:
        """Put the files as they are now in the store, for the next report."""
        with replacing_folder(self.store) as store:
            for name in (*self.kept, *self.made):
                _copy(self.folder / name, store / name)
            write_json(store / KEYS, self._keys)
        record_folder(self.store)

    def _whole(self, name: str) -> bool:
        """Whether a file of the store is there and is what was written; else it is made anew."""
        file = self.store / name
        return condition(file, self._digests.get(file)) == "good"

    def _keep(self, name: str) -> None:
        _copy(self.store / name, self.folder / name)
        self.kept.append(name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


@cache
def sources() -> str:
    """A hash of the code and the templates that pages are made by."""
    whole = hashlib.sha256(code_hash("workflow.report.site").encode())
    for folder in (TEMPLATES, TABLE_TEMPLATES):
        for file in sorted(folder.glob("*.html")):
            whole.update(json.dumps(file.name).encode())
            whole.update(file.read_bytes())
    return whole.hexdigest()
