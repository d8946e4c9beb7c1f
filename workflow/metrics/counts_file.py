"""counts.parquet, the one file per run (data set, method, seed) that every number is computed from.

Only what writes it is here; `saved.py` reads it. So a change of how numbers are computed makes no
network run again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workflow.base.digests import recorded

# Written into the file's metadata. 1 had no version, hd95 and asd.
VERSION = "2"
VERSION_KEY = "counts_version"
# There only in the file of a failed run, which has no rows: why it failed.
FAILURE_KEY = "failure"

# A row is one image and lesion (task segmentation: pixel counts, and distances in pixels where
# they were measured) or one image and label (task classification: the reference and the logit).
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "group", "task", "name")),
        *((name, pa.int64()) for name in ("tp", "fp", "fn", "tn")),
        *((name, pa.float32()) for name in ("hd95", "asd")),
        ("target", pa.int8()),
        ("logit", pa.float32()),
    ],
    metadata={VERSION_KEY: VERSION},
)


def segmentation_rows(
    ids: Sequence[str],
    groups: Sequence[str],
    lesions: Sequence[str],
    counts: NDArray[np.int64],
    distances: NDArray[np.float32] | None = None,
) -> pa.Table:
    """One row per image and lesion.

    Args:
        ids: the names of the N images.
        groups: volume, patient or image itself, of each image.
        lesions: names of the n lesions.
        counts: `[N, n, 4]` in the order TP, FP, FN, TN.
        distances: `[N, n, 2]` in the order HD95, ASD, NaN where undefined; None if not measured.
    """
    columns: dict[str, object] = {
        name: counts[..., i].ravel() for i, name in enumerate(("tp", "fp", "fn", "tn"))
    }
    if distances is not None:
        for i, name in enumerate(("hd95", "asd")):
            columns[name] = pa.array(distances[..., i].ravel(), pa.float32(), from_pandas=True)
    return _rows(ids, groups, "segmentation", lesions, columns)


def classification_rows(
    ids: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[str],
    targets: NDArray[np.uint8],
    logits: NDArray[np.float32],
) -> pa.Table:
    """One row per image and label, of `[N, n]` reference labels (0 or 1) and logits."""
    columns = {"target": targets.ravel(), "logit": logits.ravel()}
    return _rows(ids, groups, "classification", labels, columns)


def write_counts_file(path: Path, tables: Sequence[pa.Table]) -> None:
    """Write the rows of a run's tasks into one file."""
    with recorded(path) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)


def write_failed_counts_file(path: Path, why: str) -> None:
    """Write the file of a run that failed: no rows, and why."""
    empty = SCHEMA.with_metadata({VERSION_KEY: VERSION, FAILURE_KEY: why}).empty_table()
    with recorded(path) as temporary:
        pq.write_table(empty, temporary)


def _rows(
    ids: Sequence[str],
    groups: Sequence[str],
    task: str,
    names: Sequence[str],
    columns: Mapping[str, object],
) -> pa.Table:
    count = len(ids) * len(names)
    keys = {
        "id": np.repeat(np.asarray(ids, object), len(names)),
        "group": np.repeat(np.asarray(groups, object), len(names)),
        "task": [task] * count,
        "name": [*names] * len(ids),
    }
    empty = {name: pa.nulls(count) for name in SCHEMA.names}
    return pa.table({**empty, **keys, **columns}, schema=SCHEMA)
