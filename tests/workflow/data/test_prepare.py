"""Prepared arrays: shapes, labels of the raw reference, exact manifests, and how images shrink."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workflow import paths
from workflow.data import make
from workflow.data import prepare as module
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.errors import DataError
from workflow.data.prepare import FILES, prepare, resize
from workflow.data.source import RawImage, open_source

SPLITS = ("train", "val", "test")
COUNTS = {  # 49 B-scans, every seventh; 4 volumes of which one tests and one validates
    "retouch_spectralis": {"train": 14, "val": 7, "test": 7},
    "isic2017": {"train": 12, "val": 6, "test": 6},
}
DATASETS = tuple(COUNTS)


def index_of(config, dataset, split):
    return pd.read_parquet(paths.prepared(config, dataset) / split / "index.parquet")


def manifest_of(config, dataset):
    return json.loads((paths.prepared(config, dataset) / "manifest.json").read_text("utf-8"))


@pytest.fixture
def writable(tiny_config, tiny_tree):
    """The tiny configuration with inventories and splits in place and nothing prepared yet."""
    link = tiny_config.results / "data"
    link.unlink()
    for dataset in DATASETS:
        folder = paths.prepared(tiny_config, dataset)
        folder.mkdir(parents=True)
        for name in ("inventory.csv", "split.csv"):
            (folder / name).write_bytes((tiny_tree / folder / name).read_bytes())
    return tiny_config


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("split", SPLITS)
def test_shapes_and_types(tiny_config, dataset, split):
    arrays = load_arrays(tiny_config, dataset, split)
    count, colours = COUNTS[dataset][split], (3,) if dataset == "isic2017" else ()
    assert arrays.images.shape == (count, 32, 32, *colours)
    assert arrays.masks.shape == (count, 32, 32)
    assert arrays.labels.shape == (count, 3)
    assert {a.dtype for a in (arrays.images, arrays.masks, arrays.labels)} == {np.dtype("uint8")}
    assert arrays.masks.max() <= len(tiny_config.datasets[dataset].lesions)
    assert isinstance(arrays.images, np.memmap)
    assert arrays.folder == paths.prepared(tiny_config, dataset) / split


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_image_is_in_its_groups_split_and_in_one_only(tiny_config, dataset):
    inventory = pd.read_csv(paths.prepared(tiny_config, dataset) / "inventory.csv")
    split = pd.read_csv(paths.prepared(tiny_config, dataset) / "split.csv").set_index("id")["split"]
    indices = {name: index_of(tiny_config, dataset, name) for name in SPLITS}
    for name, index in indices.items():
        expected = inventory[inventory["group"].map(split) == name]
        assert index["id"].tolist() == expected["id"].tolist()
        assert index["sha256"].tolist() == expected["sha256"].tolist()
    assert sum(len(index) for index in indices.values()) == len(inventory)


@pytest.mark.parametrize("dataset", DATASETS)
def test_arrays_hold_the_raw_images_at_their_rows(tiny_config, dataset):
    source = open_source(tiny_config, dataset)
    labels = tiny_config.datasets[dataset].labels
    for name in SPLITS:
        arrays, index = (
            load_arrays(tiny_config, dataset, name),
            index_of(tiny_config, dataset, name),
        )
        raw = {image.id: image for group in index["group"].unique() for image in source.read(group)}
        for row, image in enumerate(index["id"]):
            pixels, mask = resize(raw[image], 32)
            np.testing.assert_array_equal(arrays.images[row], pixels)
            np.testing.assert_array_equal(arrays.masks[row], mask)
            assert index.loc[row, ["height", "width"]].tolist() == [*raw[image].pixels.shape[:2]]
            assert index["group"][row] == image.partition("-")[0]
        columns = [f"label_{label}" for label in labels]
        np.testing.assert_array_equal(arrays.labels, index[columns])


def test_labels_are_of_the_raw_reference_not_of_the_resized_mask(tiny_config):
    source = open_source(tiny_config, "retouch_spectralis")
    lost = 0
    for name in SPLITS:
        arrays = load_arrays(tiny_config, "retouch_spectralis", name)
        index = index_of(tiny_config, "retouch_spectralis", name)
        raw = {image.id: image for group in index["group"].unique() for image in source.read(group)}
        for row, image in enumerate(index["id"]):
            present = [int((raw[image].mask == k).any()) for k in (1, 2, 3)]
            assert arrays.labels[row].tolist() == present
            lost += sum(present) - len(set(np.unique(arrays.masks[row])) - {0})
    assert lost > 0, "no fluid vanished in resizing, so this test tells nothing"


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_manifest_says_what_there_is(tiny_config, dataset):
    manifest, definition = manifest_of(tiny_config, dataset), tiny_config.datasets[dataset]
    folder = paths.prepared(tiny_config, dataset)
    assert set(manifest["files"]) == {f"{split}/{file}" for split in SPLITS for file in FILES}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert manifest["dataset"] == dataset
    assert manifest["source"] == definition.source
    assert manifest["origin"] == "phantom"
    assert manifest["image_size"] == 32
    assert (manifest["lesions"], manifest["labels"]) == (definition.lesions, definition.labels)
    assert {name: entry["images"] for name, entry in manifest["splits"].items()} == COUNTS[dataset]
    for name, entry in manifest["splits"].items():
        index = index_of(tiny_config, dataset, name)
        assert entry["groups"] == index["group"].nunique()
        assert entry["masks"] == index["has_mask"].sum()
        assert entry["positive"] == {
            label: index[f"label_{label}"].sum() for label in definition.labels
        }
    assert manifest["groups"] == sum(entry["groups"] for entry in manifest["splits"].values())


def test_the_manifests_hash_is_of_everything_else_in_it(tiny_config):
    manifest = manifest_of(tiny_config, "isic2017")
    digest = manifest.pop("hash")
    canonical = json.dumps(manifest, sort_keys=True).encode()
    assert digest == hashlib.sha256(canonical).hexdigest()


def test_original_sizes_are_width_by_height_the_commonest_first(writable):
    def resized(table):
        table["width"], table["height"] = 640, 480
        table.loc[table.index[:2], "width"] = 600  # fewer, though they come first

    edit_inventory(writable, "isic2017", resized)
    prepare(writable, "isic2017")
    assert manifest_of(writable, "isic2017")["original_sizes"] == ["640×480", "600×480"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_preparing_again_gives_the_same_bytes(writable, tiny_tree, dataset):
    prepare(writable, dataset)
    folder = paths.prepared(writable, dataset)
    for file in (tiny_tree / folder).rglob("*.*"):
        if file.is_file():
            assert (folder / file.relative_to(tiny_tree / folder)).read_bytes() == file.read_bytes()


def edit_inventory(config, dataset, change):
    file = paths.prepared(config, dataset) / "inventory.csv"
    change(table := pd.read_csv(file))
    table.to_csv(file, index=False)


def test_a_label_without_a_positive_cannot_be_learnt(writable):
    def clear(table):
        table["label_nevus"] = (table["part"] != "train").astype(int)

    edit_inventory(writable, "isic2017", clear)
    with pytest.raises(DataError) as caught:
        prepare(writable, "isic2017")
    assert "isic2017: no training image has label 'nevus'" in str(caught.value)
    assert "choose another split than 'official'" in str(caught.value)
    assert not (paths.prepared(writable, "isic2017") / "manifest.json").exists()


def test_an_inventory_of_other_images_is_refused(writable):
    def rename(table):
        table.loc[table.index[:2], "id"] = ["TRAIN025-900", "TRAIN025-901"]

    edit_inventory(writable, "retouch_spectralis", rename)
    with pytest.raises(DataError, match=r"2 images of inventory.csv are not .* first TRAIN025-900"):
        prepare(writable, "retouch_spectralis")


def test_an_image_without_mask_is_marked_everywhere_and_not_scored(writable, monkeypatch):
    class Unmasked:
        def __init__(self, source):
            self._source = source

        def read(self, group):
            for image in self._source.read(group):
                yield image._replace(mask=None) if group == "ISIC_9000019" else image

    edit_inventory(
        writable,
        "isic2017",
        lambda table: table.__setitem__("has_mask", table["id"] != "ISIC_9000019"),
    )
    monkeypatch.setattr(module, "open_source", lambda *given: Unmasked(open_source(*given)))
    prepare(writable, "isic2017")
    masks = load_arrays(writable, "isic2017", "test").masks
    index = index_of(writable, "isic2017", "test")
    row = index["id"].tolist().index("ISIC_9000019")
    assert NO_MASK == 255
    assert (masks[row] == NO_MASK).all()
    assert (np.delete(masks, row, axis=0) <= 1).all()
    assert index["score_segmentation"].tolist() == (index["id"] != "ISIC_9000019").tolist()
    assert index["score_classification"].all()
    assert manifest_of(writable, "isic2017")["splits"]["test"]["masks"] == 5


def test_tasks_of_the_split_say_what_is_scored(writable):
    file = paths.prepared(writable, "isic2017") / "split.csv"
    split = pd.read_csv(file)
    test = split.index[split["split"] == "test"]
    split.loc[test, "tasks"] = ["both", "segmentation", "classification"] * 2
    split.to_csv(file, index=False)
    prepare(writable, "isic2017")
    index = index_of(writable, "isic2017", "test").set_index("id").loc[split["id"][test]]
    assert index["score_segmentation"].tolist() == [True, True, False] * 2
    assert index["score_classification"].tolist() == [True, False, True] * 2


def test_groups_outside_the_split_are_left_out(writable):
    file = paths.prepared(writable, "isic2017") / "split.csv"
    split = pd.read_csv(file)
    split.drop(index=split.index[-1]).to_csv(file, index=False)
    prepare(writable, "isic2017")
    assert len(load_arrays(writable, "isic2017", "test").images) == COUNTS["isic2017"]["test"] - 1
    assert split["id"].iloc[-1] not in index_of(writable, "isic2017", "test")["id"].tolist()


def test_the_command_makes_the_same_files(writable, tiny_tree):
    make.STEPS["prepare"](writable, "isic2017")
    made = manifest_of(writable, "isic2017")
    expected = tiny_tree / paths.prepared(writable, "isic2017") / "manifest.json"
    assert made == json.loads(expected.read_text("utf-8"))


# ---- resize


def grey(pixels, mask=None):
    return RawImage("x", pixels, mask)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 255),
    st.tuples(st.integers(3, 40), st.integers(3, 40)),
    st.sampled_from([8, 16, 33]),
)
def test_a_constant_image_stays_constant_in_255ths(dtype, level, shape, size):
    value = level * (np.iinfo(dtype).max // 255)
    pixels, mask = resize(grey(np.full(shape, value, dtype)), size)
    assert pixels.shape == mask.shape == (size, size)
    assert set(np.unique(pixels)) == {level}
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (128, 0), (129, 1), (257, 1), (32768, 128), (65535, 255)]
)
def test_16_bits_are_scaled_by_65535_and_rounded_once(value, expected):
    pixels, _ = resize(grey(np.full((9, 7), value, np.uint16)), 8)
    assert set(np.unique(pixels)) == {expected}


def test_16_bits_keep_their_steps_until_after_resizing():
    # 10.4 and 11.4: their mean is 10.9, but 10.5 if they are rounded first, which rounds to 10.
    low, high = 257 * 10 + 103, 257 * 11 + 103
    pixels, _ = resize(grey(np.array([[low, high]] * 2, np.uint16).repeat(8, 0).repeat(8, 1)), 1)
    assert pixels.item() == 11


def test_the_same_size_changes_nothing():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 16), np.uint8)
    mask = rng.integers(0, 4, (16, 16), np.uint8)
    colour = rng.integers(0, 256, (16, 16, 3), np.uint8)
    for pixels in (image, colour):
        resized, same = resize(RawImage("x", pixels, mask), 16)
        np.testing.assert_array_equal(resized, pixels)
        np.testing.assert_array_equal(same, mask)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=30)),
    st.sampled_from([1, 5, 16, 40]),
)
def test_masks_gain_no_values_and_images_no_extremes(array, size):
    pixels, mask = resize(grey(array, array), size)
    assert set(np.unique(mask)) <= set(np.unique(array))
    assert array.min() <= pixels.min()
    assert pixels.max() <= array.max()


def test_image_and_mask_shrink_to_the_same_place():
    image = np.zeros((40, 60), np.uint8)
    image[8:20, 15:45] = 255
    pixels, mask = resize(grey(image, (image > 0).astype(np.uint8)), 20)
    expected = np.zeros((20, 20))
    expected[4:10, 5:15] = 1  # divided by 2 and by 3, borders on borders
    np.testing.assert_array_equal(mask, expected)
    # The antialiasing filter blurs the border by less than a pixel either way.
    np.testing.assert_array_equal(pixels >= 128, expected == 1)


def test_antialiasing_averages_where_plain_sampling_would_alias():
    stripes = np.tile(np.array([[0, 255]], np.uint8), (64, 32))
    pixels, _ = resize(grey(stripes), 8)
    assert np.abs(pixels[:, 1:-1].astype(int) - 127.5).max() <= 8


def test_an_image_without_mask_gets_the_mark():
    _, mask = resize(grey(np.zeros((5, 9), np.uint8)), 4)
    np.testing.assert_array_equal(mask, np.full((4, 4), 255))
