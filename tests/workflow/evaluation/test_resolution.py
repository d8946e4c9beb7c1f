"""What masks are compared with: prepared or raw references, pixels counted and borders measured."""

import math
from fractions import Fraction

import numpy as np
import pyarrow.parquet as pq
import pytest
import SimpleITK as sitk
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix

from workflow.base.errors import DataError
from workflow.config import paths
from workflow.data.arrays import load_arrays
from workflow.data.sources.source import RawImage, open_source
from workflow.evaluation import evaluate
from workflow.evaluation.controls import control_seeds
from workflow.evaluation.evaluate import write_counts
from workflow.metrics.boundary import boundary_distances

DATASETS = ["isic2017", "retouch_spectralis"]


def configured(config, **changes):
    evaluation = config.evaluation.model_copy(update=changes)
    return config.model_copy(update={"evaluation": evaluation})


def raw_reference(config, dataset, image, group):
    """The reference of one image as it lies on disk, read without the workflow's own readers."""
    if dataset == "isic2017":
        name = f"{image}_segmentation.png"
        path = next(p for root in paths.raw_roots(config, "isic2017") for p in root.rglob(name))
        return (np.asarray(Image.open(path)) >= 128).astype(np.uint8)
    (folder,) = paths.raw_dir(config, "retouch").rglob(group)
    volume = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "reference.mhd")))
    return volume[int(image.rpartition("-")[2])]


