"""Prepared arrays: shapes, labels of the raw reference, exact manifests."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from workflow.base.errors import DataError
from workflow.config import paths
from workflow.data import make
from workflow.data import prepare as module
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.prepare import FILES, prepare
from workflow.data.resize import resize
from workflow.data.sources.source import open_source
from workflow.running import fingerprint
from workflow.running.raw_files import raw_roots

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
        for name in ("inventory.csv", "inputs.csv", "split.csv"):
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
    assert split.index.tolist() == inventory["id"].tolist()
    indices = {name: index_of(tiny_config, dataset, name) for name in SPLITS}
    for name, index in indices.items():
        expected = inventory[inventory["id"].map(split) == name]
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
        groups = index["group"].unique()
        raw = {image.id: image for group in groups for image in source.read(group, 32)}
        for row, image in enumerate(index["id"]):
            pixels, mask = resize(raw[image], 32, tiny_config.data.resize)
            np.testing.assert_array_equal(arrays.images[row], pixels)
            np.testing.assert_array_equal(arrays.masks[row], mask)
            assert index.loc[row, ["height", "width"]].tolist() == [*raw[image].mask.shape]
            assert index["group"][row] == image.partition("-")[0]
        columns = [f"label_{label}" for label in labels]
        np.testing.assert_array_equal(arrays.labels, index[columns])


def test_labels_are_of_the_raw_reference_not_of_the_resized_mask(tiny_config):
    source = open_source(tiny_config, "retouch_spectralis")
    lost = 0
    for name in SPLITS:
        arrays = load_arrays(tiny_config, "retouch_spectralis", name)
        index = index_of(tiny_config, "retouch_spectralis", name)
        groups = index["group"].unique()
        raw = {image.id: image for group in groups for image in source.read(group, 32)}
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


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_manifest_says_what_the_arrays_were_made_from(tiny_config, dataset):
    manifest, folder = manifest_of(tiny_config, dataset), paths.prepared(tiny_config, dataset)
    inputs = pd.read_csv(folder / "inputs.csv")
    digest = hashlib.sha256((folder / "inputs.csv").read_bytes()).hexdigest()
    assert manifest["inputs"] == {"list": "inputs.csv", "sha256": digest}
    roots = raw_roots(tiny_config, tiny_config.raw_source(dataset))
    for name, expected in zip(inputs["file"], inputs["sha256"], strict=True):
        label, _, path = name.partition("/")
        assert hashlib.sha256((roots[label] / path).read_bytes()).hexdigest() == expected
    # Two masks' worth of files for each dermoscopic image, four for each volume, three tables.
    assert len(inputs) == {"isic2017": 24 * 2 + 3, "retouch_spectralis": 4 * 4}[dataset]
    assert manifest["parameters"] == {
        "resize": {"images": "bilinear", "masks": "nearest"},
        "slice_step": 7 if dataset == "retouch_spectralis" else 1,
        "intensity": "type",
    }
    assert manifest["code"] == fingerprint.code_hash("workflow.data.prepare")


def test_the_identity_is_of_the_arrays_and_not_of_how_they_came_about(tiny_config):
    manifest = manifest_of(tiny_config, "isic2017")
    same = {k: v for k, v in manifest.items() if k not in ("hash", "parameters", "inputs", "code")}
    digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    assert manifest["hash"] == digest
    assert paths.identity(tiny_config, "isic2017").read_text() == f"{digest}\n"


@pytest.mark.parametrize("threads", [1, 5])
def test_the_number_of_threads_decides_nothing(writable, tiny_tree, threads, monkeypatch):
    monkeypatch.setattr(module, "usable_threads", lambda wanted: threads)
    for dataset in DATASETS:
        prepare(writable, dataset)
        folder = paths.prepared(writable, dataset)
        expected = (tiny_tree / folder / "manifest.json").read_text()
        assert (folder / "manifest.json").read_text() == expected


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_error_leaves_what_was_there_and_nothing_half_written(writable, dataset, monkeypatch):
    prepare(writable, dataset)
    folder = paths.prepared(writable, dataset)
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}

    class Broken:
        def __init__(self, source):
            self._source, self.groups = source, source.groups

        def read(self, group, size):
            if group == self.groups[-1]:
                raise DataError("the last group is damaged")
            yield from self._source.read(group, size)

    monkeypatch.setattr(module, "open_source", lambda *given: Broken(open_source(*given)))
    with pytest.raises(DataError, match="the last group is damaged"):
        prepare(writable, dataset)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before


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
        if file.is_file() and file.name != "gates.json" and not file.name.startswith("."):
            assert (folder / file.relative_to(tiny_tree / folder)).read_bytes() == file.read_bytes()


def edit_inventory(config, dataset, change):
    file = paths.prepared(config, dataset) / "inventory.csv"
    change(table := pd.read_csv(file))
    table.to_csv(file, index=False)


def test_an_inventory_of_other_images_is_refused(writable):
    def rename(table):
        table.loc[table.index[:2], "id"] = ["TRAIN025-900", "TRAIN025-901"]

    edit_inventory(writable, "retouch_spectralis", rename)
    split = paths.prepared(writable, "retouch_spectralis") / "split.csv"
    rename(table := pd.read_csv(split))
    table.to_csv(split, index=False)
    with pytest.raises(DataError, match=r"2 images of inventory.csv are not .* first TRAIN025-900"):
        prepare(writable, "retouch_spectralis")


def test_a_group_that_is_gone_is_named(writable):
    edit_inventory(
        writable,
        "isic2017",
        lambda table: table.replace({"group": {"ISIC_9000003": "ISIC_1234567"}}, inplace=True),
    )
    with pytest.raises(DataError, match=r"isic2017: 1 groups of inventory.csv .* ISIC_1234567"):
        prepare(writable, "isic2017")


def test_an_image_without_mask_is_marked_everywhere_and_not_scored(writable, monkeypatch):
    class Unmasked:
        def __init__(self, source):
            self._source, self.groups = source, source.groups

        def read(self, group, size):
            for image in self._source.read(group, size):
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
