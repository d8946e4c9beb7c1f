"""Sharing out groups: nobody goes without what there is enough of, and sizes are as asked."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.data.test_split import configured, images
from workflow.base.errors import DataError
from workflow.data.split import make_split, split_notes
from workflow.data.stratify import amounts_of, balanced_folds, ratio_parts

SEVENTY = (0.7, 0.1, 0.2)


def inventory_of(labels, groups=None, pixels=None):
    """Images I000, I001, ... with one label, melanoma; by themselves unless groups are given."""
    table = images([f"I{k:03d}" for k in range(len(labels))])
    table["label_melanoma"] = labels
    if groups is not None:
        table["group"] = [f"G{group:03d}" for group in groups]
    if pixels is not None:
        table["pixels_lesion"] = pixels
    return table


def amounts(table):
    return amounts_of(table, ["lesion"], ["melanoma"])


def held(parts, table):
    """Images and positive images of each part."""
    by_group = table.groupby("group")["label_melanoma"]
    size, positive = by_group.size(), by_group.sum()
    return [(int(size[part].sum()), int(positive[part].sum())) for part in parts]


def test_every_fold_of_a_hundred_images_has_two_of_ten_positives():
    """Lesion pixels, by which folds were balanced before, decide nothing against that."""
    for seed in range(20):
        rng = random.Random(seed)
        labels = rng.sample([1] * 10 + [0] * 90, 100)
        pixels = [int(rng.lognormvariate(8, 1.5)) for _ in labels]
        table = inventory_of(labels, pixels=pixels)
        assert held(balanced_folds(amounts(table), 5), table) == [(20, 2)] * 5
        parts = held(ratio_parts(amounts(table), [1] * 100, SEVENTY), table)
        assert parts == [(70, 7), (10, 1), (20, 2)]


several = st.lists(st.tuples(st.booleans(), st.integers(0, 30)), min_size=5, max_size=60)


@settings(max_examples=80, deadline=None)
@given(several, st.integers(3, 5))
def test_no_fold_is_without_what_as_many_groups_have(rows, count):
    table = inventory_of([int(label) for label, _ in rows], [group for _, group in rows])
    groups = table["group"].nunique()
    if groups < count:
        with pytest.raises(DataError, match=f"cannot make {count} folds of {groups} groups"):
            balanced_folds(amounts(table), count)
        return
    folds = balanced_folds(amounts(table), count)
    assert sorted(itertools.chain(*folds)) == sorted(set(table["group"]))
    assert {len(fold) for fold in folds} <= {groups // count, -(-groups // count)}
    for label in (0, 1):
        holders = set(table.loc[table["label_melanoma"] == label, "group"])
        lacking = [fold for fold in folds if not holders & set(fold)]
        # Each of few groups goes to a fold of its own, unless it also brings what others need.
        if len(holders) >= count:
            assert not lacking
    again = balanced_folds(amounts(table.sample(frac=1, random_state=1)), count)
    assert again == folds


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=80), st.integers(3, 5))
def test_diagnoses_of_single_images_are_shared_to_one_image(kinds, count):
    table = images([f"I{k:03d}" for k in range(len(kinds))])
    for kind in range(3):
        table[f"label_{kind}"] = [int(other == kind) for other in kinds]
    folds = balanced_folds(amounts_of(table, [], ["0", "1", "2"]), count)
    for kind in range(3):
        members = set(table.loc[table[f"label_{kind}"] == 1, "group"])
        numbers = [len(members & set(fold)) for fold in folds]
        assert max(numbers) - min(numbers) <= 1


@settings(max_examples=80, deadline=None)
@given(st.lists(st.booleans(), min_size=10, max_size=120))
def test_a_ratio_of_single_images_is_met_and_each_part_has_some_of_both(labels):
    table = inventory_of([int(label) for label in labels])
    parts = ratio_parts(amounts(table), [1] * len(labels), SEVENTY)
    found = held(parts, table)
    for (size, _), share in zip(found, SEVENTY, strict=True):
        assert abs(size - share * len(labels)) < 1 or size == 1
    positive, negative = sum(labels), len(labels) - sum(labels)
    if positive >= 3:
        assert all(number > 0 for _, number in found)
    if negative >= 3 and min(size for size, _ in found) > 1:
        assert all(size > number for size, number in found)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=12, max_size=60))
def test_a_ratio_of_groups_keeps_them_whole_and_nears_the_sizes(rows):
    sizes = [size for size, _ in rows]
    groups = [k for k, size in enumerate(sizes) for _ in range(size)]
    labels = [int(j < positive) for size, positive in rows for j in range(size)]
    table = inventory_of(labels, groups)
    parts = ratio_parts(amounts(table), sizes, SEVENTY)
    assert sorted(itertools.chain(*parts)) == sorted(set(table["group"]))
    for (size, _), share in zip(held(parts, table), SEVENTY, strict=True):
        assert size > 0
        # A part is off by no more than the largest group, exchanged or placed last.
        assert abs(size - share * len(labels)) <= 2 * max(sizes)


@pytest.mark.parametrize(("groups", "size"), [(12, 2), (3, 1), (4, 10), (10, 1), (5, 3)])
def test_no_part_of_a_ratio_is_empty(groups, size):
    """The share of validation may be less than a group."""
    members = [k for k in range(groups) for _ in range(size)]
    table = inventory_of([k % 2 for k in members], members)
    parts = ratio_parts(amounts(table), [size] * groups, (0.8, 0.05, 0.15))
    assert min(len(part) for part in parts) >= 1
    assert sum(len(part) for part in parts) == groups


def test_too_few_groups_for_a_ratio_are_refused():
    table = inventory_of([0, 1])
    with pytest.raises(DataError, match="cannot share 2 groups between 3 parts; add groups"):
        ratio_parts(amounts(table), [1, 1], SEVENTY)


def test_pixels_are_shared_where_labels_leave_a_choice():
    pixels = [2**k for k in range(12)]
    table = inventory_of([1] * 12, pixels=pixels)
    folds = balanced_folds(amounts(table), 3)
    largest = [set(fold) & {"I009", "I010", "I011"} for fold in folds]
    assert [len(names) for names in largest] == [1, 1, 1]
    assert [len(fold) for fold in folds] == [4, 4, 4]


# ---- in the configuration


@pytest.mark.parametrize("rule", ["0.7/0.1/0.2", "70/10/20", "kfold 2/5"])
def test_a_rule_by_shares_splits_each_image_once(repo, rule):
    rng = np.random.default_rng(2)
    table = inventory_of(rng.permutation([1] * 10 + [0] * 90), rng.integers(0, 60, 100))
    table["label_seborrheic_keratosis"] = 0
    split = make_split(configured(repo, "isic2017", rule), "isic2017", table)
    assert split["id"].tolist() == table["id"].tolist()
    merged = table.merge(split, on="id")
    assert merged.groupby("group")["split"].nunique().max() == 1
    assert (merged.groupby("split")["label_melanoma"].sum() > 0).all()
    wanted = (60, 20, 20) if rule.startswith("kfold") else (70, 10, 20)
    for part, number in zip(("train", "val", "test"), wanted, strict=True):
        assert abs((merged["split"] == part).sum() - number) <= 9


def test_what_a_split_leaves_out_is_told(repo, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split\nI000,test\nI001,train\nI002,val\n")
    table = inventory_of([1] * 10)
    config = configured(repo, "isic2017", file)
    (note,) = split_notes(config, "isic2017", table, make_split(config, "isic2017", table))
    assert "leaves out 7 of 10 images: I003, I004, I005, I006, I007, ...;" in note
    whole = configured(repo, "isic2017", "kfold 1/3")
    assert split_notes(whole, "isic2017", table, make_split(whole, "isic2017", table)) == []


def test_a_part_without_a_label_is_told(repo):
    table = inventory_of([1, 1, 0, 0, 0, 0, 0, 0, 0])
    notes = []
    for fold in (1, 2, 3):
        config = configured(repo, "isic2017", f"kfold {fold}/3")
        split = make_split(config, "isic2017", table)
        notes += split_notes(config, "isic2017", table, split)
    # One of three folds has none; it validates once, and tests once.
    told = [note.partition("has no image with ")[2] for note in notes]
    assert sorted(told) == [
        f"label 'melanoma' in {part}; 2 groups have one" for part in ("test", "val")
    ]
