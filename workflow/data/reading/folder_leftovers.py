"""What lies in the folders of a user and is no image or mask of the data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow.base.errors import DataError
from workflow.config.datasets import FolderLayout
from workflow.data.reading import keys
from workflow.data.reading.leftovers import (
    is_picture,
    reasons,
    refuse_pictures,
    split_hidden,
    unused,
)
from workflow.data.sources.found_files import is_meant

JPEG = (".jpg", ".jpeg")
NO_PICTURE = "no image by its name or beginning"


def ignored_files(
    layout: FolderLayout,
    images: Mapping[str, Path],
    masks: Mapping[str, Sequence[Path]],
    suffixes: tuple[tuple[str, ...], tuple[str, ...]],
) -> list[str]:
    """Lines that name the files which are not used, with the reason.

    Args:
        layout: names the folders.
        images: id -> image.
        masks: id -> its masks.
        suffixes: of images and of masks that are read.

    Raises:
        DataError: a picture lies there that belongs to nothing.
    """
    used = {*images.values(), *(file for files in masks.values() for file in files)}
    named = [Path(path) for path in (layout.images, layout.masks, layout.labels) if path]
    named = [path for path in named if path.exists()]
    folder, lines = Path(layout.images), []
    shared = layout.masks is not None and Path(layout.masks).samefile(folder)
    left = unused(folder, used, [path for path in named if not path.samefile(folder)])
    left, hidden = split_hidden(folder, left)
    lines += hidden
    left = _meant(layout, folder, left, lines)
    refuse_pictures("folder.images", folder, left, _words(suffixes[0]))
    lines += reasons(folder, left, NO_PICTURE)
    if layout.masks is not None and not shared:
        folder = Path(layout.masks)
        left = unused(folder, used, [path for path in named if not path.samefile(folder)])
        left, hidden = split_hidden(folder, left)
        lines += hidden
        left = _meant(layout, folder, left, lines)
        other = _other_pictures(layout, folder, left, images, masks, suffixes[1])
        left = [file for file in left if file not in other]
        also = "" if layout.mask_threshold is not None else ", or folder.mask_threshold for JPEG"
        refuse_pictures("folder.masks", folder, left, f"{_words(suffixes[1])}{also}")
        lines += reasons(folder, left, NO_PICTURE)
        lines += reasons(folder, other, f"their stems do not end in {_endings(layout)}")
    return lines


def _meant(layout: FolderLayout, folder: Path, files: list[Path], lines: list[str]) -> list[Path]:
    """The files that the configuration's patterns do not leave out; a line names the others."""
    kept = [file for file in files if is_meant(file, folder, layout)]
    lines += reasons(folder, set(files) - set(kept), "by folder.include and folder.exclude")
    return kept


def _endings(layout: FolderLayout) -> str:
    return " or ".join(map(repr, layout.mask_suffixes))


def _words(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"


def _other_pictures(
    layout: FolderLayout,
    folder: Path,
    left: list[Path],
    images: Mapping[str, Path],
    masks: Mapping[str, Sequence[Path]],
    suffixes: tuple[str, ...],
) -> list[Path]:
    """Pictures beside the masks that are meant for something else: `a_superpixels.png`.

    Raises:
        DataError: one of them seems to be a mask after all.
    """
    if "" in layout.mask_suffixes:
        return []
    other = [
        file
        for file in left
        if file.parent == folder and file.suffix.lower() in suffixes and is_picture(file)
    ]
    bare = [image for image in images if image not in masks]
    ids = {image.casefold(): image for image in images}
    endings = [keys.tidy(suffix) for suffix in layout.mask_suffixes]
    for file in other:
        stem = keys.tidy(file.stem)
        image = _longest_prefix(stem, ids)
        if (image is None and bare) or image in bare:
            example = image or bare[0]
            raise DataError(
                f"{file}: found a picture whose stem does not end in {_endings(layout)} "
                f"(folder.mask_suffix), and {images[example]} has no mask ({len(bare)} such "
                f"images); rename it to {example}{layout.mask_suffixes[0]}{file.suffix} if it is "
                "its mask, or move it out of the folder"
            )
        if image is not None and stem.startswith(tuple(f"{image}{x}" for x in endings)):
            raise DataError(
                f"{file}: found what seems to be a further mask of {images[image]}, beside "
                f"{masks[image][0].name}; list its suffix in folder.mask_suffix too, or move it out"
                " of the folder"
            )
    return other


def _longest_prefix(stem: str, ids: Mapping[str, str]) -> str | None:
    """The longest id with which a stem begins, capitals aside; `ids` are by their small letters."""
    folded = stem.casefold()
    return next((ids[folded[:n]] for n in range(len(folded), 0, -1) if folded[:n] in ids), None)


def jpeg_hint(folder: Path, layout: FolderLayout) -> str:
    """What to do where masks are JPEG."""
    count = sum(file.suffix.lower() in JPEG for file in folder.iterdir())
    if not count or layout.mask_threshold is not None:
        return ""
    return (
        f"; found {count} JPEG files there, in which compression makes up values along edges: set "
        "folder.mask_threshold (such as 128) in place of folder.mask_values to read them, or "
        "store masks as PNG"
    )
