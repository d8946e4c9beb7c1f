"""Images that occur twice: found among all pairs, or known from a list.

Two images are compared without their mean brightness and colour, so that a copy is found that was
encoded again, resized or shifted in colour. First small grey copies are compared (a perceptual hash
without the rounding to bits); the few that are close are compared once more, larger and in colour.
No pair is left out that could be close, and few others are looked at: see `_near`. `python -m
benchmarks.copies` prints how long it takes.

The thresholds are set on ISIC 2017, on 2,450 images at 96 to 256 px, in the middle (by ratio)
between the 13 pairs that show one photograph (differences up to 1.0 small, 1.3 larger) and the
nearest pair that does not (3.7 small, 3.0 larger).
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from PIL import Image

from workflow.base.errors import DataError
from workflow.data.reading import keys

Kind = Literal["identical", "near"]

# Sizes in pixels of the first and the second comparison.
SMALL, LARGER = 32, 64
# In grey levels: the root mean square difference of small copies, the mean absolute difference of
# larger ones. Speckle, and what JPEG makes of it, is averaged away at these sizes.
CLOSE = 2.0
# Correlation of both, without which two dim images would be close whatever they show.
ALIKE = 0.95
# Mean absolute difference of small copies, brightness included: JPEG at quality 75 and another
# size stays below 0.5; the photographs of ISIC 2017 that were processed twice begin at 0.7.
IDENTICAL = 0.6
# Standard deviation of a small copy below which an image shows nothing that could be compared.
FLAT = 1.0
# Blocks along a side of a small copy, by which pairs that cannot be close are left out.
_BLOCKS = 4
# Images whose neighbours, and pairs whose copies, are in memory at a time.
_ROWS, _PAIRS = 512, 4096

_REQUIRED = ["image_a", "image_b"]
_OPTIONAL = ["kind", "split_a", "split_b", "mean_abs_diff_256"]


@dataclass(frozen=True)
class Pair:
    """Two images of one content.

    Attributes:
        a, b: their positions, a below b.
        kind: `identical` up to encoding and size, or `near`: processed in different ways.
        difference: see `difference`.
    """

    a: int
    b: int
    kind: Kind
    difference: float


@dataclass(frozen=True)
class Duplicates:
    """What a comparison of all pairs found; `flat` are the images too flat to be compared."""

    pairs: list[Pair]
    flat: list[int]


def find_duplicates(images: Sequence[np.ndarray], groups: Sequence[str]) -> Duplicates:
    """The pairs of images that show the same, in order.

    Args:
        images: uint8 `[H, W]` or `[H, W, 3]`, all of one shape; each is read once, and those of
            likely pairs once more.
        groups: one per image; images of one group (slices of a volume) are not compared.
    """
    small = np.stack([_small(image) for image in images])
    centred = small - small.mean(axis=1, keepdims=True)
    flat = centred.std(axis=1) < FLAT
    pairs = []
    for a, b in _candidates(
        centred, np.flatnonzero(~flat), np.unique(groups, return_inverse=True)[1]
    ):
        if _same(images[a], images[b]):
            kind = "identical" if np.abs(small[a] - small[b]).mean() <= IDENTICAL else "near"
            pairs.append(Pair(a, b, kind, difference(images[a], images[b])))
    return Duplicates(
        sorted(pairs, key=lambda pair: (pair.a, pair.b)), np.flatnonzero(flat).tolist()
    )


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The mean absolute difference of two images in grey levels (0 to 255), at 64 px or below."""
    return float(np.abs(_larger(a) - _larger(b)).mean())


