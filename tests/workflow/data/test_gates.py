"""Every gate both ways, on small prepared folders, and what gates.json says of those that pass."""

from pathlib import Path

import numpy as np
import pytest

from tests.workflow.data.prepared_files import FLUIDS, SIZE, changed, dermoscopy, tomography
from workflow.base.errors import DataError
from workflow.config import paths
from workflow.config.datasets import FolderLayout
from workflow.config.load import load_config
from workflow.data.gates import check

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def base():
    return load_config(ROOT / "config.yaml", {"preset": "everything"})


@pytest.fixture
def config(base, tmp_path, monkeypatch):
    """Both data sets at a small size, in a folder of their own; nothing is known of duplicates."""
    monkeypatch.chdir(tmp_path)
    small = {"image_size": SIZE, "duplicates": None}
    return changed(base, isic2017=small, retouch_spectralis=small)


def knowing(config, *lines, header="image_a,image_b,kind"):
    """The configuration with a list of known duplicates of the dermoscopic images."""
    Path("known.csv").write_text("\n".join([header, *lines]) + "\n")
    return changed(config, isic2017={"duplicates": "known.csv"})


def detail(report, name):
    return next(gate["detail"] for gate in report["gates"] if gate["name"].startswith(name))


def test_a_sound_data_set_passes_and_its_report_says_what_it_holds(config):
    prepared = dermoscopy()
    prepared.set("test0", has_mask=False, score_segmentation=False)
    prepared.masks[prepared.at("test0")] = 255
    report, said = prepared.check(config)
    thirds = {"melanoma": 1, "seborrheic_keratosis": 1, "nevus": 1}
    part = {"images": 3, "groups": 3, "masks": 3, "positive": thirds, "positive_share": 1 / 3}
    part["lesion_pixels"] = {"lesion": 1 / 16}
    doubled = {key: 2 * count for key, count in thirds.items()}
    assert report == {
        "dataset": "isic2017",
        "split": "official",
        "prevalence": {
            "train": {**part, "images": 6, "groups": 6, "masks": 6, "positive": doubled},
            "val": part,
            "test": {**part, "masks": 2},
        },
        "sizes": {"smallest": [600, 450], "largest": [605, 450], "distinct": 6},
        "duplicates": [],
        "dropped": [],
        "leaks": None,
        "empty_masks": {"images": 0, "of": 11, "ids": []},
        "lost_in_resizing": {},
        "gates": report["gates"],
    }
    assert [(gate["passed"], bool(gate["detail"])) for gate in report["gates"]] == 7 * [
        (True, True)
    ]
    lines = "\n".join(said).splitlines()
    for gate in report["gates"]:
        assert f"isic2017: {gate['name']}: passed: {gate['detail']}" in lines
    table = lines[lines.index("isic2017: what each split holds") + 1 :][:4]
    assert len({len(line) for line in table}) == 1
    assert [line.split()[:4] for line in table[1:]] == [
        ["train", "6", "6", "6"],
        ["val", "3", "3", "3"],
        ["test", "3", "3", "2"],
    ]
    assert all("33.33 %" in line and "6.25 %" in line for line in table[1:])


def test_a_sound_set_of_volumes_passes(config):
    report, _ = tomography().check(config)
    assert report["prevalence"]["train"]["groups"] == 2
    assert report["prevalence"]["train"]["positive"] == {"irf": 2, "srf": 2, "ped": 2}
    assert report["prevalence"]["test"]["positive_share"] == 0.25
    shares = report["prevalence"]["test"]["lesion_pixels"]
    assert shares == {x: 48 * k / (4 * SIZE**2) for k, x in enumerate(FLUIDS, start=1)}
    assert report["duplicates"] == []  # slices share the checksum of their volume
    assert report["empty_masks"] is None
    assert report["lost_in_resizing"] == {x: {"images": 0, "of": 4} for x in FLUIDS}


def test_shares_are_of_what_is_scored_and_null_where_nothing_is(config):
    prepared = dermoscopy()
    for i in range(3):
        prepared.set(f"val{i}", score_classification=False)
        prepared.set(f"test{i}", has_mask=False, score_segmentation=False)
    prepared.masks[prepared.table["split"] == "test"] = 255
    report, said = prepared.check(config)
    assert report["prevalence"]["val"]["positive_share"] is None
    assert report["prevalence"]["test"]["lesion_pixels"] == {"lesion": None}
    assert said[1].splitlines()[-2].split()[-3:] == ["-", "6.25", "%"]


