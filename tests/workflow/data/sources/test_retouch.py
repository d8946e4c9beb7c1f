"""RETOUCH's volumes read back voxel by voxel, their intensities, and what is said of them."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.workflow.data.sources.retouch_files import (
    REFERENCE,
    SHAPE,
    column,
    edit_header,
    fluids,
    read_all,
    voxels,
    write,
)
from workflow.config import paths
from workflow.config.load import load_config
from workflow.data.phantom import write_retouch
from workflow.data.phantom.metaimage import write_metaimage
from workflow.data.phantom.retina import grow_volume
from workflow.data.sources.intensities import stretch
from workflow.data.sources.retouch import Retouch
from workflow.data.sources.source import open_source
from workflow.running.raw_files import find_files


def test_rows_count_each_fluid_of_each_slice(tmp_path):
    folder = write(tmp_path)
    rows, _ = read_all(tmp_path, labels=["irf", "srf", "ped", "no_fluid"])
    labels = ("label_irf", "label_srf", "label_ped", "label_no_fluid")
    pixels = ("pixels_irf", "pixels_srf", "pixels_ped")
    expected = {0: (0, 0, 0, 1), 1: (1, 0, 0, 0), 2: (0, 1, 1, 0), 3: (1, 1, 1, 0)}
    counts = {0: (0, 0, 0), 1: (5, 0, 0), 2: (0, 3, 7), 3: (1, 2, 4)}
    assert rows == [
        {
            "id": f"TRAIN001-00{k}",
            "group": "TRAIN001",
            "part": "",
            "width": 12,
            "height": 10,
            "has_mask": True,
            "files": tuple(
                folder / name for name in ("oct.raw", "oct.mhd", "reference.raw", "reference.mhd")
            ),
            **dict(zip(labels, expected[k], strict=True)),
            **dict(zip(pixels, counts[k], strict=True)),
        }
        for k in range(4)
    ]


def test_eight_bit_slices_come_back_voxel_by_voxel(tmp_path):
    scans = voxels()
    write(tmp_path, scans=scans)
    rows, images = read_all(tmp_path)
    assert [image.id for image in images] == column(rows, "id")
    for k, image in enumerate(images):
        assert image.pixels.dtype == np.uint8
        np.testing.assert_array_equal(image.pixels, scans[k])
        assert image.mask.dtype == np.uint8
        np.testing.assert_array_equal(image.mask, REFERENCE[k])
        assert image.extent == (10, 12)


# The widths and heights of the real volumes, with fewer slices.
@pytest.mark.parametrize(
    ("vendor", "dtype", "height"),
    [
        ("Cirrus", np.uint8, 1024),
        ("Spectralis", np.uint16, 496),
        ("Topcon", np.uint8, 885),
        ("Topcon", np.uint8, 650),
    ],
)
def test_volumes_of_each_vendors_size_and_type(tmp_path, vendor, dtype, height):
    shape = (3, height, 512)
    scans, reference = voxels(dtype, shape), fluids(slices=[{}, {2: 9}, {1: 4}], shape=shape)
    write(tmp_path, scans=scans, reference=reference, vendor=vendor)
    rows, images = read_all(tmp_path, vendor=vendor)
    assert {(row["width"], row["height"]) for row in rows} == {(512, height)}
    assert column(rows, "pixels_irf") == [0, 0, 4]
    scale = 1 if dtype == np.uint8 else 257
    for k, image in enumerate(images):
        assert image.extent == (height, 512)
        np.testing.assert_allclose(image.pixels, scans[k] / scale, rtol=1e-6)
        np.testing.assert_array_equal(image.mask, reference[k])


@pytest.mark.parametrize("slices", [49, 64, 128])
def test_volumes_of_each_number_of_slices(tmp_path, slices):
    shape = (slices, 5, 6)
    write(tmp_path, scans=voxels(shape=shape), reference=np.zeros(shape, np.uint8))
    rows, images = read_all(tmp_path)
    assert column(rows, "id") == [f"TRAIN001-{k:03d}" for k in range(slices)]
    assert len(images) == slices


def test_sixteen_bits_are_scaled_by_what_the_setting_says(tmp_path):
    scans = voxels(np.uint16)
    scans[0, 0, :2], scans[0, 1, :3] = (0, 65535), (100, 2000, 3000)
    scans[1:] = np.clip(scans[1:], 500, 60000)
    write(tmp_path, scans=scans)
    for intensity, low, high in (
        ("type", 0, 65535),
        ("volume", 0, 65535),
        ((1000, 3000), 1000, 3000),
    ):
        _, images = read_all(tmp_path, intensity=intensity)
        for k, image in enumerate(images):
            assert image.pixels.dtype == np.float32
            expected = (np.clip(scans[k].astype(float), low, high) - low) / (high - low) * 255
            np.testing.assert_allclose(image.pixels, expected, rtol=1e-6, atol=1e-5)


def test_a_volume_is_stretched_by_its_own_range_not_by_that_of_a_slice(tmp_path):
    scans = np.full(SHAPE, 50, np.uint8)
    scans[1, 0, 0], scans[2, 0, 0] = 10, 90
    write(tmp_path, scans=scans)
    write(tmp_path, "TRAIN002", scans=np.full(SHAPE, 7, np.uint8))
    _, images = read_all(tmp_path, intensity="volume")
    assert images[0].pixels.tolist() == np.full((10, 12), 127.5).tolist()
    assert images[1].pixels[0, 0] == 0
    assert images[2].pixels[0, 0] == 255
    assert all((image.pixels == 0).all() for image in images[4:])  # constant


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint16, (2, 9), elements=st.integers(0, 65535)),
    st.tuples(st.floats(-1e5, 1e5, allow_nan=False), st.floats(-1e5, 1e5, allow_nan=False)).filter(
        lambda ends: ends[0] < ends[1]
    ),
)
def test_stretching_keeps_the_order_and_fills_0_to_255(pixels, ends):
    low, high = ends
    stretched = stretch(pixels, low, high)
    assert stretched.dtype == np.float32
    assert stretched.shape == pixels.shape
    assert stretched.min() >= 0
    assert stretched.max() <= 255
    ordered = stretched.ravel()[np.argsort(pixels.ravel(), kind="stable")]
    assert (np.diff(ordered) >= 0).all()
    assert (stretched[pixels <= low] == 0).all()
    assert (stretched[pixels >= high] == 255).all()


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (3, 5)))
def test_stretching_by_the_range_of_8_bits_changes_nothing(pixels):
    np.testing.assert_array_equal(stretch(pixels, 0, 255), pixels)


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint16, (3, 5)))
def test_stretching_by_the_range_of_16_bits_divides_by_257(pixels):
    np.testing.assert_allclose(stretch(pixels, 0, 65535), pixels / 257, rtol=1e-6)


@pytest.mark.parametrize("vendor", ["Cirrus", "Spectralis", "Topcon"])
def test_phantom_volumes_come_back(tmp_path, vendor):
    volume = grow_volume(vendor, 1, scale=0.1, seed=3)
    write(tmp_path, "TRAIN009", scans=volume.oct, reference=volume.reference, vendor=vendor)
    rows, images = read_all(tmp_path, vendor=vendor, slice_step=5)
    scale = 257 if vendor == "Spectralis" else 1
    np.testing.assert_allclose(
        [image.pixels for image in images], volume.oct[::5] / scale, rtol=1e-6
    )
    np.testing.assert_array_equal([image.mask for image in images], volume.reference[::5])
    taken = volume.reference[::5].reshape(len(images), -1)
    for value, fluid in enumerate(("irf", "srf", "ped"), start=1):
        assert column(rows, f"pixels_{fluid}") == (taken == value).sum(axis=1).tolist()
        assert column(rows, f"label_{fluid}") == (taken == value).any(axis=1).tolist()


@pytest.mark.parametrize(("step", "taken"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (3, [0, 3]), (9, [0])])
def test_every_nth_slice_is_taken_in_both_the_rows_and_the_images(tmp_path, step, taken):
    write(tmp_path)
    rows, images = read_all(tmp_path, slice_step=step)
    names = [f"TRAIN001-{k:03d}" for k in taken]
    assert column(rows, "id") == names == [image.id for image in images]
    np.testing.assert_array_equal([image.mask for image in images], REFERENCE[taken])


def test_masks_hold_the_places_of_the_configured_lesions(tmp_path):
    write(tmp_path)
    rows, images = read_all(tmp_path, lesions=["ped", "srf"], labels=["irf", "no_fluid"])
    masks = np.array([image.mask for image in images])
    np.testing.assert_array_equal(masks == 1, REFERENCE == 3)
    np.testing.assert_array_equal(masks == 2, REFERENCE == 2)
    assert masks.max() == 2
    # Labels are of the reference: a slice with IRF alone has fluid, whatever is segmented.
    assert [c for c in rows[0] if c.startswith(("label", "pixels"))] == [
        "label_irf",
        "label_no_fluid",
        "pixels_ped",
        "pixels_srf",
    ]
    assert column(rows, "label_no_fluid") == [1, 0, 0, 0]


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_voxels_may_be_compressed_or_follow_the_header(tmp_path, local, compressed):
    folder = write(tmp_path)
    scans = sitk.GetImageFromArray(voxels())
    if local:
        for file in folder.glob("oct.*"):
            file.unlink()
        sitk.WriteImage(scans, str(folder / "oct.mha"), useCompression=compressed)
        (folder / "oct.mha").rename(folder / "oct.mhd")
    else:
        sitk.WriteImage(scans, str(folder / "oct.mhd"), useCompression=compressed)
    rows, images = read_all(tmp_path)
    np.testing.assert_array_equal([image.pixels for image in images], voxels())
    own = [] if local else [folder / ("oct.zraw" if compressed else "oct.raw")]
    expected = (*own, *(folder / n for n in ("oct.mhd", "reference.raw", "reference.mhd")))
    assert rows[0]["files"] == expected


def test_big_endian_voxels_are_read_as_their_header_says(tmp_path):
    scans = voxels(np.uint16)
    folder = write(tmp_path, scans=scans)
    scans.astype(">u2").tofile(folder / "oct.raw")
    edit_header(folder / "oct.mhd", BinaryDataByteOrderMSB="True")
    _, images = read_all(tmp_path, intensity=(0, 255))
    np.testing.assert_array_equal([i.pixels for i in images], np.clip(scans, 0, 255))


def test_the_spacing_of_the_reference_is_not_compared(tmp_path):
    folder = write(tmp_path)
    write_metaimage(folder / "reference.mhd", REFERENCE, (1, 1, 1))
    assert len(read_all(tmp_path)[1]) == 4


def test_the_configuration_opens_it(tmp_path, repo, monkeypatch):
    config = load_config(repo / "config.yaml", {"preset": "everything"})
    monkeypatch.chdir(tmp_path)
    root = paths.raw_roots(config, "retouch")[0]
    write_retouch(root, vendor="Spectralis", volumes=4, scale=0.1, seed=1)
    source = open_source(config, "retouch_spectralis")
    assert isinstance(source, Retouch)
    # Phantom volumes have the ids of real ones, and are not held against their record.
    assert source.groups == [f"TRAIN0{k}" for k in range(25, 29)]
    rows = source.rows("TRAIN025")
    assert len(rows) == 13  # 49 B-scans, every fourth
    listed = {file for root in paths.raw_roots(config, "retouch") for file, _ in find_files(root)}
    assert {file for row in rows for file in row["files"]} <= listed
    assert next(source.read("TRAIN025", 96)).pixels.dtype == np.float32
