"""What lies in a folder that nobody has described: images, masks by their names, and tables.

Every answer is a guess by names and values, for a person to confirm.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from workflow.base.errors import DataError
from workflow.data.reading.leftovers import is_hidden
from workflow.data.sources.pairing import IMAGES, MASKS
from workflow.data.sources.volume_files import DICOM, SUFFIXES, read_volume, suffix_of
from workflow.running.raw_files import find_files

PICTURES = tuple(dict.fromkeys((*IMAGES, *MASKS)))
VOLUMES = tuple(suffix for suffix in SUFFIXES if suffix not in PICTURES)
# Folders and endings of names that people give to masks.
MASK_WORDS = re.compile(
    r"mask|segm?|label|anno|manual|truth|gt|lesion|contour|roi|reference", re.IGNORECASE
)
GROUP_WORDS = re.compile(r"patient|subject|person|case|lesion_?id|group|study|eye", re.IGNORECASE)
LOOKED_AT = 40  # files whose values are read
MOST_VALUES = 12  # of a mask that is not soft


class Stems(NamedTuple):
    """Files of one folder by their stems.

    Attributes:
        folder: the folder.
        files: stem -> file.
    """

    folder: Path
    files: dict[str, Path]


class Pairing(NamedTuple):
    """Which files seem to be images, and which their masks.

    Attributes:
        images, masks: folders; `masks` is None where none are found.
        image_suffix: what follows the id in the name of an image.
        mask_suffixes: what follows it in those of masks; several, where an image has several.
        pairs: id -> image and its masks.
        below: whether files of folders below are meant.
        suffix: of volumes; empty where the files are pictures.
    """

    images: Path
    masks: Path | None
    image_suffix: str
    mask_suffixes: list[str]
    pairs: dict[str, tuple[Path, list[Path]]]
    below: bool
    suffix: str


class MaskValues(NamedTuple):
    """What masks hold.

    Attributes:
        values: beside 0, over all that were read; empty for masks in colour.
        colours: beside black, of masks in colour.
        soft: whether there are too many values for classes, or the files are JPEG.
    """

    values: list[int]
    colours: list[tuple[int, int, int]]
    soft: bool


def find_pairing(folder: Path) -> Pairing:
    """The images and masks of a folder, by the names of folders and files.

    Raises:
        DataError: there is nothing that could be an image.
    """
    found = [file for file, _ in find_files(folder) if not is_hidden(file, folder)]
    pictures = [file for file in found if file.suffix.lower() in PICTURES]
    volumes = [file for file in found if suffix_of(file) in VOLUMES]
    files = volumes if len(volumes) > len(pictures) else pictures
    if not files:
        raise DataError(
            f"{folder}: found no images ({len(found)} files); expected {', '.join(PICTURES)}, or "
            f"volumes {', '.join(VOLUMES)}. Name the folder that has them"
        )
    if any(suffix_of(file) in DICOM for file in files):
        raise DataError(
            f"{folder}: found DICOM files, of which a folder is a volume; such data cannot be "
            "guessed. Write the configuration by hand, with folder.volumes: docs/data.md shows one"
        )
    drawn = [file for file in files if _words_of(file, folder)]
    shown = [file for file in files if file not in set(drawn)]
    if shown and drawn:
        return _two_folders(folder, shown, drawn)
    return _one_folder(folder, files)


def _words_of(file: Path, folder: Path) -> bool:
    """Whether a folder above a file is called as folders of masks are."""
    return any(MASK_WORDS.search(part) for part in file.relative_to(folder).parts[:-1])


def _stem(file: Path) -> str:
    suffix = suffix_of(file)
    return file.name[: -len(suffix)] if suffix in VOLUMES else file.stem


def _top(folder: Path, files: Sequence[Path]) -> Path:
    """The deepest folder that has all files below it."""
    parents = [file.parent for file in files]
    common = parents[0]
    while not all(parent.is_relative_to(common) for parent in parents):
        common = common.parent
    return common if common.is_relative_to(folder) else folder


def _two_folders(folder: Path, shown: list[Path], drawn: list[Path]) -> Pairing:
    """Images and masks in folders of their own."""
    images, masks = _top(folder, shown), _top(folder, drawn)
    if images == masks:
        raise DataError(
            f"{folder}: found images and masks in several folders each, such as {shown[0].parent} "
            f"and {drawn[0].parent}, which one configuration cannot name; name the folder above "
            "one pair of them, or sort all images into one folder and all masks into another"
        )
    shared = _shared_length(shown, drawn)
    endings = Counter(_stem(file)[shared(_stem(file)) :] for file in drawn)
    heads = Counter(_stem(file)[shared(_stem(file)) :] for file in shown)
    mask_suffix, image_suffix = _commonest(endings), _commonest(heads)
    by_id = {_stem(file).removesuffix(image_suffix): file for file in shown}
    pairs: dict[str, tuple[Path, list[Path]]] = {name: (file, []) for name, file in by_id.items()}
    for file in drawn:
        name = _id_of_mask(_stem(file), mask_suffix, by_id)
        if name is not None:
            pairs[name][1].append(file)
    return _pairing(images, masks, image_suffix, pairs)


def _shared_length(shown: list[Path], drawn: list[Path]) -> Callable[[str], int]:
    """How much of a stem is its id: the longest beginning that both an image and a mask have."""
    beginnings = {
        kind: {_stem(file)[:n] for file in files for n in range(1, len(_stem(file)) + 1)}
        for kind, files in (("shown", shown), ("drawn", drawn))
    }
    both = beginnings["shown"] & beginnings["drawn"]

    def length(stem: str) -> int:
        n = next((n for n in range(len(stem), 0, -1) if stem[:n] in both), 0)
        # What both call `21_` is the id 21, unless nothing follows.
        kept = stem[:n].rstrip("_- ")
        return len(kept) if n < len(stem) and kept else n

    return length


def _commonest(endings: Counter[str]) -> str:
    """The ending of most names, without the number of a further mask."""
    plain = Counter[str]()
    for ending, count in endings.items():
        first = re.sub(r"(?<=[A-Za-z])[_-]?[0-9]{1,2}$", "", ending)
        plain[first if first in endings else ending] += count
    return max(plain, key=lambda ending: (plain[ending], -len(ending)), default="")


def _id_of_mask(stem: str, suffix: str, ids: dict[str, Path]) -> str | None:
    match = re.fullmatch(f"(.*){re.escape(suffix)}(?:[_-]?[0-9]+)?", stem)
    names = (stem.removesuffix(suffix) if stem.endswith(suffix) else None, match and match[1])
    return next((name for name in names if name in ids), None)


def _one_folder(folder: Path, files: list[Path]) -> Pairing:
    """Masks beside images, told from them by how their names go on."""
    place, stems = _top(folder, files), {_stem(file): file for file in files}
    endings = Counter(
        stem[n:]
        for stem in stems
        for n in range(1, len(stem))
        if stem[:n] in stems and MASK_WORDS.search(stem[n:])
    )
    if not endings and (kinds := _kinds(list(stems))):
        return _by_kind(place, stems, kinds)
    suffix = _commonest(endings) if endings else ""
    pairs: dict[str, tuple[Path, list[Path]]] = {}
    masks: list[tuple[str, Path]] = []
    for stem, file in stems.items():
        name = _id_of_mask(stem, suffix, stems) if suffix else None
        if name is not None and name != stem:
            masks.append((name, file))
        else:
            pairs[stem] = (file, [])
    for name, file in masks:
        if name in pairs:
            pairs[name][1].append(file)
    return _pairing(place, place if masks else None, "", pairs)


def _kinds(stems: Sequence[str]) -> tuple[str, str] | None:
    """The endings of images and of masks, where names are `a_ct` and `a_seg`."""
    split = [re.fullmatch(r"(.+)([_-][^_-]+)", stem) for stem in stems]
    heads = {match[1] for match in split if match}
    endings = Counter(match[2] for match in split if match)
    usual = [ending for ending, count in endings.most_common() if 2 * count > len(heads)]
    masks = [ending for ending in usual if MASK_WORDS.search(ending)]
    images = [ending for ending in usual if ending not in masks]
    return (images[0], masks[0]) if masks and images else None


def _by_kind(place: Path, stems: dict[str, Path], kinds: tuple[str, str]) -> Pairing:
    """Images and masks in one folder, whose names end in their kind."""
    image, mask = kinds
    pairs: dict[str, tuple[Path, list[Path]]] = {
        stem.removesuffix(image): (file, []) for stem, file in stems.items() if stem.endswith(image)
    }
    for stem, file in stems.items():
        if stem.endswith(mask) and stem.removesuffix(mask) in pairs:
            pairs[stem.removesuffix(mask)][1].append(file)
    return _pairing(place, place, image, pairs)


def _pairing(
    images: Path,
    masks: Path | None,
    image_suffix: str,
    pairs: dict[str, tuple[Path, list[Path]]],
) -> Pairing:
    """The pairing, with what follows from it."""
    every = [file for image, drawn in pairs.values() for file in (image, *drawn)]
    places = {images, masks}
    endings = {
        _stem(file).removeprefix(name) for name, (_, drawn) in pairs.items() for file in drawn
    }
    first = next(iter(pairs.values()))[0]
    return Pairing(
        images,
        masks,
        image_suffix,
        sorted(endings),
        pairs,
        below=any(file.parent not in places for file in every),
        suffix=suffix_of(first) if suffix_of(first) in VOLUMES else "",
    )


def spread(files: Sequence[Path]) -> list[Path]:
    """Some of the files, from all over them."""
    rows = np.linspace(0, len(files) - 1, min(len(files), LOOKED_AT))
    return [files[k] for k in sorted({round(x) for x in rows})] if len(files) else []


def pixels_of(file: Path) -> np.ndarray:
    """The pixels of a picture or the voxels of a volume, as they are shown.

    Raises:
        DataError: the file cannot be read.
    """
    if suffix_of(file) in VOLUMES:
        return read_volume(file).voxels
    try:
        with Image.open(file, formats=("PNG", "JPEG", "TIFF", "BMP", "GIF")) as image:
            if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
                pixels = np.asarray(image)
                return pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: cannot be decoded ({error}); replace the file") from error


def values_of(masks: Sequence[Path]) -> MaskValues:
    """What some masks hold, from all over them.

    Raises:
        DataError: a mask cannot be read.
    """
    values, colours, jpeg = set[int](), set[tuple[int, int, int]](), False
    for file in spread(masks):
        jpeg |= file.suffix.lower() in (".jpg", ".jpeg")
        pixels = pixels_of(file)
        if pixels.ndim == 3 and suffix_of(file) not in VOLUMES:
            if (np.ptp(pixels.astype(int), axis=2) > (32 if jpeg else 0)).any():
                found = np.unique(pixels.reshape(-1, 3), axis=0)[: 4 * MOST_VALUES]
                colours |= {(int(r), int(g), int(b)) for r, g, b in found}
                continue
            pixels = pixels[..., 0]
        values |= {int(x) for x in np.unique(pixels)[: 4 * MOST_VALUES]}
    soft = jpeg or len(values) > MOST_VALUES or len(colours) > MOST_VALUES
    return MaskValues(sorted(values - {0}), sorted(colours - {(0, 0, 0)}), soft)


class TableGuess(NamedTuple):
    """A CSV whose rows seem to be the images.

    Attributes:
        file: the CSV.
        id_column: the column that has the ids.
        labels: columns that hold 0 and 1 alone, or what `label_column` holds.
        label_column: a column that seems to name the label of each image, if any.
        group: a column that seems to say which images are of one patient, if any.
    """

    file: Path
    id_column: str
    labels: list[str]
    label_column: str | None
    group: str | None


def find_table(folder: Path, ids: Sequence[str]) -> TableGuess | None:
    """The CSV below a folder whose ids are those of the images, if there is one."""
    wanted = set(ids)
    for file in sorted(file for file, _ in find_files(folder) if file.suffix.lower() == ".csv"):
        try:
            with file.open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.DictReader(stream))
        except (OSError, UnicodeDecodeError, csv.Error):
            continue
        columns = [name for name in (rows[0] if rows else {}) if name]
        for column in columns:
            values = [str(row[column]) for row in rows]
            if len(set(values)) == len(values) and set(values) >= wanted and wanted:
                others = [name for name in columns if name != column]
                labels = [n for n in others if {str(row[n]) for row in rows} == {"0", "1"}]
                groups = [
                    n
                    for n in others
                    if GROUP_WORDS.search(n) and 2 < len({row[n] for row in rows}) < len(rows)
                ]
                named = None
                if not labels:
                    named, labels = _label_column(rows, [n for n in others if n not in groups])
                return TableGuess(file, column, labels, named, groups[0] if groups else None)
    return None


def _label_column(
    rows: Sequence[dict[str, str]], columns: list[str]
) -> tuple[str | None, list[str]]:
    """The first column with a few words that occur several times each, and the words."""
    for name in columns:
        counts = Counter(str(row[name]) for row in rows)
        words = all(re.fullmatch(r"[A-Za-z][\w .-]*", word) for word in counts)
        if words and 2 <= len(counts) <= MOST_VALUES and min(counts.values()) > 1:
            return name, sorted(counts)
    return None, []
