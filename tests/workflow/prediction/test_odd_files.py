"""A folder of odd files: each is predicted at its own size or refused by its name."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import ExifTags, Image

from resformer.trained import Preparation
from workflow.__main__ import main
from workflow.base.errors import DataError
from workflow.prediction.inputs import InputImage, find_inputs
from workflow.prediction.reading import intensity_range, read_prepared

RANDOM = np.random.default_rng(0)
# Name -> height and width of its mask.
USABLE = {
    "small.png": (31, 31),
    "narrow.png": (6000, 31),
    "large.jpg": (4000, 6000),
    "grey.png": (40, 50),
    "deep.png": (40, 50),
    "deep.tif": (40, 50),
    "bits.png": (40, 50),
    "print.jpg": (40, 50),
    "map.bmp": (40, 50),
    "turned.jpg": (50, 40),
    "same.png": (40, 50),
    "same.jpg": (40, 50),
    "häßlich & <b>.png": (40, 50),
}
VOLUMES = {"pages.tif": (3, 40, 50), "ct.nii.gz": (4, 40, 50), "scan.nrrd": (4, 40, 50)}
# Readers may come to take these in another way; neither may stop the others.
EITHER = ("alpha.png", "grey_alpha.png", "palette.png")
REFUSED = {
    "float.tif": "32 bits",
    "cut.jpg": "cannot be decoded",
    "empty.png": "found empty file",
    "text.png": "found no format that is known",
    "web.webp": "found WebP; expected PNG, JPEG, TIFF or BMP",
    "notes.txt": "its suffix is none of",
    "moving.gif": "found GIF",
    "broken.nii.gz": "cannot be read",
    "alone.mhd": "cannot be read",
    "dead.png": "cannot be read",
}


def write_odd_files(folder):
    colour = RANDOM.integers(0, 255, (40, 50, 3), np.uint8)
    rgb, grey = Image.fromarray(colour), Image.fromarray(colour[..., 0])
    deep = Image.fromarray(colour[..., 0].astype(np.uint16) * 257)
    rgb.crop((0, 0, 31, 31)).save(folder / "small.png")
    Image.new("RGB", (31, 6000), (90, 60, 30)).save(folder / "narrow.png")
    rgb.resize((6000, 4000)).save(folder / "large.jpg", quality=50)
    grey.save(folder / "grey.png")
    for name in ("deep.png", "deep.tif"):
        deep.save(folder / name)
    grey.convert("1").save(folder / "bits.png")
    rgb.convert("CMYK").save(folder / "print.jpg")
    for name in ("web.webp", "map.bmp", "same.png", "same.jpg", "häßlich & <b>.png"):
        rgb.save(folder / name)
    turned = rgb.getexif()
    turned[ExifTags.Base.Orientation] = 6
    rgb.save(folder / "turned.jpg", exif=turned)
    rgb.convert("RGBA").save(folder / "alpha.png")
    grey.convert("LA").save(folder / "grey_alpha.png")
    rgb.convert("P").save(folder / "palette.png")
    grey.save(folder / "pages.tif", save_all=True, append_images=[grey] * 2)
    voxels = RANDOM.integers(-1000, 2000, (4, 40, 50)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.25, 2.0))
    sitk.WriteImage(image, str(folder / "ct.nii.gz"))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32), str(folder / "scan.nrrd"))
    Image.fromarray(colour[..., 0].astype(np.float32)).save(folder / "float.tif")
    whole = (folder / "large.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    (folder / "notes.txt").write_text("notes")
    rgb.save(folder / "moving.gif", save_all=True, append_images=[grey.convert("RGB")] * 2)
    (folder / "broken.nii.gz").write_bytes(b"\x1f\x8b" + bytes(50))
    (folder / "alone.mhd").write_text("ObjectType = Image\nElementDataFile = gone.raw\n")
    (folder / "dead.png").symlink_to("nowhere.png")
    (folder / ".hidden.png").write_text("no picture")


@pytest.fixture(scope="module")
def odd(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    write_odd_files(folder)
    out = folder.parent / f"{folder.name}_out"
    words = ["predict", str(trained.run("isic2017")), str(folder), "--out", str(out), "--overlays"]
    assert main(words) == 1, "some were refused"
    return folder, out


def lines(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_file_is_predicted_or_refused_and_none_is_forgotten(odd):
    folder, out = odd
    found = {row["file"] for row in lines(out / "predictions.csv")}
    refused = {row["file"]: row["why"] for row in lines(out / "refused.csv")}
    named = {(folder / name).as_posix() for name in (*USABLE, *VOLUMES, *EITHER, *REFUSED)}
    assert found | set(refused) == named
    assert not found & set(refused)
    for name in (*USABLE, *VOLUMES):
        assert (folder / name).as_posix() in found
    for name, why in REFUSED.items():
        assert why in refused[(folder / name).as_posix()]
    page = (out / "index.html").read_text()
    assert f"{len(refused)} not used" in page
    assert "<b>.png" not in page


def test_masks_have_the_size_at_which_the_picture_is_shown(odd):
    folder, out = odd
    rows = {row["file"]: row for row in lines(out / "predictions.csv")}
    names = [rows[(folder / name).as_posix()]["mask"] for name in USABLE]
    assert len(set(names)) == len(USABLE), "each has a file of its own, also of the same stem"
    for name, size in USABLE.items():
        row = rows[(folder / name).as_posix()]
        mask = np.asarray(Image.open(out / row["mask"]))
        assert mask.shape == size == (int(row["height"]), int(row["width"]))
        assert set(np.unique(mask)) <= {0, 1}
        overlay = out / "overlays" / row["mask"].removeprefix("masks/")
        assert np.asarray(Image.open(overlay)).shape == (*size, 3)
    assert "EXIF orientation 6" in rows[(folder / "turned.jpg").as_posix()]["notes"]


def test_volumes_come_back_as_volumes(odd):
    folder, out = odd
    rows = {row["file"]: row for row in lines(out / "volumes.csv")}
    for name, (slices, height, width) in VOLUMES.items():
        row = rows[(folder / name).as_posix()]
        assert [row["slices"], row["height"], row["width"]] == [
            str(slices), str(height), str(width)
        ]  # fmt: skip
    mask = sitk.ReadImage(str(out / "masks" / "ct.nii.gz"))
    assert mask.GetSpacing() == pytest.approx((0.5, 0.25, 2.0))
    ct = rows[(folder / "ct.nii.gz").as_posix()]
    assert float(ct["mm3_lesion"]) == pytest.approx(0.25 * int(ct["voxels_lesion"]))
    assert rows[(folder / "pages.tif").as_posix()]["mm3_lesion"] == ""
    with Image.open(out / "masks" / "pages.tif") as pages:
        assert (pages.n_frames, pages.size) == (3, (50, 40))
    (note,) = {
        row["notes"]
        for row in lines(out / "predictions.csv")
        if row["file"] == (folder / "ct.nii.gz").as_posix()
    }
    assert "the volume's own, because its voxels are int16" in note


def test_a_dicom_series_is_a_volume_with_its_spacing(tmp_path):
    voxels = RANDOM.integers(0, 3000, (3, 24, 32)).astype(np.uint16)
    folder = tmp_path / "patient"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, pixels in enumerate(voxels):
        image = sitk.GetImageFromArray(pixels[None])
        image.SetSpacing((0.5, 0.75, 1.5))
        for key, value in {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"1.2.3.{k}",
            "0020|000e": "1.2.3",
            "0020|000d": "1.2",
            "0020|0032": f"0\\0\\{1.5 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(k),
            "0028|0030": "0.75\\0.5",
        }.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"slice{k}.dcm"))
        writer.Execute(image)
    (source,), refused = find_inputs([str(folder)])
    assert (source.name, source.kind, refused) == ("patient", "series", [])
    read = read_prepared(source, Preparation(16, color=False), show=True)
    assert read.prepared.shape == (3, 16, 16)
    assert read.spacing == pytest.approx((0.5, 0.75, 1.5))
    assert len(read.shown) == 3


def test_what_is_meant_is_named_once_and_no_two_alike(tmp_path):
    for patient in ("one", "two"):
        (tmp_path / patient).mkdir()
        for name in ("a.png", "a.jpg", "b.png"):
            Image.new("L", (8, 8)).save(tmp_path / patient / name)
    pattern = str(tmp_path / "**" / "*.png")
    images, _ = find_inputs([str(tmp_path / "one"), pattern])
    assert [image.name for image in images] == ["one_a_jpg", "one_a_png", "one_b", "two_a", "two_b"]
    _, refused = find_inputs([str(tmp_path / "one" / "a.png"), str(tmp_path)])
    assert "2 folders, first one" in refused[0].why
    with pytest.raises(DataError, match="found no image or volume"):
        find_inputs([str(tmp_path / "*.bmp")])


@pytest.mark.parametrize(
    ("kind", "rule", "expected"),
    [
        (np.uint8, "type", (0, 255)),
        (np.uint16, "type", (0, 65535)),
        (np.uint16, "volume", (3, 9)),
        (np.int16, "type", (3, 9)),
        (np.float32, "type", (3, 9)),
        (np.float32, (2.0, 4.0), (2, 4)),
    ],
)
def test_intensities_are_those_of_training_or_the_volumes_own(tmp_path, kind, rule, expected):
    voxels = np.array([[[3, 9]]], kind)
    if kind is np.float32:
        voxels = np.concatenate([voxels, np.array([[[np.nan, np.inf]]], kind)])
    found, notes = intensity_range(tmp_path, voxels, rule)
    assert found == expected
    assert bool(notes) == (rule == "type" and kind in (np.int16, np.float32))


def test_a_volume_of_nothing_finite_is_refused(tmp_path):
    with pytest.raises(DataError, match="no finite voxel"):
        intensity_range(tmp_path, np.full((1, 2, 2), np.nan, np.float32), "volume")


def test_a_picture_and_a_volume_of_it_are_prepared_alike(tmp_path):
    pixels = RANDOM.integers(0, 255, (40, 50), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    sitk.WriteImage(sitk.GetImageFromArray(pixels[None]), str(tmp_path / "a.mha"))
    images, _ = find_inputs([str(tmp_path / "a.png"), str(tmp_path / "a.mha")])
    for color in (False, True):
        one, other = (
            read_prepared(InputImage("a", image.path, image.kind), Preparation(16, color), False)
            for image in images
        )
        assert np.array_equal(one.prepared, other.prepared)
