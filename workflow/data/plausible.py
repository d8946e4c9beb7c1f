"""What prepared arrays look like when something went wrong before them: few greys, empty masks.

Each function tells of one such sign, in lines for the gates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workflow.base.digests import read_recorded_json

# An image of fewer grey levels that lie closer together than this is nearly flat: of 16-bit files
# that use 13 bits or less, or of a range that is not that of the images.
FEWEST_LEVELS, NARROWEST = 40, 64
# Percentiles between which its levels lie, a few bright or dead pixels aside.
_ENDS = (0.01, 0.99)
# More such images than this share are no accident.
MOST_FLAT = 0.25
_NAMED = 5


@dataclass(frozen=True)
class RawFacts:
    """What preparing saw of the raw files; see `workflow.data.prepare`.

    Attributes:
        known: whether it is on record; tells an empty mask from one that became so.
        ignored: lines that name files which are not used.
        lost: for each lesion, the images whose raw mask alone holds it.
    """

    known: bool = False
    ignored: Sequence[str] = ()
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "RawFacts":
        """Of a prepared data set; nothing is known where the file is not there."""
        if not file.is_file():
            return cls()
        found = read_recorded_json(file)
        return cls(True, found["ignored"], found["lost_in_resizing"])


def told_levels(
    dataset: str, ids: Sequence[str], images: Sequence[np.ndarray]
) -> tuple[str, list[str]]:
    """What is to be said of the images' grey levels, and what is wrong with them.

    Args:
        dataset: key of the data set.
        ids: of the images.
        images: uint8 `[H, W]` or `[H, W, 3]`.
    """
    counts = [_levels(image) for image in images]
    few = [i for i, (levels, _) in enumerate(counts) if levels < FEWEST_LEVELS]
    flat = [i for i in few if counts[i][1] < NARROWEST]
    middle = int(np.median([levels for levels, _ in counts])) if counts else 0
    detail = f"{middle} of 256 in the middle image"
    if few:
        names = _named([f"{ids[i]} ({counts[i][0]})" for i in few])
        detail += f"; WARNING: {len(few)} images have fewer than {FEWEST_LEVELS}: {names}"
    if len(flat) <= MOST_FLAT * len(images):
        return detail, []
    names = _named([f"{ids[i]} ({counts[i][0]})" for i in flat])
    return detail, [
        f"{len(flat)} of {len(images)} images have a handful of grey levels that lie close "
        f"together: {names}; the range that becomes 0 to 255 is not that of the images. Set "
        f"datasets.{dataset}.intensity to image or dataset (of a folder), volume (of volumes) or "
        "[low, high], or store the images with 8 bits of their range"
    ]


def _levels(image: np.ndarray) -> tuple[int, int]:
    """How many grey levels an image has, and between how many of them nearly all pixels lie.

    Of a colour image the channel that has most.
    """
    channels = image.reshape(-1, image.shape[2] if image.ndim == 3 else 1).T
    found = []
    for channel in channels:
        counts = np.bincount(channel, minlength=256)
        low, high = np.searchsorted(np.cumsum(counts) / channel.size, _ENDS)
        found.append((int(np.count_nonzero(counts)), int(high - low)))
    return max(found)


def told_lost(
    facts: RawFacts, absent: Mapping[str, Sequence[str]], labelled: Mapping[str, int]
) -> tuple[str, dict[str, Any]]:
    """Why lesions that a label says are there are not in the prepared masks.

    Args:
        facts: of the raw files.
        absent: lesion -> ids of the labelled images whose prepared mask lacks it.
        labelled: lesion -> how many images have its label.

    Returns:
        A line, and what to record: `lost_in_resizing` and, where the cause is known,
        `empty_in_file`.
    """
    if not labelled:
        return "no label names a lesion", {"lost_in_resizing": {}}
    lost = {
        name: [x for x in ids if not facts.known or x in set(facts.lost.get(name, ()))]
        for name, ids in absent.items()
    }
    empty = {name: [x for x in ids if x not in set(lost[name])] for name, ids in absent.items()}
    what = "lost in resizing" if facts.known else "lost in resizing, or empty in the file"
    detail = f"{what}: {_counted(lost, labelled)}"
    record: dict[str, Any] = {"lost_in_resizing": _record(lost, labelled)}
    if facts.known:
        record["empty_in_file"] = _record(empty, labelled)
        if any(empty.values()):
            names = _named([x for ids in empty.values() for x in ids])
            detail += f"; empty in the file, WARNING: {_counted(empty, labelled)}, such as {names}"
    return detail, record


def _counted(found: Mapping[str, Sequence[str]], of: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {len(found[name])} of {count}" for name, count in of.items())


def _record(found: Mapping[str, Sequence[str]], of: Mapping[str, int]) -> dict[str, Any]:
    return {name: {"images": len(found[name]), "of": count} for name, count in of.items()}


def cause_of_empty(facts: RawFacts, empty: Sequence[str]) -> str:
    """Where masks without any lesion became so: what to say after their number."""
    if not facts.known:
        return "look at the raw masks, or raise image_size"
    resized = {x for ids in facts.lost.values() for x in ids} & set(empty)
    return (
        f"{len(empty) - len(resized)} were empty in the file (look at the raw masks), "
        f"{len(resized)} became so in resizing (raise image_size)"
    )


def _named(names: Iterable[str]) -> str:
    names = [*names]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
