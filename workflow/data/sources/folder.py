"""Images and masks of one's own: plain files in folders, with a CSV of labels beside them.

`FolderLayout` in workflow/config/datasets.py says what may be configured. Images are matched with
masks, and with the rows of the CSV, by their stems. A mask or a row without image is an error,
because a name that silently fails to match is noticed too late; what else lies in the folders is
named as ignored, or refused if it is a picture.
"""

import csv
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow.base.errors import DataError
from workflow.config.datasets import Dataset, FolderLayout
from workflow.config.model import Config
from workflow.data.reading import keys
from workflow.data.reading.columns import Table, groups_of, labels_of
from workflow.data.reading.folder_leftovers import JPEG, ignored_files, jpeg_hint
from workflow.data.reading.levels import Span, grey_levels, span_of, stored_pixels
from workflow.data.reading.masks import mask_classes
from workflow.data.reading.pictures import PHOTOGRAPHS, opened
from workflow.data.sources.source import RawImage, Row

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
# No JPEG, unless a threshold is given: its compression makes up values along every edge.
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")


def open_source(config: Config, dataset: str) -> "Folder":
    """The source of a data set."""
    definition = config.datasets[dataset]
    assert definition.folder is not None  # a configuration with this source has it
    return Folder(definition, definition.folder)


class Folder:
    """The images of one folder; groups are what the CSV says, or else the images themselves.

    Args:
        dataset: names the lesions and labels.
        layout: names the folders and the CSV.

    Raises:
        DataError: files, masks and rows of the CSV do not fit each other.
    """

    def __init__(self, dataset: Dataset, layout: FolderLayout) -> None:
        self._dataset, self._layout = dataset, layout
        if layout.masks is None and layout.labels is None:
            raise DataError(
                "folder: neither `masks` nor `labels` is set, so nothing can be learnt; set one of "
                "them"
            )
        if layout.group is not None and layout.labels is None:
            raise DataError(
                f"folder.group: found {layout.group!r}, a column of folder.labels, which is not "
                "set; name that CSV, or set group to null"
            )
        self._images = _images(layout)
        self._masks = _masks(layout, self._images) if layout.masks is not None else {}
        self._labels: dict[str, dict[str, int]] = {}
        groups = {image: image for image in self._images}
        self.tables: Sequence[Path] = ()
        self.ignored: Sequence[str] = ignored_files(
            layout, self._images, self._masks, (IMAGES, _mask_suffixes(layout))
        )
        if layout.labels is not None:
            path = Path(layout.labels)
            named = [layout.label_column] if layout.label_column else dataset.labels
            table, blank = _table(path, [*named, *([layout.group] if layout.group else [])])
            self.ignored = [*self.ignored, *blank]
            _match(path, table, self._images)
            self._labels = labels_of(path, table, dataset.labels, layout.label_column)
            if layout.group is not None:
                groups = groups_of(path, table, layout.group)
            self.tables = (path,)
        else:
            self._check_every_mask()
        self._members: dict[str, list[str]] = {}
        for image in self._images:
            self._members.setdefault(groups[image], []).append(image)
        self.groups: Sequence[str] = sorted(self._members)
        self._span: Span | None = None
        self._spanning = threading.Lock()

    def rows(self, group: str) -> list[Row]:
        """The images of one group, with the lesions counted in their masks.

        Without a folder of masks there are no `pixels_` columns.

        Raises:
            DataError: a file cannot be used, or an image and its mask differ in size.
        """
        return [self._row(group, image) for image in self._members[group]]

    def read(self, group: str, size: int) -> Iterator[RawImage]:
        """The images of one group at their own size, whatever `size` is, with their masks.

        Raises:
            DataError: a file cannot be used.
        """
        for image in self._members[group]:
            pixels = self._pixels(self._images[image])
            height, width = pixels.shape[:2]
            mask = self._mask(image, (height, width)) if image in self._masks else None
            yield RawImage(image, pixels, mask, (height, width))

    def _row(self, group: str, image: str) -> Row:
        file, masks = self._images[image], self._masks.get(image, ())
        with opened(file, PHOTOGRAPHS) as header:
            width, height = header.size
        pixels = dict.fromkeys(self._dataset.lesions, 0) if self._masks else {}
        if masks:
            values = self._mask(image, (height, width))
            for k, lesion in enumerate(self._dataset.lesions, start=1):
                pixels[lesion] = int(np.count_nonzero(values == k))
        labels = self._labels.get(image) or {x: int(pixels[x] > 0) for x in self._dataset.labels}
        return {
            "id": image,
            "group": group,
            "part": "",
            "width": width,
            "height": height,
            "has_mask": bool(masks),
            "files": (file, *masks),
            **{f"label_{name}": value for name, value in labels.items()},
            **{f"pixels_{lesion}": count for lesion, count in pixels.items()},
        }

    def _mask(self, image: str, shape: tuple[int, int]) -> np.ndarray:
        """The masks of an image as one, of the image's height and width."""
        joined = np.zeros(shape, np.uint8)
        for path in self._masks[image]:
            mask = mask_classes(path, self._layout, self._dataset.lesions)
            if mask.shape != shape:
                raise DataError(
                    f"{path}: found {mask.shape[1]} × {mask.shape[0]} pixels, but "
                    f"{self._images[image]} has {shape[1]} × {shape[0]}; a mask must have the size "
                    "of its image"
                )
            both = (mask > 0) & (joined > 0) & (mask != joined)
            if both.any():
                raise DataError(
                    f"{path}: found {np.count_nonzero(both)} pixels of a lesion that are another "
                    "one in a further mask of the image; draw each pixel as one lesion"
                )
            np.copyto(joined, mask, where=mask > 0)
        return joined

    def _pixels(self, path: Path) -> np.ndarray:
        """An image for resizing, its range brought to 0..255 as the configuration says."""
        color, intensity = self._layout.color, self._dataset.intensity
        pixels = stored_pixels(path, color, by_type=intensity == "type")
        span = self._common_span() if intensity == "dataset" else None
        return grey_levels(pixels, color, intensity, span)

    def _common_span(self) -> Span:
        """The least and the greatest stored value of all images, which are read for it once."""
        with self._spanning:
            if self._span is None:
                spans = [
                    span_of(stored_pixels(file, self._layout.color, by_type=False))
                    for file in self._images.values()
                ]
                self._span = min(low for low, _ in spans), max(high for _, high in spans)
            return self._span

    def _check_every_mask(self) -> None:
        """Without a CSV the labels are seen in the masks alone."""
        bare = [file for image, file in self._images.items() if image not in self._masks]
        if bare:
            raise DataError(
                f"{bare[0]}: has no mask, and without folder.labels (a CSV) its labels are unknown "
                f"({len(bare)} such images); add {_mask_name(self._layout, bare[0].stem)}, or take "
                "the images out"
            )


