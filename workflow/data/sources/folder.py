"""Images and masks of one's own: plain files in folders, with a CSV of labels beside them.

`FolderLayout` in workflow/config/datasets.py says what may be configured. Images are matched with
masks, and with the rows of the CSV, by their stems. A mask or a row without image is an error,
because a name that silently fails to match is noticed too late.
"""

import csv
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from workflow.base.errors import DataError
from workflow.config.datasets import Dataset, FolderLayout
from workflow.config.model import Config
from workflow.data.sources.found_files import check_patterns, files_in, groups_by_pattern, id_of
from workflow.data.sources.source import RawImage, Row, Source

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
# No JPEG: its compression makes up values along every edge.
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")
# 0 to 65535 becomes 0 to 255.
SIXTEEN_BIT = 257
# pandas writes integers as 1.0 where a column has gaps.
BINARY = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
# What Pillow raises for files that are cut or altered.
DAMAGED = (OSError, ValueError, SyntaxError, TypeError, EOFError, struct.error)


def open_source(config: Config, dataset: str) -> Source:
    """The source of a data set."""
    definition = config.datasets[dataset]
    assert definition.folder is not None  # a configuration with this source has it
    if definition.folder.volumes:
        from workflow.data.sources.volume_folder import VolumeFolder  # which imports SimpleITK

        return VolumeFolder(definition, definition.folder)
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
        check_patterns(layout)
        self._images = _images(layout)
        self._masks = _masks(layout, self._images) if layout.masks is not None else {}
        self._labels: dict[str, dict[str, int]] = {}
        groups = {image: image for image in self._images}
        self.tables: Sequence[Path] = ()
        if layout.labels is not None:
            path = Path(layout.labels)
            columns = [*dataset.labels, *([layout.group] if layout.group else [])]
            table = _table(path, columns, layout.id_column)
            _match(path, table, self._images)
            self._labels = _labels(path, table, dataset.labels)
            if layout.group is not None:
                groups = _groups(path, table, layout.group)
            self.tables = (path,)
        else:
            self._check_every_mask()
        if layout.group_pattern is not None:
            groups = groups_by_pattern(self._images, layout.group_pattern)
        self._members: dict[str, list[str]] = {}
        for image in self._images:
            self._members.setdefault(groups[image], []).append(image)
        self.groups: Sequence[str] = sorted(self._members)

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
            pixels = _pixels(self._images[image], self._layout.color)
            mask = self._mask(self._masks[image]) if image in self._masks else None
            height, width = pixels.shape[:2]
            yield RawImage(image, pixels, mask, (height, width))

    def _row(self, group: str, image: str) -> Row:
        file, masks = self._images[image], self._masks.get(image, [])
        with _opened(file) as opened:
            width, height = opened.size
        pixels = dict.fromkeys(self._dataset.lesions, 0) if self._masks else {}
        if masks:
            values = self._mask(masks)
            if values.shape != (height, width):
                raise DataError(
                    f"{masks[0]}: found {values.shape[1]} × {values.shape[0]} pixels, but {file} "
                    f"has {width} × {height}; a mask must have the size of its image"
                )
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

    def _mask(self, paths: list[Path]) -> np.ndarray:
        """The masks of an image, laid over each other, as uint8 `[H, W]` with k for lesion k."""
        first, *others = paths
        mask = self._one_mask(first)
        for path in others:
            more = self._one_mask(path)
            if more.shape != mask.shape:
                raise DataError(
                    f"{path}: found {more.shape[1]} × {more.shape[0]} pixels, but {first} has "
                    f"{mask.shape[1]} × {mask.shape[0]}; masks of one image have one size"
                )
            both = (mask > 0) & (more > 0) & (mask != more)
            if both.any():
                raise DataError(
                    f"{path}: {np.count_nonzero(both)} pixels are of another lesion in the other "
                    f"masks of its image, such as {first}; a pixel has one lesion. Correct the "
                    "masks"
                )
            mask = np.maximum(mask, more)
        return mask

    def _one_mask(self, path: Path) -> np.ndarray:
        """A mask as uint8 `[H, W]` with k for the k-th lesion."""
        values = _mask_values(path)
        mask = np.zeros(values.shape, np.uint8)
        for k, value in enumerate(self._layout.mask_values, start=1):
            mask[values == value] = k
        unknown = values[(mask == 0) & (values != 0)]
        if unknown.size:
            meanings = zip(self._layout.mask_values, self._dataset.lesions, strict=True)
            raise DataError(
                f"{path}: found value {unknown.min()} in a mask ({unknown.size} pixels have an "
                "unknown value); allowed: 0 background, "
                f"{', '.join(f'{value} {lesion}' for value, lesion in meanings)}. Correct the mask "
                "or folder.mask_values"
            )
        return mask

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
    folder, found = Path(layout.images), {}
    # Masks that lie among the images are told from them by their suffix.
    shared = layout.masks is not None and _same(folder, Path(layout.masks))
    if shared and not layout.mask_suffix:
        raise DataError(
            f"{folder}: is both folder.images and folder.masks, so folder.mask_suffix must say "
            "which files are masks; set it, or keep masks in a folder of their own"
        )
    for file in _files(folder, "folder.images", IMAGES, layout):
        if shared and _image_of_mask(file.stem, layout) is not None:
            continue
        image = id_of(file, folder, layout)
        if not _printable(image):
            raise DataError(
                f"{folder}: file name {file.name!a} cannot be an id; rename it with printable "
                "characters, no backslash, and no space at either end"
            )
        if image in found:
            below = ", or set folder.ids to path" if layout.subfolders else ""
            raise DataError(
                f"{file}: {found[image].relative_to(folder)} has the same stem, which is the "
                f"image's id; rename or remove one of them{below}"
            )
        found[image] = file
    if not found:
        where = (
            ""
            if layout.subfolders
            else (" in the folder itself, not in folders below it (or set folder.subfolders)")
        )
        raise DataError(
            f"{folder}: found no images (folder.images); expected files {', '.join(IMAGES)}{where}"
        )
    return found


