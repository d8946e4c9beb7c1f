"""Splits: the balanced choice against brute force, split files, folds."""

import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.base.errors import DataError
from workflow.config.load import load_config
from workflow.data.split import choose_balanced, make_split, read_split
from workflow.data.stratify import balanced_folds

FLUIDS = ["irf", "srf", "ped"]

# ---- choose_balanced


def table(rows):
    return pd.DataFrame(rows, index=[f"V{k:02d}" for k in range(len(rows))], dtype=int)


def judged(rows, chosen):
    """(how many lesions are in too few of the chosen groups, largest deviation), exactly."""
    count, lesions = len(chosen), range(len(rows[0]))
    lacking, worst = 0, Fraction(0)
    for lesion in lesions:
        amounts = [row[lesion] for row in rows]
        holders = sum(amount > 0 for amount in amounts)
        held = sum(amounts[k] > 0 for k in chosen)
        lacking += held < min(2, count, holders)
        share = Fraction(sum(amounts[k] for k in chosen), max(sum(amounts), 1))
        worst = max(worst, abs(share - Fraction(count, len(rows))))
    return lacking > 0, worst


cases = (
    st.integers(1, 3)
    .flatmap(
        lambda lesions: st.lists(
            st.lists(st.integers(0, 9), min_size=lesions, max_size=lesions), min_size=2, max_size=7
        )
    )
    .flatmap(lambda rows: st.tuples(st.just(rows), st.integers(1, len(rows) - 1)))
)


@settings(max_examples=150, deadline=None)
@given(cases)
def test_no_other_choice_is_better(case):
    rows, count = case
    chosen = choose_balanced(table(rows), count)
    places = [int(name[1:]) for name in chosen]
    assert len(set(places)) == count
    best = min(judged(rows, other) for other in itertools.combinations(range(len(rows)), count))
    lacking, worst = judged(rows, places)
    assert lacking == best[0]
    assert worst <= best[1] + Fraction(1, 10**12)  # the search compares floats


@settings(max_examples=60, deadline=None)
@given(cases, st.randoms())
def test_the_order_of_rows_decides_nothing_but_ties(case, random):
    rows, count = case
    pixels = table(rows)
    order = random.sample(range(len(rows)), len(rows))
    chosen = choose_balanced(pixels, count)
    again = choose_balanced(pixels.iloc[order], count)
    assert chosen == choose_balanced(pixels.copy(), count)
    first, second = (judged(rows, [int(name[1:]) for name in c]) for c in (chosen, again))
    assert first[0] == second[0]
    assert float(first[1]) == pytest.approx(float(second[1]))


@given(cases)
@settings(max_examples=40, deadline=None)
def test_the_unit_of_the_amounts_decides_nothing(case):
    rows, count = case
    assert choose_balanced(table(rows), count) == choose_balanced(table(rows) * 1024, count)


def test_a_case_by_hand():
    # A third of the groups: {0, 4} has 30 of 90 and 6 of 18 pixels; {3, 4} too, but comes later.
    rows = [[20, 1], [10, 4], [10, 0], [20, 1], [10, 5], [20, 7]]
    assert judged(rows, [0, 4]) == (False, 0)
    assert choose_balanced(table(rows), 2) == ["V00", "V04"]


def test_ties_go_to_the_earlier_ids():
    assert choose_balanced(table([[1], [1], [1], [1]]), 2) == ["V00", "V01"]


def test_two_holders_count_more_than_the_right_share():
    # {0, 2} has half of the pixels as {1, 3} has, and comes first, but only one of it holds any.
    assert choose_balanced(table([[50], [25], [0], [25]]), 2) == ["V01", "V03"]


@pytest.mark.parametrize("count", [0, 3, 4, -1])
def test_some_but_not_all_groups_are_chosen(count):
    with pytest.raises(DataError, match=f"cannot choose {count} of 3 groups and leave any"):
        choose_balanced(table([[1], [2], [3]]), count)


def test_a_search_that_would_not_end_is_refused():
    with pytest.raises(DataError, match="10 of 40 groups are too many choices; name a split CSV"):
        choose_balanced(table([[1]] * 40), 10)


