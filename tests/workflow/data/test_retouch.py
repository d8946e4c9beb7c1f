"""RETOUCH's layout read back voxel by voxel, and every way in which it can be broken."""

import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest

from workflow.config_sections import Dataset
from workflow.data.errors import DataError
from workflow.data.phantom.metaimage import write_metaimage
from workflow.data.phantom.retina import grow_volume
from workflow.data.retouch import Retouch
from workflow.data.source import open_source

SHAPE = (4, 10, 12)


def definition(**changes):
    values = {
        "title": "Cirrus",
        "source": "retouch",
        "vendor": "Cirrus",
        "image_size": 32,
        "lesions": ["irf", "srf", "ped"],
        "labels": ["irf", "srf", "ped"],
        "split": "balanced",
        "slice_step": 1,
    }
    return Dataset.model_validate({**values, **changes})


def voxels(dtype=np.uint8, shape=SHAPE, seed=0):
    limit = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, limit, shape, dtype, endpoint=True)


def fluids(*, slices):
    """A reference whose k-th slice holds `slices[k]`: value -> number of voxels."""
    reference = np.zeros(SHAPE, np.uint8)
    for image, content in zip(reference, slices, strict=True):
        start = 0
        for value, count in content.items():
            image.reshape(-1)[start : start + count] = value
            start += count
    return reference


REFERENCE = fluids(slices=[{}, {1: 5}, {2: 3, 3: 7}, {1: 1, 2: 2, 3: 4}])


def write(root, name="TRAIN001", *, scans=None, reference=REFERENCE, vendor="Cirrus"):
    folder = root / f"RETOUCH-TrainingSet-{vendor}" / name
    spacing = (0.0117, 0.002, 0.047)
    write_metaimage(folder / "oct.mhd", voxels() if scans is None else scans, spacing)
    write_metaimage(folder / "reference.mhd", reference, spacing)
    return folder


def read_all(root, **changes):
    """Inventory and images of everything, as the data steps would."""
    source = Retouch(root, definition(**changes))
    inventory = source.inventory()
    images = [image for group in inventory["group"].unique() for image in source.read(group)]
    return inventory, images