def _image_of_mask(stem: str, layout: FolderLayout) -> str | None:
    """What the stem of a mask says of its image, before the suffix; None of what is no mask."""
    more = r"(?:[_-]?[0-9]+)?" if layout.several_masks else ""
    match = re.fullmatch(f"(.*){re.escape(layout.mask_suffix)}{more}", stem, re.DOTALL)
    return match[1] if match else None


def _masks(layout: FolderLayout, images: dict[str, Path]) -> dict[str, list[Path]]:
    """Image id -> its masks, of the images that have one."""
    folder, found, orphans = Path(str(layout.masks)), dict[str, list[Path]](), []
    for file in _files(folder, "folder.masks", MASKS, layout):
        stem = _image_of_mask(file.stem, layout)
        if stem is None:
            continue
        image = id_of(file, folder, layout, stem)
        if image in found and not layout.several_masks:
            raise DataError(
                f"{file}: {found[image][0].name} is a mask of the same image; remove one of them, "
                "or set folder.several_masks, if they belong over each other"
            )
        if image in images:
            found.setdefault(image, []).append(file)
        else:
            orphans.append(file)
    example = _mask_name(layout, next(iter(images)))
    if not found:
        raise DataError(
            f"{folder}: found no mask of any image (folder.masks); the first would be {example} "
            f"(or {', '.join(MASKS[1:])}). Correct folder.masks or folder.mask_suffix"
        )
    if orphans:
        raise DataError(
            f"{orphans[0]}: no image has this mask ({len(orphans)} such masks); masks are called "
            f"as {example}. Rename or remove it, or correct folder.mask_suffix"
        )
    return found


def _files(folder: Path, key: str, suffixes: tuple[str, ...], layout: FolderLayout) -> list[Path]:
    """The files of a folder with one of some suffixes, hidden ones left out, by name."""
    named = [f for f in files_in(folder, key, layout) if f.suffix.lower() in suffixes]
    dead = [file for file in named if not file.exists()]
    if dead:
        raise DataError(f"{dead[0]}: found a link to nothing; replace it by the file, or remove it")
    return [file for file in named if file.is_file()]


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _mask_name(layout: FolderLayout, image: str) -> str:
    return f"{Path(str(layout.masks)) / (image + layout.mask_suffix)}{MASKS[0]}"


def _printable(name: str) -> bool:
    """Whether a name can stand in a table and be told from others by eye."""
    return bool(name) and name.isprintable() and name == name.strip() and not set("/\\") & set(name)


# Image id -> column -> text.
_Table = dict[str, dict[str, str]]


