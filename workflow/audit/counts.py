"""A printed summary of data sets: images = volumes × slices, and the sizes of images on record."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

from workflow.audit.cells import DATA, PrintedCell
from workflow.audit.findings import (
    IMPOSSIBLE,
    INCONSISTENT,
    Atom,
    CellChange,
    Inference,
    Problem,
    TextChange,
)
from workflow.audit.paper import Paper
from workflow.audit.record import DatasetRecord, sizes
from workflow.audit.rounding import Interval

_PARTS = ("training", "testing")


def check_counts(paper: Paper) -> Iterator[Problem]:
    """Images, volumes and image sizes that the record of a data set does not allow."""
    for dataset, facts in _facts(paper).items():
        record = paper.record.get(dataset, DatasetRecord())
        if all(part in facts for part in _PARTS):
            yield from _check_sum(facts, record)
        if "volumes" in facts and record.slices:
            yield from _check_volumes(facts["volumes"], len(record.slices))
        if "image_size" in facts and record.pixels:
            yield from _check_size(facts["image_size"], record)


def infer_split(paper: Paper) -> Iterator[Inference]:
    """Whether training and test set can be whole volumes, and how many."""
    for dataset, facts in _facts(paper).items():
        slices = _slices(facts, paper.record.get(dataset, DatasetRecord()))
        if not slices or not all(part in facts for part in _PARTS):
            continue
        words = []
        for part in _PARTS:
            numbers = volumes_in(slices, int(facts[part].text))
            held = " or ".join(map(str, numbers)) if numbers else "no whole number of"
            words.append(f"{part} {facts[part].text} = {held} volumes")
        yield Inference("split", dataset, f"{'; '.join(words)}, of {len(slices)}.")


def volumes_in(slices: tuple[int, ...], images: int) -> list[int]:
    """How many whole volumes can hold exactly so many images; empty if none can.

    Args:
        slices: images of each volume that there is.
        images: the number to make up.
    """
    unit = math.gcd(*slices)
    if images % unit:
        return []
    # reach[n] has bit k set where n volumes can hold k units of images.
    reach = [1] + [0] * len(slices)
    for done, count in enumerate(slices):
        for taken in range(done, -1, -1):
            reach[taken + 1] |= reach[taken] << (count // unit)
    return [taken for taken, sums in enumerate(reach) if sums >> (images // unit) & 1]


def _facts(paper: Paper) -> dict[str, dict[str, PrintedCell]]:
    facts: dict[str, dict[str, PrintedCell]] = {}
    for cell in paper.cells:
        if cell.task == DATA:
            facts.setdefault(cell.dataset, {})[cell.metric] = cell
    return facts


def _slices(facts: dict[str, PrintedCell], record: DatasetRecord) -> tuple[int, ...]:
    """Images of each volume: from the record, or as many as the table prints volumes."""
    if record.slices or record.uniform is None or "volumes" not in facts:
        return record.slices
    return (record.uniform,) * int(facts["volumes"].text)


def _atom(rule: str, cell: PrintedCell) -> frozenset[Atom]:
    return frozenset({(rule, cell.dataset)})


def _check_sum(facts: dict[str, PrintedCell], record: DatasetRecord) -> Iterator[Problem]:
    """Training and test images together are those of all volumes."""
    slices = _slices(facts, record)
    training, testing = (int(facts[part].text) for part in _PARTS)
    total = sum(slices)
    if not slices or training + testing == total:
        return
    whole = [part for part in _PARTS if volumes_in(slices, int(facts[part].text))]
    broken = [part for part in _PARTS if part not in whole]
    # The count that is no whole number of volumes comes first: it is the likelier misprint.
    ordered = tuple(facts[part] for part in (*broken, *whole))
    wanted = {"training": total - testing, "testing": total - training}

    def suggest() -> Iterator[CellChange]:
        for part in (*broken, *whole):
            # Where one count is of whole volumes, a split by volume leaves whole volumes.
            if wanted[part] > 0 and (not whole or volumes_in(slices, wanted[part])):
                yield _exactly(facts[part], wanted[part])
        each = set(slices)
        if not record.slices and len(each) == 1 and (training + testing) % min(each) == 0:
            yield _exactly(facts["volumes"], (training + testing) // min(each))

    notes = "".join(
        f" {facts[part].text} is no whole number of volumes either." for part in broken if whole
    )
    yield Problem(
        kind="counts",
        severity=IMPOSSIBLE,
        cells=ordered,
        amount=Fraction(abs(training + testing - total)),
        text=(
            f"{training} + {testing} = {training + testing} images, but {len(slices)} volumes of "
            f"{' or '.join(map(str, sorted(set(slices))))} have {total}.{notes}"
        ),
        atoms=_atom("counts", ordered[0]),
        suggest=suggest,
    )


def _check_volumes(cell: PrintedCell, known: int) -> Iterator[Problem]:
    if int(cell.text) != known:
        yield Problem(
            kind="volumes",
            severity=INCONSISTENT,
            cells=(cell,),
            amount=Fraction(abs(int(cell.text) - known)),
            text=f"{cell.text} volumes are printed, {known} are on record.",
            atoms=_atom("volumes", cell),
            suggest=lambda: iter([_exactly(cell, known)]),
        )


def _check_size(cell: PrintedCell, record: DatasetRecord) -> Iterator[Problem]:
    """The printed sizes are those of the volumes, by their area: what voxel counts tell."""
    named = sizes(cell.text)
    areas = {width * height for width, height in named}
    if areas == set(record.pixels):
        return
    width = named[0][0] if named else None
    odd = [pixels for pixels in record.pixels if pixels not in areas]
    listed = _sizes_on_record(record, width)
    after = ", ".join(listed)
    absent = sorted(areas - set(record.pixels))
    text = (
        f"{cell.text} is printed; {len(odd)} of {len(record.pixels)} volumes are otherwise: "
        + ", ".join(f"{size} in {count} volumes" for size, count in listed.items())
        + "."
        + (f" No volume has {' or '.join(map(str, absent))} pixels an image." if absent else "")
    )
    yield Problem(
        kind="image size",
        severity=INCONSISTENT,
        cells=(cell,),
        amount=Fraction(len(odd)),
        text=text,
        atoms=_atom("image size", cell),
        suggest=lambda: iter(
            [TextChange(cell.place, cell.text, after, _print_instead(cell, after))]
        ),
    )


def _sizes_on_record(record: DatasetRecord, width: int | None) -> dict[str, int]:
    """Size -> number of volumes, by the printed width where the areas allow it."""
    counts: dict[str, int] = {}
    for pixels in sorted(record.pixels, reverse=True):
        fits = width is not None and pixels % width == 0
        size = f"{width}×{pixels // width}" if width and fits else f"{pixels}×1"
        counts[size] = counts.get(size, 0) + 1
    return counts


def _exactly(cell: PrintedCell, count: int) -> CellChange:
    return CellChange(cell, Interval(Fraction(count), Fraction(count)))


def _print_instead(cell: PrintedCell, text: str) -> Callable[[Paper], Paper]:
    return lambda paper: paper.with_cell(cell, text)
