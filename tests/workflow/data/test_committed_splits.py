"""The splits that are committed, against Table I's counts, and folds of the same volumes."""

import itertools

import pandas as pd
import pytest

from workflow.data.split import balanced_folds, choose_balanced, read_split

FLUIDS = ["irf", "srf", "ped"]
# Table I, with 196 for the misprinted 198 of Spectralis (24 volumes of 49 B-scans are 1176).
TABLE_I = {"cirrus": (2560, 512), "spectralis": (980, 196), "topcon": (2176, 512)}
# The test volumes that the data sheet derives from those counts and from each fluid's share.
TEST_VOLUMES = {
    "cirrus": ["TRAIN006", "TRAIN012", "TRAIN013", "TRAIN016"],
    "spectralis": ["TRAIN025", "TRAIN027", "TRAIN034", "TRAIN038"],
    "topcon": ["TRAIN051", "TRAIN055", "TRAIN058", "TRAIN061"],
}


@pytest.fixture(scope="module")
def splits(repo):
    return repo / "workflow" / "data" / "splits"


@pytest.fixture(scope="module")
def volumes(repo):
    records = repo / "workflow" / "data" / "records"
    return pd.read_csv(records / "retouch_volumes.csv").set_index("id")


@pytest.mark.parametrize("vendor", TABLE_I)
class TestCommittedRetouch:
    def test_counts_are_those_of_table_i(self, vendor, splits, volumes):
        split = read_split(splits / f"retouch_{vendor}.csv")
        slices = volumes["slices"].loc[split["id"]].groupby(split["split"].to_numpy()).sum()
        training, testing = TABLE_I[vendor]
        assert slices["train"] + slices["val"] == training
        assert slices["test"] == testing

    def test_every_volume_of_the_vendor_has_one_split(self, vendor, splits, volumes):
        split = read_split(splits / f"retouch_{vendor}.csv")
        expected = volumes.index[volumes["vendor"] == vendor.capitalize()]
        assert sorted(split["id"]) == sorted(expected)
        assert split["id"].is_unique
        assert set(split["tasks"]) == {"both"}
        assert split["split"].value_counts()["val"] == 3

    def test_test_volumes_are_those_of_the_data_sheet(self, vendor, splits, volumes):
        split = read_split(splits / f"retouch_{vendor}.csv")
        test = split.loc[split["split"] == "test", "id"].tolist()
        assert test == TEST_VOLUMES[vendor]
        of_vendor = volumes.loc[volumes["vendor"] == vendor.capitalize(), FLUIDS]
        share = of_vendor.loc[test].sum() / of_vendor.sum()
        assert share.between(0.15, 0.21).all()  # 4 of 22 or 24 volumes are .18 or .17
        assert ((of_vendor.loc[test] > 0).sum() >= 2).all()

    def test_validation_volumes_are_the_balanced_choice_of_the_rest(self, vendor, splits, volumes):
        split = read_split(splits / f"retouch_{vendor}.csv")
        rest = volumes.loc[volumes["vendor"] == vendor.capitalize(), FLUIDS]
        rest = rest.drop(index=TEST_VOLUMES[vendor])
        assert split.loc[split["split"] == "val", "id"].tolist() == choose_balanced(rest, 3)


def test_the_volumes_are_the_training_set_of_the_challenge(volumes):
    assert volumes.groupby("vendor")["slices"].agg(["size", "sum"]).to_dict("index") == {
        "Cirrus": {"size": 24, "sum": 3072},
        "Spectralis": {"size": 24, "sum": 1176},
        "Topcon": {"size": 22, "sum": 2688},
    }
    assert sorted(volumes.index) == [f"TRAIN{k:03d}" for k in range(1, 71)]


def test_isic_copies_are_scored_on_what_their_reference_allows(splits):
    split = read_split(splits / "isic2017_256.csv")
    assert split.groupby(["split", "tasks"]).size().to_dict() == {
        ("train", "both"): 1514,
        ("val", "both"): 181,
        ("test", "segmentation"): 150,  # the official validation images: the ones with masks
        ("test", "classification"): 600,  # the official test images: labels and no masks
    }
    assert split["id"].str.fullmatch(r"ISIC_00\d{5}").all()


def test_no_image_is_learnt_from_whose_copy_is_scored_or_chosen_by(splits, repo):
    pairs = pd.read_csv(repo / "workflow" / "data" / "records" / "isic2017_duplicates.csv")
    assert len(pairs) == 13  # twelve of the data sheet, one found by the gates
    split = read_split(splits / "isic2017_256.csv").set_index("id")["split"].to_dict()
    for one, other in zip(pairs["image_a"], pairs["image_b"], strict=True):
        used = {split.get(one), split.get(other)} - {None}
        assert len(used) == 1, (one, other, used)


def test_the_small_isic_set_of_the_tests(splits):
    split = read_split(splits / "isic2017_ci96.csv")
    assert split["split"].value_counts().to_dict() == {"train": 48, "val": 24, "test": 24}


def test_folds_of_the_real_volumes_share_the_fluids(volumes):
    for vendor in ("Cirrus", "Spectralis", "Topcon"):
        amounts = volumes.loc[volumes["vendor"] == vendor, FLUIDS]
        folds = balanced_folds(amounts, 5)
        assert sorted(itertools.chain(*folds)) == sorted(amounts.index)
        shares = pd.concat([amounts.loc[fold].sum() / amounts.sum() for fold in folds], axis=1)
        # One volume alone holds up to 45 % of a fluid; no fold holds much more, and none little.
        largest = (amounts / amounts.sum()).max()
        assert (shares.max(axis=1) <= largest.clip(lower=0.2) + 0.08).all()
        assert (shares > 0.02).all(axis=None)
