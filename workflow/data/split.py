"""Which images train, validate and test.

A split is a table with one row per image: `id`, `split` and `tasks`, the tasks whose scores a test
image enters. Whole groups (OCT volumes, patients) go to one side, always but in `slices`, which
exists to measure what happens otherwise. The splits of the real data sets are committed beside this
file, by group; `balanced` chose their validation sets, and makes those of phantom volumes.
"""

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.base.errors import DataError
from workflow.base.files import from_cell
from workflow.config.datasets import kfold_of, ratio_of
from workflow.config.model import Config
from workflow.data.reading import keys
from workflow.data.stratify import amounts_of, balanced_folds, ratio_parts

SPLITS = ("train", "val", "test")
TASKS = ("both", "segmentation", "classification")
# C(24, 4) = 10,626 is the largest of RETOUCH; beyond this bound a full search is the wrong tool.
LARGEST_SEARCH = 200_000
NAMED = 5  # examples in a note


def make_split(config: Config, dataset: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """The split that a data set's configuration asks for, image by image.

    Raises:
        DataError: an id of the CSV is not in the raw data, or some split is empty.
    """
    rule = config.datasets[dataset].split
    if rule == "official":
        split = inventory[["id"]].assign(split=inventory["part"], tasks="both")
    elif rule == "slices":
        split = inventory[["id"]].assign(split=_by_slice(config, inventory), tasks="both")
    elif rule == "balanced" or kfold_of(rule) or ratio_of(rule):
        try:
            parts = _by_group(config, dataset, inventory)
        except DataError as error:
            raise DataError(f"datasets.{dataset}.split: found {rule!r}; {error}") from error
        split = inventory[["id"]].assign(split=inventory["group"].map(parts), tasks="both")
    else:
        split = _by_file(rule, dataset, inventory)
    empty = [name for name in SPLITS if name not in set(split["split"])]
    if empty:
        raise DataError(
            f"{dataset}: split {rule!r} has nothing in {empty[0]}; complete the data, or name "
            f"another split (datasets.{dataset}.split)"
        )
    return split.reset_index(drop=True)


def split_notes(
    config: Config, dataset: str, inventory: pd.DataFrame, split: pd.DataFrame
) -> list[str]:
    """What one should know of a split that can be used: images in none, parts without a label.

    Args:
        config: names the labels, and the split.
        dataset: key of the data set.
        inventory: a row per image, with `id` and `label_*`.
        split: what `make_split` made of it.
    """
    rule = config.datasets[dataset].split
    notes = [f"{dataset}: {line}" for line in left_out(rule, inventory, split)]
    placed = inventory.merge(split, on="id")
    for label in config.datasets[dataset].labels:
        if f"label_{label}" not in placed or not placed[f"label_{label}"].any():
            continue
        held = placed.groupby("split")[f"label_{label}"].sum()
        for part in SPLITS[1:]:
            if part in held and not held[part]:
                groups = placed.loc[placed[f"label_{label}"] == 1, "group"].nunique()
                notes.append(
                    f"{dataset}: split {rule!r} has no image with label {label!r} in {part}; "
                    f"{groups} groups have one"
                )
    return notes


def left_out(rule: str, inventory: pd.DataFrame, split: pd.DataFrame) -> list[str]:
    """A line that names the images which are in no part of a split; none where all are."""
    outside = inventory["id"][~inventory["id"].isin(set(split["id"]))].tolist()
    if not outside:
        return []
    named = ", ".join(outside[:NAMED]) + (", ..." if len(outside) > NAMED else "")
    return [
        f"split {rule!r} leaves out {len(outside)} of {len(inventory)} images: {named}; they are "
        "neither trained on nor scored"
    ]


def _by_group(config: Config, dataset: str, inventory: pd.DataFrame) -> dict[str, str]:
    """group -> split, by rule `balanced`, `kfold I/K` or a ratio."""
    definition = config.datasets[dataset]
    fold, ratio = kfold_of(definition.split), ratio_of(definition.split)
    if fold is None and ratio is None:
        amounts = _amounts(inventory, definition.lesions, definition.labels)
        test = choose_balanced(amounts, config.data.test_volumes)
        val = choose_balanced(amounts.drop(index=test), config.data.val_volumes)
    else:
        amounts = amounts_of(inventory, definition.lesions, definition.labels)
        if ratio is not None:
            images = inventory.groupby("group", sort=False).size().tolist()
            _, val, test = ratio_parts(amounts, images, ratio)
        else:
            assert fold is not None
            number, count = fold
            folds = balanced_folds(amounts, count)
            # The next fold validates, so that each group tests once and validates once.
            test, val = folds[number - 1], folds[number % count]
    return (
        dict.fromkeys(amounts.index, "train")
        | dict.fromkeys(test, "test")
        | dict.fromkeys(val, "val")
    )


def _amounts(inventory: pd.DataFrame, lesions: list[str], labels: list[str]) -> pd.DataFrame:
    """What `balanced` balances: each group's lesion pixels, or its labels if these are unknown."""
    columns = [f"pixels_{name}" for name in lesions]
    if not set(columns) <= set(inventory.columns):
        columns = [f"label_{name}" for name in labels]
    amounts = inventory.groupby("group", sort=False)[columns].sum()
    amounts.index = amounts.index.astype(str)
    return amounts


def _by_slice(config: Config, inventory: pd.DataFrame) -> list[str]:
    """A random split of single slices, in the shares of the split by volume; it leaks."""
    groups, images = inventory["group"].nunique(), len(inventory)
    test, val = (
        round(images * volumes / groups)
        for volumes in (config.data.test_volumes, config.data.val_volumes)
    )
    order = sorted(range(images), key=lambda i: _shuffled(inventory["id"].iloc[i]))
    parts = np.full(images, "train", dtype=object)
    parts[order[:test]], parts[order[test : test + val]] = "test", "val"
    return parts.tolist()


def _shuffled(name: str) -> str:
    """A sorting key that puts names in a random order, the same everywhere."""
    return hashlib.sha256(name.encode()).hexdigest()


def _by_file(file: str, dataset: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """The split of a CSV, whose ids are groups or images."""
    given = read_split(Path(file))
    known = next((k for k in ("group", "id") if set(given["id"]) <= set(inventory[k])), None)
    if known is None:
        absent = sorted(set(given["id"]) - set(inventory["group"]) - set(inventory["id"]))
        if not absent:
            raise DataError(
                f"{file}: some ids are groups of {dataset}, others images; use one kind"
            )
        raise DataError(
            f"{file}: {len(absent)} of its ids are not in the raw data of {dataset}, first "
            f"{absent[0]}{keys.nearest(absent[0], [*inventory['group'], *inventory['id']])}; "
            "complete the data, or name another split"
        )
    images = inventory[["id", "group"]].assign(key=inventory[known])
    merged = images.merge(given.rename(columns={"id": "key"}), on="key")
    return merged[["id", "split", "tasks"]]


def read_split(path: Path) -> pd.DataFrame:
    """Read a split from CSV, with `tasks` filled in where the file has no such column.

    Raises:
        DataError: a column is missing, an id occurs twice, or a value is not allowed.
    """
    try:
        split = pd.read_csv(path, dtype=str, keep_default_na=False).map(from_cell)
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty; expected columns id, split") from None
    except ValueError as error:  # also what is not UTF-8
        raise DataError(
            f"{path}: not a CSV table in UTF-8 ({str(error).strip()}); expected columns id, split"
        ) from error
    missing = {"id", "split"} - set(split.columns)
    if missing:
        raise DataError(f"{path}: column {sorted(missing)[0]!r} is missing; expected id, split")
    split["id"] = split["id"].map(keys.tidy)
    if "tasks" not in split:
        split["tasks"] = "both"
    twice = split["id"][split["id"].duplicated()]
    if len(twice):
        raise DataError(
            f"{path}: id {twice.iloc[0]} occurs twice; one group has one split. Keep "
            "one of the rows"
        )
    if (split["id"] == "").any():
        raise DataError(
            f"{path}: a row has no id; each row names a group and its split. Add the id, or delete "
            "the row"
        )
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
        raise DataError(
            f"cannot choose {count} of {groups} groups and leave any; add groups, or test and "
            "validate on fewer (data.test_volumes, data.val_volumes)"
        )
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
