"""How long the search for images that occur twice takes, as the number of images grows.

`python -m benchmarks.copies [COUNT...]` makes images of blotches and grain of which one in fifty is
a copy, brighter and with other grain, and prints the seconds of `find_duplicates` for each number
of them, beside those of comparing all pairs in matrix products, and whether both found the same.
The exit code is 1 if not.
"""

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from workflow.data.duplicates import ALIKE, CLOSE, _candidates, _small

SIZE = 64
# All pairs are compared up to here: 40,000 images take half a minute.
MOST_COMPARED = 20_000
ROWS = 512


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies", description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[5_000, 10_000, 20_000, 40_000])
    same = True
    print(f"{'images':>8}{'copies':>8}{'search':>10}{'all pairs':>11}")
    for count in parser.parse_args().counts:
        centred = centred_copies(count)
        positions = group = np.arange(count)
        start = time.perf_counter()
        found = set(_candidates(centred, positions, group))
        seconds = time.perf_counter() - start
        against = ""
        if count <= MOST_COMPARED:
            start = time.perf_counter()
            equal = set(all_pairs(centred)) == found
            against = f"{time.perf_counter() - start:>9.1f} s{'' if equal else '  DIFFERENT'}"
            same = same and equal
        print(f"{count:>8,}{len(found):>8}{seconds:>8.1f} s{against}", flush=True)
    return int(not same)


def centred_copies(count: int) -> np.ndarray:
    """Small grey copies of images without their means, float32 `[count, pixels]`."""
    rng = np.random.default_rng(1)
    rows: list[np.ndarray] = []
    for number in range(count):
        if number % 50 == 49:
            rows.append(rows[number - 25] + rng.normal(0, 0.3, rows[0].shape).astype(np.float32))
            continue
        coarse = Image.fromarray(rng.integers(50, 200, (7, 7), np.uint8))
        smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        grain = rng.normal(0, 3, smooth.shape)
        rows.append(_small(np.clip(smooth + grain, 0, 255).astype(np.uint8)))
    small = np.stack(rows)
    return small - small.mean(axis=1, keepdims=True)


def all_pairs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """The pairs of rows that are close, by comparing each with each."""
    power = np.square(rows).sum(axis=1)
    for start in range(0, len(rows), ROWS):
        block = slice(start, start + ROWS)
        product = rows[block] @ rows[start:].T
        close = (power[block, None] + power[None, start:] - 2 * product) <= CLOSE**2 * rows.shape[1]
        close &= product >= ALIKE * np.sqrt(power[block, None] * power[None, start:])
        for a, b in np.argwhere(np.triu(close, k=1)):
            yield start + int(a), start + int(b)


if __name__ == "__main__":
    sys.exit(main())