def test_inventory_counts_each_fluid_of_each_slice(tmp_path):
    folder = write(tmp_path)
    inventory, _ = read_all(tmp_path, labels=["irf", "srf", "ped", "no_fluid"])
    expected = pd.DataFrame(
        {
            "id": [f"TRAIN001-00{k}" for k in range(4)],
            "group": "TRAIN001",
            "part": "",
            "width": 12,
            "height": 10,
            "has_mask": True,
            "sha256": hashlib.sha256((folder / "oct.raw").read_bytes()).hexdigest(),
            "label_irf": [0, 1, 0, 1],
            "label_srf": [0, 0, 1, 1],
            "label_ped": [0, 0, 1, 1],
            "label_no_fluid": [1, 0, 0, 0],
            "pixels_irf": [0, 5, 0, 1],
            "pixels_srf": [0, 0, 3, 2],
            "pixels_ped": [0, 0, 7, 4],
        }
    )
    pd.testing.assert_frame_equal(inventory, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_slices_come_back_voxel_by_voxel(tmp_path, dtype):
    scans = voxels(dtype)
    write(tmp_path, scans=scans)
    inventory, images = read_all(tmp_path)
    assert [image.id for image in images] == inventory["id"].tolist()
    for k, image in enumerate(images):
        assert image.pixels.dtype == dtype
        np.testing.assert_array_equal(image.pixels, scans[k])
        assert image.mask.dtype == np.uint8
        np.testing.assert_array_equal(image.mask, REFERENCE[k])


@pytest.mark.parametrize("vendor", ["Cirrus", "Spectralis", "Topcon"])
def test_phantom_volumes_come_back(tmp_path, vendor):
    volume = grow_volume(vendor, 1, scale=0.1, seed=3)
    write(tmp_path, "TRAIN009", scans=volume.oct, reference=volume.reference, vendor=vendor)
    inventory, images = read_all(tmp_path, vendor=vendor, slice_step=5)
    np.testing.assert_array_equal([image.pixels for image in images], volume.oct[::5])
    np.testing.assert_array_equal([image.mask for image in images], volume.reference[::5])
    taken = volume.reference[::5].reshape(len(images), -1)
    for value, fluid in enumerate(("irf", "srf", "ped"), start=1):
        assert inventory[f"pixels_{fluid}"].tolist() == (taken == value).sum(axis=1).tolist()
        assert inventory[f"label_{fluid}"].tolist() == (taken == value).any(axis=1).tolist()


@pytest.mark.parametrize(("step", "taken"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (3, [0, 3]), (9, [0])])
def test_every_nth_slice_is_taken_in_both_the_inventory_and_the_images(tmp_path, step, taken):
    write(tmp_path)
    inventory, images = read_all(tmp_path, slice_step=step)
    names = [f"TRAIN001-{k:03d}" for k in taken]
    assert inventory["id"].tolist() == names == [image.id for image in images]
    np.testing.assert_array_equal([image.mask for image in images], REFERENCE[taken])


def test_masks_hold_the_places_of_the_configured_lesions(tmp_path):
    write(tmp_path)
    inventory, images = read_all(tmp_path, lesions=["ped", "srf"], labels=["irf", "no_fluid"])
    masks = np.array([image.mask for image in images])
    np.testing.assert_array_equal(masks == 1, REFERENCE == 3)
    np.testing.assert_array_equal(masks == 2, REFERENCE == 2)
    assert masks.max() == 2
    # Labels are of the reference: a slice with IRF alone has fluid, whatever is segmented.
    assert [c for c in inventory if c.startswith(("label", "pixels"))] == [
        "label_irf",
        "label_no_fluid",
        "pixels_ped",
        "pixels_srf",
    ]
    assert inventory["label_no_fluid"].tolist() == [1, 0, 0, 0]


def test_volumes_are_in_order_and_other_vendors_and_test_sets_left_out(tmp_path):
    for name in ("TRAIN010", "TRAIN002"):
        write(tmp_path, name)
    write(tmp_path, "TRAIN025", vendor="Spectralis")
    test = tmp_path / "RETOUCH-TestSet-Cirrus" / "TEST001"
    shutil.copytree(tmp_path / "RETOUCH-TrainingSet-Cirrus" / "TRAIN002", test)
    inventory, _ = read_all(tmp_path)
    assert inventory["group"].unique().tolist() == ["TRAIN002", "TRAIN010"]


def test_an_outer_folder_as_some_downloads_have_it(tmp_path):
    write(tmp_path / "TrainingCirrus")
    write(tmp_path / "TrainingSpectralis", "TRAIN025", vendor="Spectralis")
    assert read_all(tmp_path)[0]["group"].unique().tolist() == ["TRAIN001"]


def test_the_configuration_opens_it(tiny_config):
    source = open_source(tiny_config, "retouch_spectralis")
    assert isinstance(source, Retouch)
    inventory = source.inventory()
    assert inventory["group"].unique().tolist() == [f"TRAIN0{k}" for k in range(25, 29)]
    assert inventory.groupby("group").size().tolist() == [7] * 4  # 49 B-scans, every seventh
    assert next(source.read("TRAIN025")).pixels.dtype == np.uint16


def no_reference(folder):
    (folder / "reference.mhd").unlink()


def no_reference_voxels(folder):
    (folder / "reference.raw").unlink()


def no_scan_voxels(folder):
    (folder / "oct.raw").unlink()


def short_scans(folder):
    (folder / "oct.raw").write_bytes((folder / "oct.raw").read_bytes()[:-1])


def short_reference(folder):
    (folder / "reference.raw").write_bytes(b"")


def no_header(folder):
    (folder / "oct.mhd").write_text("<html>please log in</html>")


def label_seven(folder):
    reference = REFERENCE.copy()
    reference[2, 3, 4] = 7
    write_metaimage(folder / "reference.mhd", reference, (1, 1, 1))


def other_width(folder):
    write_metaimage(folder / "reference.mhd", np.zeros((4, 10, 11), np.uint8), (1, 1, 1))


def fewer_slices(folder):
    write_metaimage(folder / "reference.mhd", np.zeros((3, 10, 12), np.uint8), (1, 1, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_reference, "TRAIN001/reference.mhd: missing; every volume needs oct and reference"),
        (no_reference_voxels, "TRAIN001/reference.mhd: cannot be read: .* reference.raw beside it"),
        (no_scan_voxels, "TRAIN001/oct.raw: missing; unpack the volume again"),
        (short_scans, "TRAIN001/oct.mhd: cannot be read: .* oct.raw beside it is missing or shor"),
        (short_reference, "TRAIN001/reference.mhd: cannot be read"),
        (no_header, "TRAIN001/oct.mhd: cannot be read: it is no MetaImage header"),
        (label_seven, "TRAIN001/reference.raw: found label 7; allowed: 0 background, 1 IRF, 2 SRF"),
        (other_width, r"TRAIN001: oct has .* \(4, 10, 12\), reference \(4, 10, 11\); they must ag"),
        (fewer_slices, r"TRAIN001: oct has .* \(4, 10, 12\), reference \(3, 10, 12\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage_is_named_with_its_file(tmp_path, damage, message):
    folder = write(tmp_path)
    write(tmp_path, "TRAIN002")
    damage(folder)
    with pytest.raises(DataError, match=message):
        read_all(tmp_path)


def test_a_volume_that_is_there_twice_is_refused(tmp_path):
    write(tmp_path / "old")
    write(tmp_path / "new")
    message = "some volume id of RETOUCH-TrainingSet-Cirrus occurs twice; keep one copy of it"
    with pytest.raises(DataError, match=message):
        read_all(tmp_path)


@pytest.mark.parametrize("place", ["", "nowhere"])
def test_a_folder_without_volumes_says_where_to_get_them(tmp_path, place):
    write(tmp_path, vendor="Topcon")
    with pytest.raises(DataError) as caught:
        read_all(tmp_path / place)
    message = str(caught.value)
    assert f"{tmp_path / place}: found no RETOUCH-TrainingSet-Cirrus/TRAINnnn/oct.mhd" in message
    assert "retouch.grand-challenge.org" in message
    assert "preset=demo" in message


def test_unknown_lesions_and_labels_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match=r"lesions: 'drusen' is not annotated .* \['irf', 'srf'"):
        read_all(tmp_path, lesions=["irf", "drusen"])
    with pytest.raises(DataError, match=r"labels: 'amd' is not known .*'no_fluid'\]"):
        read_all(tmp_path, labels=["irf", "amd"])