def _images(layout: FolderLayout) -> dict[str, Path]:
    """id -> file, in the order of the ids."""
    folder, found, suffix = Path(layout.images), {}, keys.tidy(layout.image_suffix)
    # Masks that lie among the images are told from them by their suffix.
    shared = layout.masks is not None and _same(folder, Path(layout.masks))
    if shared and not layout.mask_suffix:
        raise DataError(
            f"{folder}: is both folder.images and folder.masks, so folder.mask_suffix must say "
            "which files are masks; set it, or keep masks in a folder of their own"
        )
    for file in _files(folder, "folder.images", IMAGES):
        if shared and file.stem.endswith((*layout.mask_suffixes,)):
            continue
        if not keys.is_printable(file.stem):
            raise DataError(
                f"{folder}: file name {file.name!a} cannot be an id; rename it with printable "
                "characters, no backslash, and no space at either end"
            )
        stem = keys.tidy(file.stem)
        if not stem.endswith(suffix):
            continue
        image = stem.removesuffix(suffix)
        if image in found:
            raise DataError(
                f"{file}: {found[image].name} has the same stem, which is the image's id; "
                "rename or remove one of them"
            )
        found[image] = file
    if not found:
        raise DataError(
            f"{folder}: found no images (folder.images); expected files {', '.join(IMAGES)} in the "
            f"folder itself, not in folders below it{_suffix_hint(suffix)}"
        )
    twice = keys.look_alike(found)
    if twice:
        raise DataError(
            f"{folder}: found ids {keys.side_by_side(twice)}, which are spellings of one name; "
            "rename one of the images"
        )
    return found


def _suffix_hint(suffix: str) -> str:
    return f", whose stems end in {suffix!r} (folder.image_suffix)" if suffix else ""


def _mask_suffixes(layout: FolderLayout) -> tuple[str, ...]:
    return (*MASKS, *(JPEG if layout.mask_threshold is not None else ()))