def enlarged(mask, shape):
    """By nearest neighbour: each large pixel has the class at its centre."""
    rows, columns = (
        [math.floor(Fraction(2 * i + 1, 2) * Fraction(small, large)) for i in range(large)]
        for large, small in zip(shape, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def index_of(config, dataset):
    folder = paths.prepared(config, dataset) / "test"
    return pq.read_table(folder / "index.parquet").to_pandas()


def predictions(config, dataset):
    """The reference, moved a little, with some noise."""
    masks = np.array(load_arrays(config, dataset, "test").masks)
    noise = np.random.default_rng(0).random(masks.shape) < 0.01
    moved = np.roll(masks, 2, axis=1)
    return np.where(noise, len(config.datasets[dataset].lesions), moved).astype(np.uint8)


def saved(config, dataset, masks, tmp_path):
    folder = tmp_path / "saved"
    write_counts(
        config, dataset, load_arrays(config, dataset, "test"), torch.from_numpy(masks), None, folder
    )
    return pq.read_table(folder / "counts.parquet").to_pandas()


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("threads", [1, 2])
def test_native_counts_compare_with_the_raw_reference(tiny_config, tmp_path, dataset, threads):
    data = tiny_config.data.model_copy(update={"threads": threads})
    config = configured(tiny_config.model_copy(update={"data": data}), resolution="native")
    masks, index = predictions(config, dataset), index_of(config, dataset)
    table = saved(config, dataset, masks, tmp_path)
    lesions = config.datasets[dataset].lesions
    expected = [
        (i, g, n) for i, g in zip(index["id"], index["group"], strict=True) for n in lesions
    ]
    assert list(zip(table["id"], table["group"], table["name"], strict=True)) == expected
    rows, positive = iter(table.itertuples()), 0
    for k, (image, group) in enumerate(zip(index["id"], index["group"], strict=True)):
        reference = raw_reference(config, dataset, image, group)
        assert reference.shape == (index["height"][k], index["width"][k])
        assert reference.shape != masks[k].shape
        found = enlarged(masks[k], reference.shape)
        for value in range(1, len(lesions) + 1):
            cells = confusion_matrix(
                (reference == value).ravel(), (found == value).ravel(), labels=[False, True]
            )
            (tn, fp), (fn, tp) = cells
            row = next(rows)
            assert (row.tp, row.fp, row.fn, row.tn) == (tp, fp, fn, tn)
            positive += tp > 0
    assert positive > 1, "masks that never meet would test little"


@pytest.mark.parametrize("resolution", ["input", "native"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_borders_are_measured_at_the_resolution_counted(tiny_config, tmp_path, dataset, resolution):
    config = configured(tiny_config, resolution=resolution, boundary=True)
    masks, index = predictions(config, dataset), index_of(config, dataset)
    table = saved(config, dataset, masks, tmp_path)
    prepared, lesions = load_arrays(config, dataset, "test").masks, config.datasets[dataset].lesions
    found = table[["hd95", "asd"]].to_numpy().reshape(len(index), len(lesions), 2)
    for k, (image, group) in enumerate(zip(index["id"], index["group"], strict=True)):
        reference = prepared[k]
        if resolution == "native":
            reference = raw_reference(config, dataset, image, group)
        expected = boundary_distances(
            enlarged(masks[k], reference.shape), np.asarray(reference), len(lesions)
        )
        np.testing.assert_array_equal(found[k], expected)
    assert np.isfinite(found).any()


@pytest.mark.parametrize("resolution", ["input", "native"])
def test_borders_are_left_unmeasured_by_default(tiny_config, tmp_path, resolution):
    config = configured(tiny_config, resolution=resolution)
    table = saved(config, "isic2017", predictions(config, "isic2017"), tmp_path)
    assert table[["hd95", "asd"]].isna().all().all()


def test_saved_masks_do_not_depend_on_the_resolution(tiny_config, tmp_path):
    masks = predictions(tiny_config, "retouch_spectralis")
    for resolution in ("input", "native"):
        saved(configured(tiny_config, resolution=resolution), "retouch_spectralis", masks, tmp_path)
        with np.load(tmp_path / "saved" / "masks.npz") as archive:
            np.testing.assert_array_equal(archive["masks"], masks)
            assert archive["masks"].dtype == np.uint8


def test_what_an_oracle_loses_by_the_size_of_the_input(tiny_config):
    """A perfect mask at input size is not perfect at that of the raw image."""
    config = configured(tiny_config, resolution="native")
    control_seeds(config, "isic2017", "control_oracle", "0")
    folder = paths.evaluation(config, "isic2017", "control_oracle", 0)
    table = pq.read_table(folder / "counts.parquet").to_pandas()
    pixels = table[table["task"] == "segmentation"]
    wrong = (pixels["fp"] + pixels["fn"]) / (pixels["tp"] + pixels["fp"] + pixels["fn"])
    assert (wrong > 0).any()
    assert (wrong < 0.25).all()


def test_only_images_that_are_scored_are_read(tiny_config, tmp_path, monkeypatch):
    test = tmp_path / "test"
    original = paths.prepared(tiny_config, "isic2017") / "test"
    index = pq.read_table(original / "index.parquet").to_pandas()
    index["score_segmentation"] = [True, False, True, False, False, False]
    test.mkdir()
    for name in ("images", "masks", "labels"):
        (test / f"{name}.npy").symlink_to((original / f"{name}.npy").resolve())
    index.to_parquet(test / "index.parquet", index=False)
    arrays = load_arrays(tiny_config, "isic2017", "test")
    arrays = type(arrays)(arrays.images, arrays.masks, arrays.labels, test)
    real, read = open_source(tiny_config, "isic2017"), []

    class Watched:
        groups = real.groups

        def read(self, group, size):
            read.append((group, size))
            return real.read(group, size)

    monkeypatch.setattr(evaluate, "open_source", lambda config, dataset: Watched())
    masks = torch.from_numpy(predictions(tiny_config, "isic2017"))
    config = configured(tiny_config, resolution="native")
    write_counts(config, "isic2017", arrays, masks, None, tmp_path / "saved")
    assert sorted(read) == [(index["group"][0], 32), (index["group"][2], 32)]
    table = pq.read_table(tmp_path / "saved" / "counts.parquet").to_pandas()
    assert table["id"].tolist() == [index["id"][0], index["id"][2]]
    whole = saved(config, "isic2017", masks.numpy(), tmp_path)
    expected = whole[whole["id"].isin(table["id"])].reset_index(drop=True)
    assert table.equals(expected)


class Incomplete:
    """A source that lacks a group, an image, or a mask."""

    def __init__(self, source, lacks, image):
        self.source, self.lacks, self.image = source, lacks, image
        gone = image.group if lacks == "group" else None
        self.groups = [group for group in source.groups if group != gone]

    def read(self, group, size):
        for raw in self.source.read(group, size):
            if raw.id != self.image.id:
                yield raw
            elif self.lacks == "mask":
                yield RawImage(raw.id, raw.pixels, None, raw.extent)


@pytest.mark.parametrize("lacks", ["group", "image", "mask"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_raw_reference_that_is_gone_is_named(tiny_config, tmp_path, monkeypatch, dataset, lacks):
    config = configured(tiny_config, resolution="native")
    first = next(index_of(config, dataset).itertuples())
    source = Incomplete(open_source(config, dataset), lacks, first)
    monkeypatch.setattr(evaluate, "open_source", lambda *_: source)
    with pytest.raises(DataError) as error:
        saved(config, dataset, predictions(config, dataset), tmp_path)
    assert str(error.value) == (
        f"{dataset}: the raw data has no reference mask of {first.id} (group {first.group}), with "
        "which evaluation.resolution native compares; bring it back, or set resolution to input"
    )
    assert not (tmp_path / "saved").exists()