def test_a_group_in_two_splits_fails(config):
    prepared = tomography()
    prepared.set("A_1", split="test")
    prepared.set("B_2", split="val")
    assert prepared.failures(config) == [
        "retouch_spectralis: groups in one split: in more than one split: A (train, test), "
        "B (train, val); give each group to one split"
    ]


def test_split_slices_counts_the_groups_that_leak(config):
    config, prepared = changed(config, retouch_spectralis={"split": "slices"}), tomography()
    prepared.set("A_1", split="test")
    prepared.copy("A_0", "A_1")  # neighbours are alike, and that is what the split measures
    report, _ = prepared.check(config)
    assert report["leaks"] == {"groups": 1, "of": 4}
    assert report["duplicates"] == []


def test_copies_across_splits_fail_with_both_ids(config):
    prepared = dermoscopy()
    prepared.copy("train1", "test2")
    prepared.set("val0", sha256="train4")
    config = knowing(config, "train0,train3,near")
    where = "isic2017: no image in two splits:"
    what = "are the same image; leave one out of the split, or list the pair in known.csv"
    assert prepared.failures(config) == [
        f"{where} train1 (train) and test2 (test) {what}",
        f"{where} train4 (train) and val0 (val) {what}",
    ]


def test_where_nothing_is_known_the_message_says_how_to_begin(config):
    prepared = dermoscopy()
    prepared.copy("val1", "test1")
    (line,) = prepared.failures(config)
    assert "val1 (val) and test1 (test) are the same image" in line
    assert line.endswith("in a CSV (image_a, image_b) that datasets.isic2017.duplicates names")


def test_a_volume_under_two_names_fails(config):
    prepared = tomography()
    for z in range(4):
        prepared.copy(f"A_{z}", f"D_{z}")
    lines = prepared.failures(config)
    assert len(lines) == 4
    assert "A_0 (train) and D_0 (test) are the same image" in lines[0]


def test_very_many_copies_are_counted(config):
    prepared = dermoscopy(train=40)
    for i in range(40):
        prepared.copy("test0", f"train{i}")
        for k in range(3):
            prepared.copy("test0", f"test{k}")
    lines = prepared.failures(config)
    assert len(lines) == 101
    assert lines[-1] == "isic2017: no image in two splits: and 20 more pairs"


def test_known_copies_pass_and_are_dropped(config):
    prepared = dermoscopy()
    prepared.copy("train1", "test2")
    config = knowing(config, "test2,train1,identical", "elsewhere,train2,near")
    report, _ = prepared.check(config)
    pair = {"a": "train1", "split_a": "train", "b": "test2", "split_b": "test"}
    assert report["duplicates"] == [{**pair, "kind": "identical", "difference": 0, "known": True}]
    assert report["dropped"] == ["test2"]


def test_known_pairs_are_listed_where_no_comparison_finds_them(config):
    config = knowing(config, "train1,val0,identical", "val2,test0,near")
    report, _ = dermoscopy().check(config)
    found = [(entry["a"], entry["b"], entry["kind"]) for entry in report["duplicates"]]
    assert found == [("train1", "val0", "identical"), ("val2", "test0", "near")]
    assert all(entry["difference"] > 5 and entry["known"] for entry in report["duplicates"])
    assert report["dropped"] == ["test0"]


def test_a_list_without_kinds_takes_them_from_the_comparison(config):
    prepared = dermoscopy()
    prepared.copy("train1", "test2")
    config = knowing(config, "train1,test2", "train2,test1", header="image_a,image_b")
    report, _ = prepared.check(config)
    assert [entry["kind"] for entry in report["duplicates"]] == ["identical", "near"]


def test_near_copies_are_told_and_dropped_but_pass(config):
    prepared = dermoscopy()
    prepared.copy("val1", "test0", shift=9)
    report, _ = prepared.check(config)
    (entry,) = report["duplicates"]
    assert (entry["kind"], entry["difference"], entry["known"]) == ("near", 9, False)
    assert report["dropped"] == ["test0"]
    told = detail(report, "no image in two splits")
    assert "1 near, not known: val1 (val) and test0 (test)" in told


def test_copies_within_a_split_are_listed_only(config):
    prepared = dermoscopy()
    prepared.copy("test0", "test1")
    report, _ = prepared.check(config)
    assert [(entry["a"], entry["b"]) for entry in report["duplicates"]] == [("test0", "test1")]
    assert report["dropped"] == []


