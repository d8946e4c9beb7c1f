"""Phantom building blocks: MetaImage files, deterministic zip archives, smooth fields."""

import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from workflow.data.phantom.archives import write_zip
from workflow.data.phantom.fields import ridges, smooth_field
from workflow.data.phantom.metaimage import write_metaimage


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_metaimage_comes_back_through_simpleitk(tmp_path, dtype):
    voxels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (3, 5, 7)).astype(dtype)
    write_metaimage(tmp_path / "new" / "oct.mhd", voxels, (0.0117, 0.0039, 0.12))
    image = sitk.ReadImage(str(tmp_path / "new" / "oct.mhd"))
    assert image.GetSize() == (7, 5, 3)
    assert image.GetSpacing() == pytest.approx((0.0117, 0.0039, 0.12))
    read = sitk.GetArrayFromImage(image)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, voxels)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["oct.mhd", "oct.raw"]


def test_metaimage_stores_little_endian_whatever_the_array_is(tmp_path):
    voxels = np.array([[[1, 258]]], dtype=">u2")
    write_metaimage(tmp_path / "oct.mhd", voxels, (1.0, 1.0, 1.0))
    assert (tmp_path / "oct.raw").read_bytes() == b"\x01\x00\x02\x01"


@pytest.mark.parametrize("voxels", [np.zeros((2, 2, 2), np.float32), np.zeros((2, 2), np.uint8)])
def test_metaimage_refuses_what_retouch_has_not(tmp_path, voxels):
    with pytest.raises(ValueError, match=r"voxels: .*3-dimensional and one of uint8, uint16"):
        write_metaimage(tmp_path / "oct.mhd", voxels, (1.0, 1.0, 1.0))
    assert list(tmp_path.iterdir()) == []


def test_zip_bytes_depend_on_the_members_alone(tmp_path):
    members = [("a/one.png", b"1" * 100), ("a/two.csv", b"2")]
    write_zip(tmp_path / "first.zip", members)
    write_zip(tmp_path / "second.zip", iter(members))
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == dict(members)
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (2017, 1, 1, 0, 0, 0)


def test_an_interrupted_zip_leaves_the_old_one_and_nothing_else(tmp_path):
    write_zip(tmp_path / "kept.zip", [("old", b"old")])

    def dying():
        yield "new", b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_zip(tmp_path / "kept.zip", dying())
    assert [p.name for p in tmp_path.iterdir()] == ["kept.zip"]
    assert zipfile.ZipFile(tmp_path / "kept.zip").namelist() == ["old"]


def test_field_has_zero_mean_and_unit_variance_at_every_sample():
    rng = np.random.default_rng(1)
    many = np.stack([smooth_field(rng, (9, 14), (1.0, 2.0), 0.4) for _ in range(4000)])
    # 5 standard errors: of the mean 1 / sqrt(n), of the variance sqrt(2 / n).
    assert np.abs(many.mean(axis=0)).max() < 5 / np.sqrt(4000)
    assert np.abs(many.var(axis=0) - 1).max() < 5 * np.sqrt(2 / 4000)


def test_neighbours_within_the_length_agree_and_beyond_four_lengths_do_not():
    rng = np.random.default_rng(2)
    many = np.stack([smooth_field(rng, (100,), (10.0,), 1.0) for _ in range(3000)])
    # White noise blurred by a cubic B-spline is correlated as the B-spline of degree 7.
    spline = BSpline.basis_element(np.arange(9))
    near = np.corrcoef(many[:, 50], many[:, 51])[0, 1]
    far = np.mean(many[:, 20] * many[:, 61])
    assert near == pytest.approx(spline(4.1) / spline(4.0), abs=0.01)
    assert abs(far) < 5 / np.sqrt(3000)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.05, 3.0), st.integers(0, 1000))
def test_the_same_field_is_sampled_at_every_size(rows, columns, length, seed):
    def sample(factor):
        rng = np.random.default_rng(seed)
        return smooth_field(rng, (rows * factor, columns * factor), (1.0, 1.5), length)

    small, large = sample(1), sample(3)
    assert small.dtype == np.float32
    # The middle of each block of 3 x 3 lies where the coarse sample does.
    np.testing.assert_allclose(large[1::3, 1::3], small, atol=2e-4)


def test_ridges_are_one_on_zero_crossings_and_fade_away_from_them():
    field = np.array([-2.0, -0.3, 0.0, 0.3, 2.0], dtype=np.float32)
    expected = [np.exp(-((2 / 0.3) ** 2)), np.exp(-1), 1.0, np.exp(-1), np.exp(-((2 / 0.3) ** 2))]
    np.testing.assert_allclose(ridges(field, 0.3), expected, rtol=1e-5, atol=1e-12)
