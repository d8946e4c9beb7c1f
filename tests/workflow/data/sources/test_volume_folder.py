"""Volumes of one's own: every format gives the same slices, and what does not fit is refused."""

import gzip
import shutil
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from pydantic import ValidationError

from tests.workflow.data.sources.volume_data import (
    SHAPE,
    drawn,
    opened,
    save_series,
    save_volume,
    scan,
)
from workflow.base.errors import DataError
from workflow.data.sources.intensities import stretch
from workflow.data.sources.volume_files import read_volume, same_place

FORMATS = (".nii", ".nii.gz", ".mhd", ".mha", ".tif", ".TIFF")


def lay(root, suffix=".nii.gz", names=("p1", "p2", "p3"), mask_suffix="", dtype=np.uint8):
    for k, name in enumerate(names):
        save_volume(root / "images" / f"{name}{suffix.lower()}", scan(k, dtype))
        save_volume(root / "masks" / f"{name}{mask_suffix}{suffix.lower()}", drawn())


def everything(source):
    rows = [row for group in source.groups for row in source.rows(group)]
    images = [image for group in source.groups for image in source.read(group, 32)]
    return rows, images


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_slices_of_each_volume(tmp_path, suffix):
    lay(tmp_path, suffix)
    source = opened(tmp_path)
    rows, images = everything(source)
    assert source.groups == ["p1", "p2", "p3"]
    assert [row["id"] for row in rows[:5]] == ["p1-000", "p1-001", "p1-002", "p1-003", "p2-000"]
    assert [image.id for image in images] == [row["id"] for row in rows]
    assert [row["pixels_wet"] for row in rows[:4]] == [0, 5, 0, 2]
    assert [row["pixels_dry"] for row in rows[:4]] == [0, 0, 3, 2]
    assert [row["label_wet"] for row in rows[:4]] == [0, 1, 0, 1]
    assert {(row["width"], row["height"]) for row in rows} == {(8, 6)}
    np.testing.assert_array_equal(np.stack([i.pixels for i in images[4:8]]), scan(1))
    expected = np.select([drawn() == 200, drawn() == 9], [1, 2], 0)
    np.testing.assert_array_equal(np.stack([i.mask for i in images[4:8]]), expected)
    assert all(file.is_file() for row in rows for file in row["files"])


@pytest.mark.parametrize("subfolders", [False, True])
def test_a_folder_of_dicom_files_is_a_volume_in_its_order_in_space(tmp_path, subfolders):
    for k, name in enumerate(("p1", "p2")):
        save_series(tmp_path / "images" / name, scan(k, np.int16), uid=f"1.2.{k + 1}")
        save_series(tmp_path / "masks" / name, drawn().astype(np.uint16), uid=f"1.3.{k + 1}")
    source = opened(tmp_path, intensity=[0, 255], subfolders=subfolders)
    rows, images = everything(source)
    assert source.groups == ["p1", "p2"]
    np.testing.assert_array_equal(np.stack([i.pixels for i in images[:4]]), scan(0))
    assert [row["pixels_wet"] for row in rows[:4]] == [0, 5, 0, 2]
    assert len(rows[0]["files"]) == 8


def test_masks_may_lie_beside_volumes_and_groups_be_found_in_ids(tmp_path):
    lay(tmp_path, names=("p1_a", "p1_b", "p2_a"), mask_suffix="_seg")
    for file in (tmp_path / "masks").iterdir():
        file.rename(tmp_path / "images" / file.name)
    source = opened(tmp_path, masks="images", mask_suffix="_seg", group_pattern="^(p[0-9])_")
    assert source.groups == ["p1", "p2"]
    assert [row["id"] for row in source.rows("p1")][::4] == ["p1_a-000", "p1_b-000"]


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.int32, np.uint16])
def test_intensities_are_stretched_as_configured(tmp_path, dtype):
    lay(tmp_path, dtype=dtype)
    voxels = scan(0, dtype)
    for rule, low, high in (([20, 80], 20, 80), ("volume", voxels.min(), voxels.max())):
        _, images = everything(opened(tmp_path, intensity=rule))
        np.testing.assert_allclose(images[0].pixels, stretch(voxels[0], low, high))
        assert images[0].pixels.dtype == np.float32
    if dtype != np.uint16:
        with pytest.raises(DataError, match=r"p1\.nii\.gz: found voxels of .* set|range such as"):
            everything(opened(tmp_path))


