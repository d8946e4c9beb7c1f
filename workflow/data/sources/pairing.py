"""Images of one's own matched with their masks, by names alone.

A mask without image is an error, because a name that silently fails to match is noticed too late.
"""

from pathlib import Path

from workflow.base.errors import DataError
from workflow.config.datasets import FolderLayout
from workflow.data.reading import keys
from workflow.data.reading.folder_leftovers import JPEG, jpeg_hint
from workflow.data.sources.found_files import files_in, id_of

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
# No JPEG, unless a threshold is given: its compression makes up values along every edge.
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")


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
        if not keys.is_printable(id_of(file, folder, layout)):
            raise DataError(
                f"{folder}: file name {file.name!a} cannot be an id; rename it with printable "
                "characters, no backslash, and no space at either end"
            )
        stem, suffix = keys.tidy(file.stem), keys.tidy(layout.image_suffix)
        if not stem.endswith(suffix):
            continue
        image = keys.tidy(id_of(file, folder, layout, stem.removesuffix(suffix)))
        if image in found:
            below = ", or set folder.ids to path" if layout.subfolders else ""
            raise DataError(
                f"{file}: {found[image].relative_to(folder)} has the same stem, which is the "
                f"image's id; rename or remove one of them{below}"
            )
        found[image] = file
    if not found:
        ending = f", whose stems end in {layout.image_suffix!r} (folder.image_suffix)"
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


def _image_of_mask(stem: str, layout: FolderLayout) -> tuple[str, str] | None:
    """What the stem of a mask says of its image, and its suffix; None of what is no mask."""
    stem = keys.tidy(stem)
    for suffix in sorted(map(keys.tidy, layout.mask_suffixes), key=len, reverse=True):
        if stem.endswith(suffix):
            return stem.removesuffix(suffix), suffix
    return None


def find_masks(layout: FolderLayout, images: dict[str, Path]) -> dict[str, tuple[Path, ...]]:
    """Image id -> its masks, of the images that have one; one for each suffix at most.

    Raises:
        DataError: there is none, or one has no image, or two are called alike.
    """
    folder, orphans = Path(str(layout.masks)), list[tuple[str, Path]]()
    found: dict[str, dict[str, Path]] = {}
    for file in _files(folder, "folder.masks", mask_suffixes(layout), layout):
        parts = _image_of_mask(file.stem, layout)
        if parts is None:
            continue
        stem, suffix = parts
        image = keys.tidy(id_of(file, folder, layout, stem))
        other = found.get(image, {}).get(suffix)
        if other is not None:
            raise DataError(f"{file}: {other.name} is a mask of the same image; remove one of them")
        if image in images:
            found.setdefault(image, {})[suffix] = file
        else:
            orphans.append((image, file))
    example = mask_name(layout, next(iter(images)))
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
    return f"{Path(str(layout.masks)) / (image + layout.mask_suffixes[0])}{MASKS[0]}"
