"""Images of one's own matched with their masks, by names alone.

A mask without image is an error, because a name that silently fails to match is noticed too late.
"""

import re
from pathlib import Path

from workflow.base.errors import DataError
from workflow.config.datasets import FolderLayout
from workflow.data.reading import keys
from workflow.data.sources.found_files import files_in, id_of

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
# No JPEG, unless a threshold is given: its compression makes up values along every edge.
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")
JPEG = (".jpg", ".jpeg")


def find_images(layout: FolderLayout) -> dict[str, Path]:
    """id -> file, in the order of the ids.

    Raises:
        DataError: there is none, or a name cannot be an id, or two are one.
    """
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
        if not file.stem.endswith(layout.image_suffix):
            continue
        name = id_of(file, folder, layout, file.stem.removesuffix(layout.image_suffix))
        if not printable(name):
            raise DataError(
                f"{folder}: file name {file.name!a} cannot be an id; rename it with printable "
                "characters, no backslash, and no space at either end"
            )
        image = keys.tidy(name)
        if image in found:
            below = ", or set folder.ids to path" if layout.subfolders else ""
            raise DataError(
                f"{file}: {found[image].relative_to(folder)} has the same stem, which is the "
                f"image's id; rename or remove one of them{below}"
            )
        found[image] = file
    if not found:
        ending = f"; stems end in {layout.image_suffix!r} (folder.image_suffix)"
        ending = ending if layout.image_suffix else ""
        where = " in the folder itself, not in folders below it (or set folder.subfolders)"
        raise DataError(
            f"{folder}: found no images (folder.images); expected files {', '.join(IMAGES)}"
            f"{'' if layout.subfolders else where}{ending}"
        )
    twice = keys.look_alike(found)
    if twice:
        raise DataError(
            f"{folder}: found ids {keys.side_by_side(twice)}, which are spellings of one name; "
            "rename one of the images"
        )
    return found


def mask_suffixes(layout: FolderLayout) -> tuple[str, ...]:
    """The suffixes of masks: JPEG only where a threshold undoes what it does."""
    return (*MASKS, *(JPEG if layout.mask_threshold is not None else ()))


def _image_of_mask(stem: str, layout: FolderLayout) -> str | None:
    """What the stem of a mask says of its image, before the suffix; None of what is no mask."""
    more = r"(?:[_-]?[0-9]+)?" if layout.several_masks else ""
    suffix = re.escape(keys.tidy(layout.mask_suffix))
    match = re.fullmatch(f"(.*){suffix}{more}", keys.tidy(stem), re.DOTALL)
    return match[1] if match else None


def find_masks(layout: FolderLayout, images: dict[str, Path]) -> dict[str, list[Path]]:
    """Image id -> its masks, of the images that have one.

    Raises:
        DataError: there is none, or one has no image, or an image has more than it may.
    """
    folder, found, orphans = Path(str(layout.masks)), dict[str, list[Path]](), dict[Path, str]()
    for file in _files(folder, "folder.masks", mask_suffixes(layout), layout):
        stem = _image_of_mask(file.stem, layout)
        if stem is None:
            continue
        image = keys.tidy(id_of(file, folder, layout, stem))
        if image in found and not layout.several_masks:
            raise DataError(
                f"{file}: {found[image][0].name} is a mask of the same image; remove one of them, "
                "or set folder.several_masks, if they belong over each other"
            )
        if image in images:
            found.setdefault(image, []).append(file)
        else:
            orphans[file] = image
    example = mask_name(layout, next(iter(images)))
    if not found:
        raise DataError(
            f"{folder}: found no mask of any image (folder.masks); the first would be {example} "
            f"(or {', '.join(MASKS[1:])}). Correct folder.masks or folder.mask_suffix"
            f"{_jpeg_hint(folder, layout)}"
        )
    if orphans:
        first = next(iter(orphans))
        near = keys.nearest(orphans[first], images)
        raise DataError(
            f"{first}: no image has this mask ({len(orphans)} such masks); masks are called "
            f"as {example}. Rename or remove it, or correct folder.mask_suffix{near}"
        )
    return found


def _jpeg_hint(folder: Path, layout: FolderLayout) -> str:
    """What to do where masks are JPEG."""
    count = sum(file.suffix.lower() in JPEG for file in folder.iterdir())
    if not count or layout.mask_threshold is not None:
        return ""
    return (
        f"; found {count} JPEG files there, in which compression makes up values along edges: set "
        "folder.mask_threshold (such as 128) in place of folder.mask_values to read them, or "
        "store masks as PNG"
    )


def _files(folder: Path, key: str, suffixes: tuple[str, ...], layout: FolderLayout) -> list[Path]:
    """The files of a folder with one of some suffixes, hidden ones left out, by name."""
    named = [f for f in files_in(folder, key, layout) if f.suffix.lower() in suffixes]
    dead = [file for file in named if not file.exists()]
    if dead:
        raise DataError(f"{dead[0]}: found a link to nothing; replace it by the file, or remove it")
    return [file for file in named if file.is_file()]


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def mask_name(layout: FolderLayout, image: str) -> str:
    """The path that the mask of an image would have."""
    return f"{Path(str(layout.masks)) / (image + layout.mask_suffix)}{MASKS[0]}"


def printable(name: str) -> bool:
    """Whether a name can stand in a table and be told from others by eye."""
    return bool(name) and name.isprintable() and name == name.strip() and not set("/\\") & set(name)
