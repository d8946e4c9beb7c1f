"""Which images train, validate and test: by whole groups, never by slices of one volume.

A split is a table with one row per group (OCT volume, or dermoscopy image): `id`, `split` and
`tasks`, the tasks whose scores a test image enters. The splits of the real data sets are committed
beside this file; `balanced` makes one for phantom volumes and chose the committed validation sets.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.config import Config
from workflow.data.errors import DataError

SPLITS = ("train", "val", "test")
TASKS = ("both", "segmentation", "classification")
# C(24, 4) = 10,626 is the largest of RETOUCH; beyond this bound a full search is the wrong tool.
LARGEST_SEARCH = 200_000


def make_split(config: Config, dataset: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """The split that a data set's configuration asks for.

    Raises:
        DataError: a group of the CSV is not in the raw data, or some split is empty.
    """
    definition = config.datasets[dataset]
    if definition.split == "balanced":
        pixels = inventory.groupby("group")[[f"pixels_{x}" for x in definition.lesions]].sum()
        test = choose_balanced(pixels, config.data.test_volumes)
        val = choose_balanced(pixels.drop(index=test), config.data.val_volumes)
        parts = {group: "test" if group in test else "val" if group in val else "train"
                 for group in pixels.index}  # fmt: skip
        split = pd.DataFrame({"id": list(parts), "split": list(parts.values()), "tasks": "both"})
    elif definition.split == "official":
        split = pd.DataFrame(
            {"id": inventory["group"], "split": inventory["part"], "tasks": "both"}
        ).drop_duplicates()
    else:
        split = read_split(Path(definition.split))
        absent = sorted(set(split["id"]) - set(inventory["group"]))
        if absent:
            raise DataError(
                f"{definition.split}: {len(absent)} of its ids are not in the raw data of "
                f"{dataset}, first {absent[0]}; complete the data, or name another split"
            )
    empty = [name for name in SPLITS if name not in set(split["split"])]
    if empty:
        raise DataError(f"{dataset}: split {definition.split!r} has nothing in {empty[0]}")
    return split.reset_index(drop=True)


def read_split(path: Path) -> pd.DataFrame:
    """Read a split from CSV, with `tasks` filled in where the file has no such column.

    Raises:
        DataError: a column is missing, an id occurs twice, or a value is not allowed.
    """
    try:
        split = pd.read_csv(path, dtype=str)
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty; expected columns id, split") from None
    missing = {"id", "split"} - set(split.columns)
    if missing:
        raise DataError(f"{path}: column {sorted(missing)[0]!r} is missing; expected id, split")
    if "tasks" not in split:
        split["tasks"] = "both"
    twice = split["id"][split["id"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: id {twice.iloc[0]} occurs twice; one group has one split")
    if split["id"].isna().any():
        raise DataError(f"{path}: a row has no id; each row names a group and its split")
    for column, allowed in (("split", SPLITS), ("tasks", TASKS)):
        wrong = split.loc[~split[column].isin(allowed)]
        if len(wrong):
            row = wrong.iloc[0]
            raise DataError(
                f"{path}: {row['id']}: found {column} {row[column]!r}; allowed: "
                f"{', '.join(allowed)}"
            )
    return split[["id", "split", "tasks"]]


def choose_balanced(pixels: pd.DataFrame, count: int) -> list[str]:
    """The `count` groups whose share of every lesion's pixels is nearest their share of groups.

    Nearest is the smallest largest deviation over lesions, among choices in which each lesion
    occurs in at least two groups (or in as many as there are); ties go to the earlier ids.

    Args:
        pixels: one row per group, one column of pixel counts per lesion.
        count: how many groups to choose; at least one must be left.

    Raises:
        DataError: there are too few groups, or too many to search them all.
    """
    groups = len(pixels)
    if not 0 < count < groups:
        raise DataError(f"cannot choose {count} of {groups} groups and leave any; use more volumes")
    if math.comb(groups, count) > LARGEST_SEARCH:
        raise DataError(f"{count} of {groups} groups are too many choices; name a split CSV")
    choices = np.array(list(itertools.combinations(range(groups), count)))
    amounts = pixels.to_numpy(dtype=float)
    shares = amounts[choices].sum(axis=1) / np.maximum(amounts.sum(axis=0), 1)
    holders = (amounts[choices] > 0).sum(axis=1)
    wanted = np.minimum(2, holders.max(axis=0))
    deviation = np.abs(shares - count / groups).max(axis=1)
    deviation[(holders < wanted).any(axis=1)] += groups  # only if no choice holds every lesion
    return [str(pixels.index[i]) for i in choices[int(np.argmin(deviation))]]