def _masks(layout: FolderLayout, images: dict[str, Path]) -> dict[str, tuple[Path, ...]]:
    """Image id -> its masks, of the images that have one; one for each suffix at most."""
    folder, orphans = Path(str(layout.masks)), []
    found: dict[str, dict[str, Path]] = {}
    suffixes = sorted(map(keys.tidy, layout.mask_suffixes), key=len, reverse=True)
    for file in _files(folder, "folder.masks", _mask_suffixes(layout)):
        stem = keys.tidy(file.stem)
        suffix = next((x for x in suffixes if stem.endswith(x)), None)
        if suffix is None:
            continue
        image = stem.removesuffix(suffix)
        other = found.get(image, {}).get(suffix)
        if other is not None:
            raise DataError(f"{file}: {other.name} is a mask of the same image; remove one of them")
        if image in images:
            found.setdefault(image, {})[suffix] = file
        else:
            orphans.append((image, file))
    example = _mask_name(layout, next(iter(images)))
    if not found:
        raise DataError(
            f"{folder}: found no mask of any image (folder.masks); the first would be {example} "
            f"(or {', '.join(MASKS[1:])}). Correct folder.masks or folder.mask_suffix"
            f"{jpeg_hint(folder, layout)}"
        )
    if orphans:
        image, file = orphans[0]
        raise DataError(
            f"{file}: no image has this mask ({len(orphans)} such masks); masks are called "
            f"as {example}. Rename or remove it, or correct folder.mask_suffix"
            f"{keys.nearest(image, images)}"
        )
    return {image: tuple(masks.values()) for image, masks in found.items()}


def _files(folder: Path, key: str, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder with one of some suffixes, hidden ones left out, by name."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder ({key}); correct the path")
    named = sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes and not file.name.startswith(".")
    )
    dead = [file for file in named if not file.exists()]
    if dead:
        raise DataError(f"{dead[0]}: found a link to nothing; replace it by the file, or remove it")
    return [file for file in named if file.is_file()]


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _mask_name(layout: FolderLayout, image: str) -> str:
    return f"{Path(str(layout.masks)) / (image + layout.mask_suffixes[0])}{MASKS[0]}"


def _table(path: Path, columns: list[str]) -> tuple[Table, list[str]]:
    """The CSV of labels, with at least some columns; and a line that names its blank rows."""
    advice = "save it as a table with commas in UTF-8, with a row of column names first"
    table: Table = {}
    blank: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = reader.fieldnames or []
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise DataError(f"{path}: column {twice[0]!r} occurs twice; {advice}")
            missing = [column for column in ("id", *columns) if column not in names]
            if missing:
                raise DataError(
                    f"{path}: column {missing[0]!r} is missing; found {', '.join(names) or 'none'}."
                    f" Add the column, or {advice}{keys.nearest(missing[0], names)}"
                )
            for row in reader:
                if _is_blank(row):
                    blank.append(f"{reader.line_num}")
                    continue
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}: line {reader.line_num} does not have {len(names)} values, as many"
                        f" as there are columns; {advice}"
                    )
                row["id"] = keys.tidy(row["id"])
                if not row["id"]:
                    raise DataError(
                        f"{path}: line {reader.line_num} has no id; add the id of its image, or "
                        "delete the row"
                    )
                if row["id"] in table:
                    raise DataError(
                        f"{path}: id {row['id']!r} occurs twice; an image has one row. Delete "
                        "the others"
                    )
                table[row["id"]] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read (folder.labels): {error}; {advice}") from error
    return table, [f"{path}: ignored line {', '.join(blank)}: blank"] if blank else []


def _is_blank(row: dict[Any, Any]) -> bool:
    """Whether no cell of a row holds anything; spreadsheets end with such rows."""
    cells = [x for value in row.values() for x in (value if isinstance(value, list) else [value])]
    return not any(cell and cell.strip() for cell in cells)


def _match(path: Path, table: Table, images: dict[str, Path]) -> None:
    """Each image needs its row, and each row its image."""
    unlisted = [image for image in images if image not in table]
    if unlisted:
        raise DataError(
            f"{path}: no row for {images[unlisted[0]]} ({len(unlisted)} such images); add a row "
            f"with id {unlisted[0]!r} (the stem alone), or take the image out"
            f"{keys.nearest(unlisted[0], table)}"
        )
    absent = [image for image in table if image not in images]
    if absent:
        raise DataError(
            f"{path}: id {absent[0]!r} has no image in folder.images ({len(absent)} such rows); "
            f"add the image, or delete the row{keys.nearest(absent[0], images)}"
        )