# ---- read_split and make_split


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\nA\n", "column 'split' is missing; expected id, split"),
        ("image,split\nA,train\n", "column 'id' is missing"),
        ("id,split\nA,train\nA,test\n", "id A occurs twice; one group has one split"),
        ("id,split\nA,training\n", "A: found split 'training'; allowed: train, val, test"),
        ("id,split\nA,\n", "A: found split ''; allowed: train, val, test"),
        (
            "id,split,tasks\nA,train,detection\n",
            "A: found tasks 'detection'; allowed: both, segmentation, classification",
        ),
    ],
)
def test_a_wrong_split_file_is_named_with_what_is_wrong(tmp_path, text, message):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=f"mine.csv: {message}"):
        read_split(file)


def test_a_split_file_is_read_as_text_and_tasks_default_to_both(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split,comment\n001,train,x\n002,val,y\n003,test,z\n")
    expected = {"id": ["001", "002", "003"], "split": ["train", "val", "test"], "tasks": "both"}
    pd.testing.assert_frame_equal(read_split(file), pd.DataFrame(expected), check_dtype=False)


def configured(repo, dataset, split, **data):
    overrides = {
        "preset": "everything",
        "data": data,
        "datasets": {dataset: {"split": str(split)}},
        "select": {"datasets": [dataset]},
    }
    return load_config(repo / "config.yaml", overrides)


def test_balanced_splits_whole_groups_and_test_before_validation(repo):
    # The best single volume of all is among the best two, so validation gets the next best.
    rows = [[8, 9, 3], [6, 9, 6], [8, 6, 7], [3, 8, 1], [5, 7, 8], [5, 3, 3]]
    assert choose_balanced(table(rows), 1)[0] in choose_balanced(table(rows), 2)
    pixels = table(rows).set_axis([f"pixels_{fluid}" for fluid in FLUIDS], axis=1)
    pixels = pixels.rename_axis("group").reset_index()
    # Two slices to a volume, whose pixels add up.
    inventory = pd.concat([pixels, pixels])
    inventory["id"] = [f"{group}-{k}" for k, group in enumerate(inventory["group"])]
    config = configured(repo, "retouch_cirrus", "balanced", test_volumes=2, val_volumes=1)
    split = make_split(config, "retouch_cirrus", inventory)
    sums = inventory.groupby("group")[[f"pixels_{fluid}" for fluid in FLUIDS]].sum()
    test = choose_balanced(sums, 2)
    val = choose_balanced(sums.drop(index=test), 1)
    volumes = split["id"].str.partition("-")[0]
    by_split = volumes.groupby(split["split"]).unique().map(list).to_dict()
    assert by_split["test"] == test
    assert by_split["val"] == val
    assert sorted(set(volumes)) == sums.index.tolist()
    assert split["id"].tolist() == inventory["id"].tolist()
    assert set(split["tasks"]) == {"both"}


def images(names, part=None):
    """An inventory of images that are their own groups."""
    return pd.DataFrame({"id": list(names), "group": list(names), "part": part or ""})


def slices(volumes, count):
    """An inventory of volumes of so many slices, each fluid in every second volume."""
    rows = [
        {"id": f"V{v:02d}-{k:03d}", "group": f"V{v:02d}", "part": "",
         **{f"pixels_{f}": 10 * ((v + i) % 2) for i, f in enumerate(FLUIDS)}}
        for v in range(volumes) for k in range(count)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_official_takes_the_parts_of_the_archives(repo):
    inventory = images("ABCD", ["train", "train", "val", "test"])
    split = make_split(configured(repo, "isic2017", "official"), "isic2017", inventory)
    assert split["split"].tolist() == inventory["part"].tolist()
    assert split["id"].tolist() == list("ABCD")


def test_official_with_a_part_missing_says_which(repo):
    inventory = images("AB", ["train", "test"])
    with pytest.raises(DataError, match="isic2017: split 'official' has nothing in val"):
        make_split(configured(repo, "isic2017", "official"), "isic2017", inventory)


def test_a_file_is_taken_as_it_is_and_may_leave_images_out(repo, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split\nC,test\nA,train\nB,val\n")
    split = make_split(configured(repo, "isic2017", file), "isic2017", images("ABCD"))
    assert dict(zip(split["id"], split["split"], strict=True)) == {
        "A": "train", "B": "val", "C": "test",
    }  # fmt: skip


def test_a_file_by_volume_places_every_slice(repo, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split,tasks\nV00,test,segmentation\nV01,train,both\nV02,val,both\n")
    config = configured(repo, "retouch_cirrus", file)
    split = make_split(config, "retouch_cirrus", slices(3, 4)).set_index("id")
    assert split["split"].value_counts().to_dict() == {"train": 4, "val": 4, "test": 4}
    assert split.loc["V00-003"].tolist() == ["test", "segmentation"]


def test_a_file_by_slice_places_slices(repo, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split\nV00-000,test\nV01-001,train\nV02-000,val\n")
    config = configured(repo, "retouch_cirrus", file)
    split = make_split(config, "retouch_cirrus", slices(3, 4))
    assert split["id"].tolist() == ["V00-000", "V01-001", "V02-000"]


def test_a_file_with_volumes_and_slices_is_refused(repo, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split\nV00,test\nV01-001,train\nV02,val\n")
    with pytest.raises(DataError, match="some ids are groups of retouch_cirrus, others images"):
        make_split(configured(repo, "retouch_cirrus", file), "retouch_cirrus", slices(3, 4))


def test_a_file_that_names_absent_images_says_how_many(repo, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("id,split\nA,train\nY,val\nX,test\n")
    message = r"mine.csv: 2 of its ids are not in the raw data of isic2017, first X"
    with pytest.raises(DataError, match=message):
        make_split(configured(repo, "isic2017", file), "isic2017", images("A"))


# ---- kfold and slices


def fold_of(repo, dataset, inventory, number, count):
    config = configured(repo, dataset, f"kfold {number}/{count}")
    return make_split(config, dataset, inventory).set_index("id")["split"]


@pytest.mark.parametrize("count", [3, 5])
def test_each_volume_tests_in_one_fold_and_validates_in_one(repo, count):
    inventory = slices(11, 3)
    folds = [fold_of(repo, "retouch_cirrus", inventory, k, count) for k in range(1, count + 1)]
    for part in ("test", "val"):
        assert (sum((fold == part).astype(int) for fold in folds) == 1).all()
    for fold in folds:
        by_volume = fold.groupby(inventory.set_index("id")["group"]).nunique()
        assert (by_volume == 1).all()  # no volume on two sides
    sizes = [(fold == "test").sum() // 3 for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_folds_of_dermoscopy_share_the_diagnoses(repo):
    labels = np.random.default_rng(0).choice(3, size=275, p=[0.2, 0.15, 0.65])
    inventory = images([f"I{k:03d}" for k in range(275)])
    for k, name in enumerate(("melanoma", "seborrheic_keratosis", "nevus")):
        inventory[f"label_{name}"] = (labels == k).astype(int)
    split = fold_of(repo, "isic2017", inventory, 2, 5).to_numpy()
    for k in range(3):
        assert abs(((labels == k) & (split == "test")).sum() - (labels == k).sum() / 5) <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=3, max_size=30),
    st.integers(3, 6),
)
def test_folds_are_a_partition_of_nearly_equal_size(rows, count):
    if len(rows) < count:
        with pytest.raises(DataError, match=f"cannot make {count} folds of {len(rows)} groups"):
            balanced_folds(table(rows), count)
        return
    folds = balanced_folds(table(rows), count)
    assert sorted(itertools.chain(*folds)) == table(rows).index.tolist()
    assert {len(fold) for fold in folds} <= {len(rows) // count, -(-len(rows) // count)}
    assert folds == balanced_folds(table(rows), count)


def test_a_split_by_slice_has_the_sizes_of_the_one_by_volume_and_leaks(repo):
    inventory = slices(24, 10)
    config = configured(repo, "retouch_cirrus", "slices", test_volumes=4, val_volumes=3)
    split = make_split(config, "retouch_cirrus", inventory)
    assert split["split"].value_counts().to_dict() == {"train": 170, "val": 30, "test": 40}
    volumes = split["id"].str.partition("-")[0].groupby(split["split"]).nunique()
    assert volumes["train"] == 24  # neighbours of test slices are trained on
    assert volumes["test"] > 4
    shuffled = make_split(config, "retouch_cirrus", inventory.sample(frac=1, random_state=0))
    assert dict(zip(split["id"], split["split"], strict=True)) == dict(
        zip(shuffled["id"], shuffled["split"], strict=True)
    )
