"""The public data sources, by what their files say of themselves.

Each has one file, `workflow/data/sources/NAME.py`, with one statement `ABOUT = PublicSource(...)`
of plain values: its name, its keys in the configuration and all that is decided by where data is
from follow from it. The statement is read and not imported, because reading images means importing
numpy, and the configuration has to load at once.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1] / "data" / "sources"

# The least and the most of a number, or neither; whole numbers where the least is one.
Limits = tuple[float, float | None]


class PublicSource(NamedTuple):
    """What is decided by where public data is from; the configuration gets keys of its name.

    `data.NAME_dir` (or $NAME_DIR) says where raw files lie and `data.NAME_record` what they must
    hold; `data.NAME_url` and `data.phantom.NAME` are there where the workflow can download it, or
    write phantoms of it.

    Attributes:
        title: what it is called in messages.
        lesions: what its masks annotate, and so what `lesions` may name.
        labels: what `labels` may name.
        color: whether images have three channels.
        vendors: what `vendor` may name; empty for a source that has none.
        volumes: whether images are slices of volumes, which are its groups. Its record is a CSV of
            volumes then (id, vendor, slices), and else YAML with `files` (name: MD5) and `counts`
            (by part and kind); images stand for themselves.
        parts: images of each part of its official split, about; None without such a split.
        lesion_everywhere: whether every image shows a lesion, so that few masks may be empty.
        downloaded: whether the workflow fetches the archives of its record from an address.
        how_to_get: what to say where the raw files are not there and nothing fetches them.
        licence: on what terms its images, and what was learnt from them, may be passed on.
        disk: how much its archives take, unpacked beside packed.
        phantoms: the function that writes its phantoms, `module:name`; empty without any. It takes
            a folder, the keys of `phantom_sizes` and `seed`.
        phantom_sizes: the keys of `data.phantom.NAME` with their limits; a key that has several
            numbers has limits for each, and one that is a word has the words that it may be.
            Either `volumes` (of each vendor) is among them, or `train`, `val` and `test`.
        phantom_slices: slices of a phantom volume, by vendor.
    """

    title: str
    lesions: tuple[str, ...]
    labels: tuple[str, ...]
    color: bool
    vendors: tuple[str, ...] = ()
    volumes: bool = False
    parts: Mapping[str, int] | None = None
    lesion_everywhere: bool = False
    downloaded: bool = False
    how_to_get: str = ""
    licence: str = ""
    disk: str = ""
    phantoms: str = ""
    phantom_sizes: Mapping[str, Limits | tuple[Limits, ...] | tuple[str, ...]] = {}
    phantom_slices: Mapping[str, int] = {}


def read_about(file: Path) -> PublicSource | None:
    """What the file of a source says of it; None if the source is not a public one.

    Only this statement is parsed: it begins a line, and ends with the first line that begins with
    its closing bracket.

    Raises:
        ValueError: it says something else than plain values.
        TypeError: it says something that is not asked for, or leaves something out.
    """
    found = re.search(r"^ABOUT = (PublicSource\(.*?^\))", file.read_text("utf-8"), re.M | re.S)
    if found is None:
        return None
    call = ast.parse(found[1], mode="eval").body
    assert isinstance(call, ast.Call)
    return PublicSource(**{str(k.arg): ast.literal_eval(k.value) for k in call.keywords})


SOURCES: dict[str, PublicSource] = {
    file.stem: about for file in sorted(FOLDER.glob("*.py")) if (about := read_about(file))
}
