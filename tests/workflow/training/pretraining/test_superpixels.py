"""Superpixels: ids from 1 to the largest, one file per number, of training images alone."""

import shutil

import numpy as np
import pytest

from tests.workflow.training.pretraining.small_network import images
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.data.arrays import load_arrays
from workflow.training.pretraining import superpixels


@pytest.mark.parametrize("count", [4, 20, 60])
def test_ids_run_from_one_to_the_largest_and_are_about_as_many_as_asked_for(count):
    labels = superpixels.cut(images(1, size=64)[0], count, 5)
    assert labels.shape == (64, 64)
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) == set(range(1, labels.max() + 1))
    assert count / 2 < labels.max() < 2 * count


def test_superpixels_follow_the_picture():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 29:] = (200, 60, 60)
    labels = superpixels.cut(image, 8, 5)
    assert not set(np.unique(labels[:, :28])) & set(np.unique(labels[:, 30:]))


def test_a_higher_compactness_makes_them_squarer():
    image = images(1, size=64)[0]

    def border(compactness):
        labels = superpixels.cut(image, 16, compactness).astype(int)
        return sum((np.diff(labels, axis=axis) != 0).sum() for axis in (0, 1))

    assert border(1000) < border(5)


def test_grey_images_are_cut_too():
    grey = images(1, size=64)[0, :, :, 0]
    assert superpixels.cut(grey, 16, 5).max() > 4


def test_one_file_per_number_holds_a_map_of_each_training_image(pretraining_config):
    config = pretraining_config
    train = load_arrays(config, "isic2017", "train").images
    for count in ("4", "9"):
        superpixels.write_superpixels(config, "isic2017", "autosmim", count)
    for count in (4, 9):
        maps = superpixels.load_superpixels(config, "isic2017", "autosmim", count)
        assert maps.shape == train.shape[:3]
        assert np.array_equal(maps[3], superpixels.cut(np.array(train[3]), count, 5))
    folder = paths.superpixels(config, "isic2017", "autosmim", 4).parent
    assert sorted(file.name for file in folder.glob("[!.]*")) == ["4.npz", "9.npz"]


def test_fewer_images_lie_evenly_over_the_split(pretraining_config, limited):
    train = load_arrays(pretraining_config, "isic2017", "train").images
    config = limited(5)
    chosen = superpixels.training_images(config, "isic2017", "autosmim")
    assert np.array_equal(chosen, train[[0, 3, 6, 8, 11]])
    assert len(superpixels.training_images(limited(500), "isic2017", "autosmim")) == len(train)


def test_the_other_splits_are_never_opened(pretraining_config, tmp_path):
    config = pretraining_config
    folder = paths.prepared(config, "isic2017")
    kept = tmp_path / "train"
    shutil.copytree(folder / "train", kept)
    (tmp_path / config.results / "data").unlink()
    shutil.copytree(kept, folder / "train")
    superpixels.write_superpixels(config, "isic2017", "autosmim", "4")
    assert len(superpixels.load_superpixels(config, "isic2017", "autosmim", 4)) == 12


def test_a_method_that_is_not_pretrained_says_so(pretraining_config):
    with pytest.raises(ConfigError, match=r"methods.unetpp: there is no `pretraining` section"):
        superpixels.write_superpixels(pretraining_config, "isic2017", "unetpp", "4")