def test_flat_images_are_counted(config):
    prepared = dermoscopy()
    for name in ("train0", "test0"):
        prepared.images[prepared.at(name)] = 0
    report, _ = prepared.check(config)
    assert report["duplicates"] == []
    assert "2 images too flat to compare" in detail(report, "no image in two splits")


def test_a_label_that_training_lacks_fails(config):
    prepared = dermoscopy()
    prepared.table.loc[prepared.table["split"] == "train", "label_nevus"] = 0
    assert prepared.failures(config) == [
        "isic2017: everything occurs in training: no training image has label 'nevus'; choose "
        "another split"
    ]


def test_a_label_that_every_training_image_has_is_noted(config):
    prepared = dermoscopy()
    prepared.table.loc[prepared.table["split"] == "train", "label_nevus"] = 1
    report, _ = prepared.check(config)
    told = detail(report, "everything occurs in training")
    assert told.endswith("every training image has label nevus")


def test_a_lesion_that_training_lacks_fails(config):
    prepared = tomography()
    prepared.masks[(prepared.table["split"] == "train") & (prepared.masks == 3).any((1, 2))] = 0
    assert prepared.failures(config) == [
        "retouch_spectralis: everything occurs in training: no training mask holds lesion 'ped'; "
        "choose another split"
    ]


def of_methods(config, *names):
    """The configuration with some methods selected."""
    chosen = config.select.model_copy(update={"methods": [*names]})
    return config.model_copy(update={"select": chosen})


def unmasked(*images):
    """Dermoscopic images of which some have no mask."""
    prepared = dermoscopy()
    for image in images or prepared.table["id"]:
        prepared.masks[prepared.at(image)] = 255
        prepared.set(image, has_mask=False, score_segmentation=False)
    return prepared


@pytest.mark.parametrize("images", [(), ("train1",), ("val0", "train5")])
def test_images_to_train_on_need_masks_where_a_method_segments(config, images):
    prepared = unmasked(*images)
    count = len(images) or 9
    (line,) = prepared.failures(of_methods(config, "unetpp", "efficientnet"))
    assert line.startswith(
        f"isic2017: masks hold classes: {count} of 9 images to train and validate on have no mask: "
    )
    assert "; unetpp would segment. Add the masks, " in line
    prepared.check(of_methods(config, "efficientnet"))


def test_test_images_without_a_mask_are_named(config):
    report, _ = unmasked("test1").check(of_methods(config, "unetpp"))
    assert "1 test images have none to be scored with: test1" in detail(report, "masks hold cla")


def test_a_set_without_masks_passes_where_nothing_segments(config):
    prepared = unmasked()
    report, _ = prepared.check(of_methods(config, "efficientnet"))
    assert report["empty_masks"] == {"images": 0, "of": 0, "ids": []}
    assert report["prevalence"]["train"]["lesion_pixels"] == {"lesion": None}


def test_an_empty_split_fails(config):
    assert dermoscopy(val=0).failures(config) == [
        "isic2017: arrays and index: val has no image; give it some in the split"
    ]


def test_an_id_that_occurs_twice_fails(config):
    prepared = dermoscopy()
    prepared.set("test1", id="train1")
    (line,) = prepared.failures(config)
    assert line.endswith("ids occur twice: train1; each image needs an id of its own")


def test_arrays_of_another_size_fail(config):
    lines = dermoscopy().failures(changed(config, isic2017={"image_size": 64}))
    assert len(lines) == 6
    assert (
        "train/images.npy: found uint8 (6, 48, 48, 3), expected uint8 (6, 64, 64, 3) by "
        "index.parquet and the configuration; prepare it again"
    ) in lines[0]


