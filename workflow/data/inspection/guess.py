"""A first configuration for a folder that nobody has described, every guess with a comment."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from workflow.base.errors import DataError
from workflow.data.inspection.folder_facts import (
    MaskValues,
    Pairing,
    TableGuess,
    find_pairing,
    find_table,
    pixels_of,
    spread,
    values_of,
)
from workflow.data.inspection.group_pattern import guess_groups

# Sides of the square that networks take; the paper's is 224.
SIZES = (224, 256, 512)
METHODS = (("UNet++", "unetpp"), ("EfficientNet", "efficientnet"))
# A line of YAML with a comment behind it.
Line = tuple[str, str]


def name_for(folder: Path) -> str:
    """A key of the configuration made of a folder's name."""
    plain = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")
    return plain if plain and plain[0].isalpha() else f"data_{plain}".strip("_")


def first_configuration(folder: Path, name: str) -> str:
    """YAML that brings in the images of a folder, as far as looking at them tells how.

    Args:
        folder: has the images, and perhaps masks and a table of labels, at any depth.
        name: key of the data set and of its preset.

    Raises:
        DataError: there are no images, or neither masks nor labels, or a file cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the one that has the images")
    found = find_pairing(folder)
    table = None if found.suffix else find_table(folder, list(found.pairs))
    drawn = [file for _, files in found.pairs.values() for file in files]
    if not drawn and table is None:
        raise DataError(
            f"{folder}: found {len(found.pairs)} images, but neither masks nor a CSV whose ids are "
            "theirs, so that nothing can be learnt; expected masks in a folder such as `masks`, or "
            "beside the images as a_mask.png. Add them, or write the configuration by hand "
            "(docs/data.md)"
        )
    values = values_of(drawn) if drawn else MaskValues([], [], soft=False)
    lesions = _lesions(values)
    labels = table.labels if table and table.labels else lesions
    sizes = _sizes(found)
    lines: list[Line] = [
        (f"preset: {name}", f"results are written to results/{name}"),
        (f"presets: {{{name}: {{}}}}", ""),
        (f"select: {{datasets: [{name}]}}", ""),
        ("datasets:", ""),
        (f"  {name}:", ""),
        (f"    title: {_text(folder.resolve().name)}", "as it is called in tables and figures"),
        ("    source: folder", ""),
        ("    folder:", ""),
        *((f"      {text}", why) for text, why in _folder_lines(found, values, table)),
        (f"    image_size: {_image_size(sizes)}", f"images are {_range(sizes)} pixels (w×h)"),
        *((f"    {text}", why) for text, why in _intensity(found)),
        (f"    lesions: {_list(lesions)}", "what masks hold, in the order of their values: rename"),
        (f"    labels: {_list(labels)}", _why_labels(table, labels)),
        ("    split: 0.7/0.1/0.2", "train, validation, test; or kfold 1/5, or a CSV (id, split)"),
        ("    duplicates: null", ""),
        ("tables:", ""),
        (f"  {name}:", ""),
        (f"    caption: {_text(folder.resolve().name)} (not a table of the paper).", ""),
        ("    mark: color", ""),
        ("    columns:", ""),
        (f"      - {{title: {_text(folder.resolve().name)}, dataset: {name}, metrics: "
         "[ji, dsc, acc, sen, spe]}", ""),
        ("    rows:", ""),
        *((f"      - {{title: {title}, method: {method}}}", "") for title, method in METHODS),
        ('      - {title: "ResFormer (parallel)", method: resformer_par}', ""),
    ]  # fmt: skip
    return _head(folder, found) + "".join(_joined(lines))


def _head(folder: Path, found: Pairing) -> str:
    with_masks = sum(bool(files) for _, files in found.pairs.values())
    kind = "volumes" if found.suffix else "images"
    return (
        f"# A first configuration for {folder}, written by `resformer init`. Every value is a\n"
        f"# guess from what lies there: {len(found.pairs)} {kind}, {with_masks} of them with a "
        "mask. Read it through, then:\n"
        "#   resformer check THIS_FILE    what would be trained on, with a page of samples\n"
        "#   snakemake --cores all --configfile THIS_FILE\n"
        "# docs/data.md has all keys.\n"
    )


def _folder_lines(found: Pairing, values: MaskValues, table: TableGuess | None) -> list[Line]:
    """The keys of `folder`."""
    color = not found.suffix and _in_colour(found)
    lines: list[Line] = [
        (f"images: {_text(str(found.images))}", _example(found)),
        (f"masks: {_text(str(found.masks)) if found.masks else 'null'}", _example_mask(found)),
        *_suffixes(found),
        *_values(found, values),
        *_table_lines(found, table),
        (f"color: {json.dumps(color)}", "three channels that differ" if color else "grey"),
    ]
    if found.below:
        lines.append(("subfolders: true", "files lie in folders below"))
    if found.below and len({f.name for f, _ in found.pairs.values()}) < len(found.pairs):
        lines.append(("ids: path", "two images have one name, in different folders"))
    if found.suffix:
        lines.append(("volumes: true", f"each file {found.suffix} is a volume; slices are images"))
    return lines


def _suffixes(found: Pairing) -> list[Line]:
    lines: list[Line] = []
    if found.image_suffix:
        lines.append((f"image_suffix: {_text(found.image_suffix)}", "behind the id, in images"))
    if len(found.mask_suffixes) > 1:
        why = "some images have several masks, which are joined"
        lines.append((f"mask_suffix: {_list(found.mask_suffixes)}", why))
    elif any(found.mask_suffixes):
        lines.append((f"mask_suffix: {_text(found.mask_suffixes[0])}", "behind the id, in masks"))
    return lines


def _values(found: Pairing, values: MaskValues) -> list[Line]:
    """How masks are read."""
    if found.masks is None:
        return [("mask_values: [255]", "there are no masks; not used")]
    if values.soft:
        return [("mask_threshold: 128", "soft edges or JPEG: from this value on it is lesion")]
    if values.colours:
        listed = ", ".join(f"[{r}, {g}, {b}]" for r, g, b in values.colours)
        return [(f"mask_colors: [{listed}]", "the colours found beside black")]
    return [(f"mask_values: {values.values or [255]}", "the values found beside 0")]


def _table_lines(found: Pairing, table: TableGuess | None) -> list[Line]:
    """The CSV, and which images belong together."""
    lines: list[Line] = []
    if table is not None and table.labels:
        lines.append((f"labels: {_text(str(table.file))}", "its ids are those of the images"))
        if table.id_column != "id":
            lines.append((f"id_column: {_text(table.id_column)}", "the column with the ids"))
        if table.label_column is not None:
            lines.append((f"label_column: {_text(table.label_column)}", "names the label: right?"))
        if table.group is not None:
            lines.append((f"group: {_text(table.group)}", "its images stay on one side: right?"))
            return lines
    guess = guess_groups(list(found.pairs))
    if guess is None:
        lines.append(("# group_pattern: '^(P[0-9]+)_'", "if several images are of one patient"))
    else:
        lines.append(
            (f"group_pattern: {_text(guess.pattern)}",
             f"{guess.groups} groups, such as {guess.example}: of one patient? if not, leave out")
        )  # fmt: skip
    return lines


def _intensity(found: Pairing) -> list[Line]:
    """How grey values become 8-bit, where that needs to be said."""
    deep = [pixels_of(image) for image, _ in list(found.pairs.values())[:5]]
    types = {pixels.dtype.name for pixels in deep}
    if types == {"uint8"}:
        return []
    low, high = min(x.min() for x in deep), max(x.max() for x in deep)
    rule = "volume" if found.suffix else "image"
    return [
        (f"intensity: {rule}",
         f"values are {', '.join(sorted(types))} from {low:g} to {high:g}; or one range for all: "
         "[low, high]")
    ]  # fmt: skip


def _in_colour(found: Pairing) -> bool:
    images = [image for image, _ in found.pairs.values()]
    return any(
        pixels.ndim == 3 and bool((np.ptp(pixels.astype(int), axis=2) > 0).any())
        for pixels in map(pixels_of, spread(images)[:10])
    )


def _sizes(found: Pairing) -> list[tuple[int, int]]:
    """Width and height of some images."""
    images = spread([image for image, _ in found.pairs.values()])
    shapes = [pixels_of(image).shape for image in images]
    plane = slice(1, 3) if found.suffix else slice(0, 2)
    return [(int(shape[plane][1]), int(shape[plane][0])) for shape in shapes]


def _image_size(sizes: Iterable[tuple[int, int]]) -> int:
    """The largest usual size that is not above the images' own, or else the smallest."""
    typical = float(np.median([min(size) for size in sizes]))
    return max((size for size in SIZES[:2] if size <= typical), default=SIZES[0])