def _table(path: Path, columns: list[str], id_column: str) -> _Table:
    """The CSV of labels, with at least some columns, one of them with the ids."""
    advice = "save it as a table with commas in UTF-8, with a row of column names first"
    table: _Table = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = reader.fieldnames or []
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise DataError(f"{path}: column {twice[0]!r} occurs twice; {advice}")
            missing = [column for column in (id_column, *columns) if column not in names]
            if missing:
                raise DataError(
                    f"{path}: column {missing[0]!r} is missing; found {', '.join(names) or 'none'}."
                    f" Add the column, or {advice}"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}: line {reader.line_num} does not have {len(names)} values, as many"
                        f" as there are columns; {advice}"
                    )
                if row[id_column] in table:
                    raise DataError(
                        f"{path}: id {row[id_column]!r} occurs twice; an image has one row. Delete "
                        "the others"
                    )
                table[row[id_column]] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read (folder.labels): {error}; {advice}") from error
    return table


def _match(path: Path, table: _Table, images: dict[str, Path]) -> None:
    """Each image needs its row, and each row its image."""
    unlisted = [file for image, file in images.items() if image not in table]
    if unlisted:
        raise DataError(
            f"{path}: no row for {unlisted[0]} ({len(unlisted)} such images); add a row with id "
            f"{next(image for image in images if image not in table)!r} (the stem alone), or take "
            "the image out"
        )
    absent = [image for image in table if image not in images]
    if absent:
        raise DataError(
            f"{path}: id {absent[0]!r} has no image in folder.images ({len(absent)} such rows); "
            "add the image, or delete the row"
        )


def _labels(path: Path, table: _Table, labels: list[str]) -> dict[str, dict[str, int]]:
    """id -> label -> 0 or 1."""
    for image, row in table.items():
        for label in labels:
            if row[label] not in BINARY:
                raise DataError(
                    f"{path}: {image}: found {row[label]!r} in column {label!r}; allowed: 0 and 1"
                )
    return {image: {name: BINARY[row[name]] for name in labels} for image, row in table.items()}


def _groups(path: Path, table: _Table, column: str) -> dict[str, str]:
    """id -> group."""
    for image, row in table.items():
        if not _printable(row[column]):
            raise DataError(
                f"{path}: {image}: found {row[column]!r} in column {column!r} (folder.group); "
                "expected a name in printable characters, no slashes, no space at either end"
            )
    return {image: row[column] for image, row in table.items()}


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file whose pixels lie as they are shown; errors of decoding name the file."""
    try:
        with Image.open(path) as image:
            # The further pictures in a telephone's JPEG (MPO) are previews of the first.
            pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
            if pages > 1:
                raise DataError(
                    f"{path}: found {pages} pages or frames; expected one. Store each as a file"
                )
            if turn in range(2, 9):
                raise DataError(
                    f"{path}: found EXIF orientation {turn}, so it is shown turned or mirrored, and"
                    " whether its mask is too cannot be known; store it upright, without the tag "
                    "(mogrify -auto-orient), and compare it with its mask"
                )
            yield image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {str(error).rstrip('.')}; store it smaller") from error
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be decoded ({error}); replace the file") from error


def _pixels(path: Path, color: bool) -> np.ndarray:
    """uint8 `[H, W, 3]` in colour; else `[H, W]`, uint8, or float32 in 0..255 of 16-bit files."""
    with _opened(path) as image:
        if image.mode.startswith("I;16"):
            deep = np.asarray(image).astype(np.float32) / SIXTEEN_BIT
            return np.repeat(np.rint(deep).astype(np.uint8)[..., None], 3, 2) if color else deep
        if image.mode in ("I", "F"):
            raise DataError(
                f"{path}: found pixels of 32 bits; expected 8, or 16 in grey. Convert the file"
            )
        return np.asarray(image.convert("RGB" if color else "L"))


def _mask_values(path: Path) -> np.ndarray:
    """A mask's values `[H, W]` as stored: of a palette the indices, not the colours.

    But writers of GIF number a palette as they like, so that of a grey GIF the greys count.
    """
    with _opened(path) as image:
        palette = np.array(image.getpalette() or []).reshape(-1, 3)
        grey = image.format == "GIF" and (palette == palette[:, :1]).all()
        values = np.asarray(image.convert("L") if grey else image)
    if values.ndim == 3:
        # Grey or RGB, with or without alpha.
        channels = values[..., : 1 if values.shape[2] == 2 else 3]
        if (channels != channels[..., :1]).any():
            raise DataError(
                f"{path}: found a mask in colour; expected one channel, or equal ones. Store the "
                "values of folder.mask_values instead of colours"
            )
        values = channels[..., 0]
    return values.astype(np.uint8) if values.dtype == bool else values