def read_known(path: Path) -> dict[frozenset[str], Kind | None]:
    """The pairs of a CSV of duplicates, with their kind where the file has that column.

    Columns `image_a` and `image_b` are required; `kind` is `identical` or `near`; `split_a`,
    `split_b` and `mean_abs_diff_256` are for people.

    Raises:
        DataError: naming the file and its first wrong row or column.
    """
    allowed = f"expected {', '.join(_REQUIRED)} and perhaps {', '.join(_OPTIONAL)}"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; `duplicates` names a CSV of pairs, or null"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty; {allowed}") from None
    except ValueError as error:  # also what is not UTF-8
        raise DataError(f"{path}: not a CSV table ({str(error).strip()}); {allowed}") from error
    missing = [name for name in _REQUIRED if name not in table]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing; {allowed}")
    unknown = [name for name in table if name not in (*_REQUIRED, *_OPTIONAL)]
    if unknown:
        raise DataError(f"{path}: found column {unknown[0]!r}; {allowed}")
    if table.empty:
        raise DataError(f"{path}: no pair below the header; list some, or set `duplicates: null`")
    known: dict[frozenset[str], Kind | None] = {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        where, pair = f"{path}: line {number}", frozenset((row["image_a"], row["image_b"]))
        if "" in pair:
            raise DataError(f"{where}: an id is empty; each line names two images")
        if len(pair) == 1:
            raise DataError(f"{where}: {row['image_a']} stands on both sides; name two images")
        if pair in known:
            raise DataError(f"{where}: {' and '.join(sorted(pair))} are listed twice; keep one")
        kind = row.get("kind")
        if kind is not None and kind not in get_args(Kind):
            raise DataError(f"{where}: found kind {kind!r}; allowed: {', '.join(get_args(Kind))}")
        known[pair] = kind
    return known


def listed_pairs(
    table: pd.DataFrame,
    images: Sequence[np.ndarray],
    found: Duplicates,
    known: Mapping[frozenset[str], Kind | None],
    *,
    by_file: bool,
    where: str | None,
) -> list[dict[str, Any]]:
    """All pairs of equal images: found by pixels, by their files' checksums, or known.

    Args:
        table: one row per image: id, group, split, sha256.
        images: in the order of the table.
        found: by comparing pixels.
        known: from `read_known`; pairs of which an image is not there do not count.
        where: the file of the known pairs, for messages.
        by_file: whether each image has a file of its own, whose checksum tells it from others.

    Raises:
        DataError: an id of a known pair is another spelling of one that is there.
    """
    pairs = {(pair.a, pair.b): pair for pair in found.pairs}
    if by_file:  # of a volume, many slices share the file
        for _, same in table[table["sha256"].duplicated(keep=False)].groupby("sha256"):
            for a, b in itertools.combinations(same.index, 2):
                if same["group"][a] != same["group"][b]:
                    pairs[a, b] = Pair(a, b, "identical", 0.0)
    position = {image: i for i, image in enumerate(table["id"])}
    for names, kind in known.items():
        if names <= position.keys():
            a, b = sorted(position[name] for name in names)
            measured = pairs.get((a, b)) or Pair(a, b, "near", difference(images[a], images[b]))
            pairs[a, b] = Pair(a, b, kind or measured.kind, measured.difference)
    _check_spelling({name for names in known for name in names}, position, where)
    ids, splits = table["id"].tolist(), table["split"].tolist()
    return [
        {
            "a": ids[a],
            "split_a": splits[a],
            "b": ids[b],
            "split_b": splits[b],
            "kind": pair.kind,
            "difference": round(pair.difference, 2),
            "known": frozenset((ids[a], ids[b])) in known,
        }
        for (a, b), pair in sorted(pairs.items())
    ]


def _check_spelling(names: Collection[str], ids: Collection[str], where: str | None) -> None:
    """A pair may name images that are not there, but not in another spelling of those that are."""
    by_key = {keys.loosely(image): image for image in ids}
    for name in sorted(names):
        other = by_key.get(keys.loosely(name))
        if other is not None and name not in ids:
            raise DataError(
                f"{where}: found {keys.shown(name)}, and the data has {keys.shown(other)}, which "
                "is another spelling of it; use one spelling"
            )


def _candidates(
    centred: np.ndarray, positions: np.ndarray, group: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Pairs of positions whose small copies (rows of `centred`) are close, in order."""
    rows, group = centred[positions], group[positions]
    power = np.square(rows).sum(axis=1)
    for a, b in _near(rows):
        other = group[a] != group[b]
        a, b = a[other], b[other]
        one, two = rows[a], rows[b]
        close = np.square(one - two).mean(axis=1) <= CLOSE**2
        close &= (one * two).sum(axis=1) >= ALIKE * np.sqrt(power[a] * power[b])
        for i in np.flatnonzero(close):
            yield int(positions[a[i]]), int(positions[b[i]])


def _near(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows among which are all that can be close: their positions, the lower first.

    Two points are no nearer to each other than their shadows in fewer dimensions. Here these are
    means over `_BLOCKS` x `_BLOCKS` blocks, in which images differ most, and a k-d tree finds the
    shadows that are near each other without looking at the others.
    """
    # Its part of scipy would cost every import of this module a fifth of a second.
    from scipy.spatial import KDTree

    side = SMALL // _BLOCKS
    blocks = rows.reshape(-1, _BLOCKS, side, _BLOCKS, side).astype(np.float64)
    shadows = (
        blocks.mean(axis=(2, 4)).reshape(len(rows), _BLOCKS * _BLOCKS) * side
    )  # along unit vectors
    tree, reach = KDTree(shadows), CLOSE * SMALL * (1 + 1e-6)
    for start in range(0, len(rows), _ROWS):
        found = tree.query_ball_point(shadows[start : start + _ROWS], reach, return_sorted=True)
        a = np.repeat(np.arange(start, start + len(found)), [len(near) for near in found])
        b = np.fromiter((i for near in found for i in near), np.intp, len(a))
        above = b > a
        a, b = a[above], b[above]
        for part in range(0, len(a), _PAIRS):
            yield a[part : part + _PAIRS], b[part : part + _PAIRS]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether larger copies of two images, each channel without its mean, are close."""
    x, y = (large - large.mean(axis=(0, 1)) for large in (_larger(a), _larger(b)))
    alike = (x * y).sum() >= ALIKE * np.sqrt(np.square(x).sum() * np.square(y).sum())
    return bool(alike and np.abs(x - y).mean() <= CLOSE)


def _small(image: np.ndarray) -> np.ndarray:
    """A grey copy of `SMALL` px, each pixel the mean of its footprint, as float32 `[SMALL²]`."""
    grey = Image.fromarray(image).convert("F")
    return np.asarray(grey.resize((SMALL, SMALL), Image.Resampling.BOX)).ravel()


def _larger(image: np.ndarray) -> np.ndarray:
    """A copy of at most `LARGER` px as float32 `[H, W]` or `[H, W, 3]`."""
    height, width = image.shape[:2]
    size = (min(width, LARGER), min(height, LARGER))
    copy = Image.fromarray(image).resize(size, Image.Resampling.BOX)
    return np.asarray(copy, dtype=np.float32)