def test_the_scale_of_a_nifti_header_counts(tmp_path):
    lay(tmp_path, ".nii", dtype=np.int16)
    file = tmp_path / "images" / "p1.nii"
    content = bytearray(file.read_bytes())
    content[112:120] = struct.pack("<2f", 2, -10)
    file.write_bytes(content)
    _, images = everything(opened(tmp_path, intensity=[-10, 245]))
    np.testing.assert_allclose(images[0].pixels, np.minimum(2.0 * scan(0)[0], 255), atol=1e-4)
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    np.testing.assert_allclose(read_volume(file).voxels, expected)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_is_read_as_itk_reads_it(tmp_path, dtype, suffix):
    file = tmp_path / f"v{suffix}"
    save_volume(file, (scan() // 2).astype(dtype))
    voxels = read_volume(file).voxels
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    assert voxels.dtype == expected.dtype
    np.testing.assert_array_equal(voxels, expected)


def test_a_nifti_may_be_big_endian_and_have_a_fourth_axis_of_one(tmp_path):
    file = tmp_path / "v.nii"
    save_volume(file, scan(0, np.int16))
    little = file.read_bytes()
    fields = "i10s18sihcb8h3f4h8f3fhbb4f2i80s24s2h6f4f4f4f16s4s4s"
    values = list(struct.unpack(f"<{fields}", little[:352]))
    values[7:15] = [4, 8, 6, 4, 1, 1, 1, 1]
    voxels = np.frombuffer(little, "<i2", offset=352).astype(">i2")
    file.write_bytes(struct.pack(f">{fields}", *values) + voxels.tobytes())
    volume = read_volume(file)
    np.testing.assert_array_equal(volume.voxels, scan(0, np.int16))
    save_volume(tmp_path / "w.nii", scan())
    assert same_place(volume, read_volume(tmp_path / "w.nii"))


# ---- what does not fit


def refused(root, message, **layout):
    with pytest.raises(DataError, match=message) as caught:
        everything(opened(root, **layout))
    assert str(caught.value).isprintable()


def test_volumes_and_masks_must_pair(tmp_path):
    lay(tmp_path)
    refused(tmp_path, "folder.masks: found null", masks=None)
    (tmp_path / "masks" / "p2.nii.gz").rename(tmp_path / "masks" / "p9.nii.gz")
    refused(tmp_path, r"p2\.nii\.gz: has no mask \(1 such files\); expected a file called p2 besi")
    (tmp_path / "images" / "p2.nii.gz").unlink()
    refused(tmp_path, r"p9\.nii\.gz: has no volume \(1 such files\)")
    refused(tmp_path, r"is called otherwise than masks are \(3 such files\)", mask_suffix="_seg")
    refused(tmp_path, "is both folder.images and folder.masks", masks="images")


@pytest.mark.parametrize("name", ["readme.txt", "p1.png", "p1.nrrd", "p1.hdr", "lone.raw", "p1"])
def test_a_file_that_is_no_volume_is_named(tmp_path, name):
    lay(tmp_path, ".mhd")
    (tmp_path / "images" / name).write_text("x")
    refused(tmp_path, rf"{name}: is no volume \(1 such files\); expected files \.nii")
    source = opened(tmp_path, exclude=[name])
    assert source.groups == ["p1", "p2", "p3"]
    assert source.ignored == [
        f"{tmp_path / 'images'}: ignored {name}: by folder.include and folder.exclude"
    ]


def test_an_id_that_is_there_twice_is_named(tmp_path):
    lay(tmp_path)
    save_volume(tmp_path / "images" / "p1.mha", scan())
    refused(tmp_path, r"p1\.(nii\.gz|mha): p1\.(mha|nii\.gz) has the same id, 'p1'")


@pytest.mark.parametrize("shape", [(4, 6, 7), (3, 6, 8), (8, 6, 4)])
def test_a_mask_of_another_size_is_named(tmp_path, shape):
    lay(tmp_path)
    save_volume(tmp_path / "masks" / "p1.nii.gz", drawn()[:, :6, :7] if shape == (4, 6, 7)
                else np.zeros(shape, np.uint8))  # fmt: skip
    refused(tmp_path, rf"masks/p1\.nii\.gz: found .*\({', '.join(map(str, shape))}\), but")


@pytest.mark.parametrize(
    ("place", "what"),
    [({"origin": (1, 2, 30)}, "origin"), ({"spacing": (0.5, 0.25, 3)}, "spacing")],
)
def test_a_mask_elsewhere_in_space_is_named(tmp_path, place, what):
    lay(tmp_path)
    save_volume(tmp_path / "masks" / "p1.nii.gz", drawn(), **place)
    refused(tmp_path, rf"masks/p1\.nii\.gz: lies elsewhere in space than .*\({what} ")


def test_a_mask_that_is_mirrored_in_space_is_named(tmp_path):
    """As of DICOM beside a NIfTI that another program made of it."""
    lay(tmp_path)
    image = sitk.ReadImage(str(tmp_path / "masks" / "p1.nii.gz"))
    sitk.WriteImage(sitk.Flip(image, [False, True, False]), str(tmp_path / "masks" / "p1.nii.gz"))
    refused(tmp_path, r"lies elsewhere in space than .*\((origin|axes) .*Resample the mask")


def test_a_value_that_is_not_configured_is_named(tmp_path):
    lay(tmp_path)
    save_volume(tmp_path / "masks" / "p1.nii.gz", drawn() + (drawn() == 9))
    refused(tmp_path, r"masks/p1\.nii\.gz: found value 10 in a mask \(5 voxels have an unknown")


def test_voxels_that_are_no_number_are_named(tmp_path):
    lay(tmp_path, dtype=np.float32)
    voxels = scan(0, np.float32)
    voxels[0, 0, :2] = np.nan, np.inf
    save_volume(tmp_path / "images" / "p1.nii.gz", voxels)
    refused(tmp_path, "found 2 voxels that are no number", intensity="volume")


def test_volumes_of_time_and_colour_are_refused(tmp_path):
    lay(tmp_path)
    file = tmp_path / "images" / "p1.nii.gz"
    stack = sitk.JoinSeries([sitk.GetImageFromArray(scan(k)) for k in range(2)])
    sitk.WriteImage(stack, str(file))
    refused(tmp_path, r"p1\.nii\.gz: found size \(8, 6, 4, 2\); expected columns, rows and slices")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((*SHAPE, 3), np.uint8), isVector=True),
                    str(file))  # fmt: skip
    refused(tmp_path, r"p1\.nii\.gz: found (datatype|size)")
    sitk.WriteImage(sitk.GetImageFromArray(scan()[0]), str(file))
    refused(tmp_path, r"p1\.nii\.gz: found size \(8, 6\); expected")