def _range(sizes: list[tuple[int, int]]) -> str:
    least, most = min(sizes), max(sizes)
    text = f"{least[0]}×{least[1]}"
    return text if least == most else f"{text} to {most[0]}×{most[1]}"


def _lesions(values: MaskValues) -> list[str]:
    count = 1 if values.soft else len(values.values) or len(values.colours) or 1
    return ["lesion"] if count == 1 else [f"lesion_{k}" for k in range(1, count + 1)]


def _why_labels(table: TableGuess | None, labels: list[str]) -> str:
    if table is not None and table.labels:
        return "what its column holds" if table.label_column else "columns of 0 and 1"
    return "an image has a label if its mask holds the lesion" if labels else ""


def _example(found: Pairing) -> str:
    return f"{next(iter(found.pairs.values()))[0].name}, ..."


def _example_mask(found: Pairing) -> str:
    drawn = [file.name for _, files in found.pairs.values() for file in files]
    without = sum(not files for _, files in found.pairs.values())
    return (f"{drawn[0]}, ..." if drawn else "none was found") + (
        f"; {without} images have none" if drawn and without else ""
    )


def _text(value: str) -> str:
    """A word of YAML, in quotes where it needs them."""
    return value if re.fullmatch(r"[A-Za-z_./][\w./-]*", value) else json.dumps(value)


def _list(names: list[str]) -> str:
    return f"[{', '.join(map(_text, names))}]"


def _joined(lines: list[Line]) -> Iterable[str]:
    for text, why in lines:
        yield f"{text}  # {why}\n" if why else f"{text}\n"