@pytest.mark.parametrize("file", ["images", "masks", "labels"])
def test_arrays_of_another_length_fail(config, file):
    prepared = dermoscopy()
    prepared.write(config)
    path = paths.prepared(config, "isic2017") / "val" / f"{file}.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(DataError, match=rf"val/{file}.npy: found uint8 \(2, .*expected uint8 \(3"):
        check(config, "isic2017", lambda line: None)


def test_labels_that_differ_from_the_index_fail(config):
    prepared = dermoscopy()
    prepared.write(config)
    path = paths.prepared(config, "isic2017") / "test" / "labels.npy"
    np.save(path, 1 - np.load(path))
    with pytest.raises(DataError, match=r"test/labels.npy: differs from index.parquet; prepare"):
        check(config, "isic2017", lambda line: None)


def test_labels_other_than_0_and_1_fail(config):
    prepared = dermoscopy()
    prepared.set("val1", label_nevus=2)
    (line,) = prepared.failures(config)
    assert line.endswith("val/index.parquet: a label is neither 0 nor 1; mend the raw labels")


@pytest.mark.parametrize("value", [2, 128, 255])
def test_a_mask_with_other_values_fails(config, value):
    prepared = dermoscopy()
    prepared.masks[prepared.at("val1"), 3, 3] = value
    assert prepared.failures(config) == [
        f"isic2017: masks hold classes: found a value above 1 in val1 ({value}); masks hold 0 to "
        "1, or 255 everywhere where there is none"
    ]


@pytest.mark.parametrize("there", [True, False])
def test_has_mask_must_fit_the_mask(config, there):
    prepared = dermoscopy()
    prepared.set("test2", has_mask=there)
    if there:
        prepared.masks[prepared.at("test2")] = 255
    (line,) = prepared.failures(config)
    assert line.endswith("has_mask does not fit the mask of test2; prepare it again")


@pytest.mark.parametrize(("train", "passes"), [(94, True), (93, False)])
def test_one_empty_mask_in_a_hundred_passes_in_isic_2017(config, train, passes):
    prepared = dermoscopy(train=train)
    prepared.masks[prepared.at("train5")] = 0
    if passes:
        empty = prepared.check(config)[0]["empty_masks"]
        assert empty == {"images": 1, "of": 100, "ids": ["train5"]}
    else:
        assert prepared.failures(config) == [
            "isic2017: masks hold classes: 1 of 99 masks are empty, such as train5; at most 1% "
            "may be: look at the raw masks, or raise image_size"
        ]


def test_empty_masks_of_a_folder_are_only_counted(config):
    layout = FolderLayout(images="i", masks="m", mask_values=[1], labels="l.csv", color=True)
    prepared = dermoscopy()
    prepared.masks[prepared.table["split"] == "test"] = 0
    own = changed(config, isic2017={"source": "folder", "folder": layout})
    report, _ = prepared.check(own)
    assert report["empty_masks"] == {"images": 3, "of": 12, "ids": ["test0", "test1", "test2"]}


def test_a_lesion_without_its_label_fails(config):
    prepared = tomography()
    prepared.set("B_2", label_srf=0)
    prepared.masks[prepared.at("D_0"), 9, 9] = 1
    where = "retouch_spectralis: masks and labels agree:"
    assert prepared.failures(config) == [
        f"{where} the mask holds irf, but its label is 0: D_0; mend the labels",
        f"{where} the mask holds srf, but its label is 0: B_2; mend the labels",
    ]


def test_a_lesion_lost_in_resizing_is_counted(config):
    prepared = tomography()
    prepared.masks[prepared.at("C_3")] = 0
    report, _ = prepared.check(config)
    assert report["lost_in_resizing"]["ped"] == {"images": 1, "of": 4}
    assert "ped 1 of 4" in detail(report, "masks and labels agree")


def test_everything_wrong_is_told_at_once_and_nothing_written(config):
    prepared = tomography()
    prepared.copy("A_0", "C_0")
    prepared.set("A_1", split="val")
    prepared.set("B_1", label_irf=0)
    prepared.masks[prepared.at("D_3"), 0, 0] = 7
    prepared.write(config)
    said = []
    with pytest.raises(DataError) as caught:
        check(config, prepared.name, said.append)
    failed = [line.split(":")[1].strip() for line in str(caught.value).splitlines()]
    assert failed == [
        "groups in one split",
        "no image in two splits",
        "everything occurs in training",
        "masks hold classes",
        "masks and labels agree",
    ]
    assert sum(line.endswith(": FAILED") for line in said) == 5
    assert sum(": passed: " in line for line in said) == 2  # arrays and index, grey levels
    assert not paths.gates(config, prepared.name).exists()


def test_many_examples_are_cut_short(config):
    prepared = dermoscopy(train=15)
    prepared.masks[:15, 0, 0] = 9
    (line,) = prepared.failures(config)
    assert "train9 (9) and 5 more; masks hold" in line


def test_a_broken_list_of_known_pairs_fails_first(config):
    config = knowing(config, "train0,train0,near")
    with pytest.raises(DataError, match=r"known.csv: line 2: train0 stands on both sides"):
        check(config, "isic2017")