def test_damaged_nifti_files_are_named(tmp_path):
    lay(tmp_path, ".nii")
    file = tmp_path / "images" / "p1.nii"
    good = file.read_bytes()

    def changed(position, kind, *values):
        content = bytearray(good)
        content[position : position + struct.calcsize(kind)] = struct.pack(kind, *values)
        return bytes(content)

    for content, says in (
        (b"", "not a NIfTI-1 file"),
        (b"<html>", "not a NIfTI-1 file"),
        (good[:200], "not a NIfTI-1 file"),
        (good[:-1], "found 543 of the 544 bytes"),
        (good + b"x", "found more than the 544 bytes"),
        (changed(344, "<4s", b"ni1\0"), "not a NIfTI-1 file with its voxels in it"),
        (changed(40, "<h", -3), r"found size \(\); expected"),
        (changed(40, "<h", 200), "found size"),
        (changed(42, "<h", -8), r"found size \(-8, 6, 4\)"),
        (changed(42, "<3h", 32767, 32767, 32767), "promises 35181150962015 bytes"),
        (changed(42, "<2h", 8000, 8000), "found 544 of the 256000352 bytes"),
        (changed(70, "<2h", 2, 16), "found datatype 2 of 16 bits"),
        (changed(70, "<2h", 128, 24), "found datatype 128 of 24 bits"),
        (changed(70, "<2h", 1, 1), "found datatype 1 of 1 bits"),
        (changed(108, "<f", -1), "found voxels from byte -1 on"),
        (changed(108, "<f", float("nan")), "found voxels from byte nan on"),
        (changed(108, "<f", 300), "found voxels from byte 300 on"),
    ):
        file.write_bytes(content)
        refused(tmp_path, f"images/p1.nii: {says}")


def test_a_packed_nifti_is_never_inflated_beyond_its_header(tmp_path):
    lay(tmp_path)
    file = tmp_path / "images" / "p1.nii.gz"
    good = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(good + bytes(2**24)))
    refused(tmp_path, r"p1\.nii\.gz: found more than the 544 bytes that its header promises")
    file.write_bytes(gzip.compress(good)[:-20])
    refused(tmp_path, r"p1\.nii\.gz: cannot be read \(")
    file.write_bytes(good)
    refused(tmp_path, r"p1\.nii\.gz: cannot be read \(Not a gzipped file")


def test_headers_of_metaimage_are_as_strict_as_elsewhere(tmp_path):
    lay(tmp_path, ".mhd")
    header = tmp_path / "images" / "p1.mhd"
    text = header.read_text()
    header.write_text(text.replace("NDims", "ElementDataFile : ../x.raw\nNDims"))
    refused(tmp_path, r"p1\.mhd: found 'ElementDataFile : \.\./x\.raw' in line")


def test_pages_of_a_tiff_have_one_size_and_are_grey(tmp_path):
    lay(tmp_path, ".tif")
    file = tmp_path / "images" / "p1.tif"
    pages = [Image.fromarray(scan(k)[0]) for k in range(4)]
    pages[0].save(file, save_all=True, append_images=[*pages[1:3], pages[3].resize((6, 6))])
    refused(tmp_path, r"p1\.tif: found pages of 6 × 6 of uint8, 8 × 6 of uint8|6 × 8")
    pages[0].save(file, save_all=True, append_images=[page.convert("RGB") for page in pages[1:]])
    refused(tmp_path, r"p1\.tif: found page 1 of mode RGB; expected grey pages")
    file.write_bytes(file.read_bytes()[:60])
    refused(tmp_path, r"p1\.tif: cannot be decoded")


# ---- DICOM


@pytest.fixture
def series(tmp_path):
    save_series(tmp_path / "images" / "p1", scan(0, np.uint16))
    save_series(tmp_path / "masks" / "p1", drawn().astype(np.uint16))
    return tmp_path


def test_a_missing_slice_is_noticed(series):
    shutil.rmtree(series / "images" / "p1")
    save_series(series / "images" / "p1", scan(0, np.uint16), places=[0, 2, 6, 8])
    refused(
        series, r"images/p1: found 4 mm between .* and 2 mm between others; .*complete the seri"
    )


def test_two_series_in_one_folder_are_refused(series):
    save_series(series / "images" / "p1", scan(0, np.uint16), uid="1.2.9", first=20)
    refused(series, r"images/p1: found 2 series of DICOM images in 8 files; expected one in each")


@pytest.mark.parametrize("content", [b"", b"x" * 300, bytes(128) + b"DICM" + b"junk" * 20])
def test_a_file_that_is_no_slice_is_named(series, content):
    (series / "images" / "p1" / "x.dcm").write_bytes(content)
    refused(series, r"images/p1(/x\.dcm: is no image of the series|: found \d series)")


def test_a_slice_that_ends_early_is_named(series):
    file = sorted((series / "images" / "p1").iterdir())[1]
    file.write_bytes(file.read_bytes()[:-20])
    refused(series, "images/p1")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"labels": "x.csv"}, "`labels` does not go with `volumes`"),
        ({"color": True}, "`volumes` are grey"),
        ({"mask_suffix": ["_m", "_n"]}, "`mask_suffix` is one suffix where `volumes` is set"),
    ],
)
def test_keys_that_do_not_go_with_volumes_are_refused(tmp_path, layout, message):
    lay(tmp_path)
    with pytest.raises(ValidationError, match=message):
        opened(tmp_path, **layout)
