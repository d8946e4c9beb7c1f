"""A folder of one's own images read back pixel by pixel, in every format that is allowed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.workflow.data.sources.folder_files import lay_out, make_folder, opened, read_all, save
from workflow.data.sources.source import RawImage
from workflow.running.raw_files import find_files


def test_images_masks_and_labels_come_back(tmp_path):
    lay_out(tmp_path, labels="id,flat,big,patient\nb,0,1,P2\nc,1.0,0.0,P1\na,1,1,P2\n")
    source = opened(tmp_path, labels="labels.csv", group="patient", names=["big", "flat"])
    assert source.groups == ["P1", "P2"]
    assert source.tables == (tmp_path / "labels.csv",)
    rows = [row for group in source.groups for row in source.rows(group)]
    images, masks = tmp_path / "images", tmp_path / "masks"
    common = {"part": "", "width": 6, "height": 4, "has_mask": True}
    assert rows == [
        {
            **common,
            "id": "c",
            "group": "P1",
            "files": (images / "c.png", masks / "c.png"),
            "label_big": 0,
            "label_flat": 1,
            "pixels_wet": 24,
            "pixels_dry": 0,
        },
        {
            **common,
            "id": "a",
            "group": "P2",
            "files": (images / "a.png", masks / "a.png"),
            "label_big": 1,
            "label_flat": 1,
            "pixels_wet": 5,
            "pixels_dry": 2,
        },
        {
            **common,
            "id": "b",
            "group": "P2",
            "files": (images / "b.png", masks / "b.png"),
            "label_big": 1,
            "label_flat": 0,
            "pixels_wet": 0,
            "pixels_dry": 0,
        },
    ]
    first = next(source.read("P1", 2))
    assert isinstance(first, RawImage)
    assert (first.id, first.extent, first.mask.dtype) == ("c", (4, 6), np.uint8)
    assert (first.mask == 1).all()  # of the value 200: the first of mask_values
    assert [image.id for image in source.read("P2", 2)] == ["a", "b"]


def test_without_a_table_labels_are_the_lesions_of_the_masks(tmp_path):
    lay_out(tmp_path)
    source = opened(tmp_path, names=["dry", "wet"])
    assert source.groups == ["a", "b", "c"]
    assert source.tables == ()
    (row,) = source.rows("a")
    assert (row["group"], row["label_dry"], row["label_wet"]) == ("a", 1, 1)
    (row,) = source.rows("c")
    assert (row["label_dry"], row["label_wet"]) == (0, 1)


def test_every_file_is_among_those_that_are_listed(tmp_path):
    lay_out(tmp_path, labels="id,flat\na,0\nb,1\nc,1\n")
    source = opened(tmp_path, labels="labels.csv", names=["flat"])
    files = {file for group in source.groups for file in source.rows(group)[0]["files"]}
    listed = {
        f for name in ("images", "masks", "labels.csv") for f, _ in find_files(tmp_path / name)
    }
    assert files | {*source.tables} == listed


def test_an_image_without_mask_keeps_the_labels_of_the_table(tmp_path):
    lay_out(tmp_path, labels="id,flat\na,0\nb,1\nc,1\n")
    (tmp_path / "masks" / "b.png").unlink()
    source = opened(tmp_path, labels="labels.csv", names=["flat"])
    (row,) = source.rows("b")
    assert (row["has_mask"], row["pixels_wet"], row["label_flat"]) == (False, 0, 1)
    assert row["files"] == (tmp_path / "images" / "b.png",)
    (image,) = source.read("b", 2)
    assert image.mask is None


def test_without_masks_there_are_labels_and_no_pixel_counts(tmp_path):
    lay_out(tmp_path, labels="id,flat\na,0\nb,1\nc,1\n")
    source = opened(tmp_path, masks=None, labels="labels.csv", names=["flat"])
    (row,) = source.rows("a")
    assert row["has_mask"] is False
    assert not [key for key in row if key.startswith("pixels_")]
    assert next(source.read("a", 2)).mask is None


def test_masks_may_have_a_suffix_and_lie_among_the_images(tmp_path):
    lay_out(tmp_path)
    for mask in (tmp_path / "masks").iterdir():
        mask.rename(tmp_path / "images" / f"{mask.stem}_seg{mask.suffix}")
    save(tmp_path / "images" / "a_other.png", np.zeros((4, 6), np.uint8))
    (tmp_path / "images" / "a_other.png").rename(tmp_path / "images" / ".hidden.png")
    source = opened(tmp_path, masks="images", mask_suffix="_seg")
    assert source.groups == ["a", "b", "c"]
    assert source.rows("a")[0]["pixels_wet"] == 5


def test_other_files_among_the_masks_are_left_alone(tmp_path):
    lay_out(tmp_path)
    for mask in [*(tmp_path / "masks").iterdir()]:
        save(mask.with_name(f"{mask.stem}_superpixels.png"), np.zeros((2, 2), np.uint8))
        mask.rename(mask.with_name(f"{mask.stem}_seg.png"))
    (tmp_path / "masks" / "README.txt").touch()
    (tmp_path / "images" / "Thumbs.db").touch()
    (tmp_path / "images" / "more").mkdir()
    assert opened(tmp_path, mask_suffix="_seg").groups == ["a", "b", "c"]


def test_ids_and_groups_are_text_even_where_they_look_otherwise(tmp_path):
    lay_out(tmp_path, names=("007", "NA", "läsion 1"), labels="id,flat,p\n007,0,01\nNA,1,null\n")
    with (tmp_path / "labels.csv").open("a", encoding="utf-8") as stream:
        stream.write("läsion 1,1,01\n")
    source = opened(tmp_path, labels="labels.csv", names=["flat"], group="p")
    assert source.groups == ["01", "null"]
    assert [row["id"] for row in source.rows("01")] == ["007", "läsion 1"]
    assert [row["id"] for row in source.rows("null")] == ["NA"]


def test_a_table_as_spreadsheets_write_it(tmp_path):
    lay_out(tmp_path)
    text = '\ufeff,id,flat,note\r\n0,a,0,"x, y"\r\n1,b,1,\r\n2,c,1,"line\r\nline"\r\n\r\n'
    (tmp_path / "labels.csv").write_bytes(text.encode())
    source = opened(tmp_path, labels="labels.csv", names=["flat"])
    assert [source.rows(g)[0]["label_flat"] for g in source.groups] == [0, 1, 1]


# Pixels.


@pytest.mark.parametrize("suffix", ["png", "tif", "TIFF", "bmp", "PNG"])
@pytest.mark.parametrize("color", [False, True])
def test_pixels_come_back_from_every_exact_format(tmp_path, suffix, color):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3) if color else (5, 7), np.uint8)
    make_folder(tmp_path, f"x.{suffix}", pixels)
    (image,) = read_all(tmp_path, color=color)
    assert image.pixels.dtype == np.uint8
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.extent == (5, 7)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG"])
def test_jpegs_come_back_as_they_decode(tmp_path, suffix):
    pixels = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    make_folder(tmp_path, f"x.{suffix}", np.stack([pixels] * 3, 2))
    (image,) = read_all(tmp_path, color=True)
    assert image.pixels.shape == (48, 64, 3)
    assert np.abs(image.pixels[..., 1].astype(int) - pixels).max() < 8
    np.testing.assert_array_equal(image.pixels, np.asarray(Image.open(tmp_path / f"i/x.{suffix}")))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_any_kind_of_image_becomes_grey_or_colour(tmp_path, mode):
    source = Image.fromarray(np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8))
    stored = source.convert(mode)
    make_folder(tmp_path, "x.tif" if mode == "CMYK" else "x.png", stored)
    for color, target in ((True, "RGB"), (False, "L")):
        (image,) = read_all(tmp_path, color=color)
        np.testing.assert_array_equal(image.pixels, np.asarray(stored.convert(target)))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_steps(tmp_path, suffix):
    deep = np.array([[0, 1, 256, 257], [32768, 65279, 65534, 65535]], np.uint16)
    make_folder(tmp_path, f"x.{suffix}", deep)
    (image,) = read_all(tmp_path, color=False)
    assert image.pixels.dtype == np.float32
    np.testing.assert_allclose(image.pixels, deep / 257, rtol=1e-6)
    assert (image.pixels.min(), image.pixels.max()) == (0, 255)
    (image,) = read_all(tmp_path, color=True)
    assert image.pixels.dtype == np.uint8
    np.testing.assert_array_equal(image.pixels, np.rint(deep / 257)[..., None].repeat(3, 2))


def test_sixteen_bits_in_either_byte_order(tmp_path):
    deep = np.array([[1, 256], [515, 65535]], np.uint16)
    for name, mode in (("little", "I;16"), ("big", "I;16B")):
        file = tmp_path / name / "i" / "x.tif"
        file.parent.mkdir(parents=True)
        order = "<u2" if name == "little" else ">u2"
        Image.frombytes(mode, (2, 2), deep.astype(order).tobytes()).save(file)
        (image,) = read_all(tmp_path / name, color=False)
        np.testing.assert_allclose(image.pixels, deep / 257, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    pixels=arrays(np.uint16, (3, 4)),
    mask=arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 9, 200])),
)
def test_whatever_is_stored_comes_back(tmp_path_factory, pixels, mask):
    root = tmp_path_factory.mktemp("any")
    make_folder(root, "x.png", pixels)
    (root / "m").mkdir()
    save(root / "m" / "x.png", mask)
    source = opened(root, images="i", masks="m", names=["wet"], color=False)
    (row,), (image,) = source.rows("x"), source.read("x", 4)
    order = np.argsort(pixels.ravel(), kind="stable")
    assert (np.diff(image.pixels.ravel()[order]) >= 0).all()
    np.testing.assert_array_equal(np.rint(image.pixels * 257), pixels)
    np.testing.assert_array_equal(image.mask, np.select([mask == 200, mask == 9], [1, 2]))
    assert row["pixels_wet"] == (mask == 200).sum()
    assert row["pixels_dry"] == (mask == 9).sum()
    assert row["label_wet"] == (200 in mask)


def palette(values):
    """Indices under colours that are but names of them: 0 is black, each other has its own."""
    image = Image.fromarray(values).convert("P")
    image.putpalette([part for k in range(256) for part in (k, 0, k // 2)])
    image.putdata(values.ravel().tolist())
    return image


def greys(values):
    """Indices in another order than the greys that they stand for."""
    order = [255 - k for k in range(256)]
    image = Image.fromarray(255 - values).convert("P")
    image.putdata((255 - values).ravel().tolist())
    image.putpalette([part for k in order for part in (k, k, k)])
    return image


MASK = np.array([[0, 200, 9, 0], [9, 9, 0, 200]], np.uint8)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("x.png", Image.fromarray(MASK)),
        ("x.TIF", Image.fromarray(MASK)),
        ("x.bmp", Image.fromarray(MASK)),
        ("x.gif", Image.fromarray(MASK)),
        ("x.png", palette(MASK)),
        ("x.png", greys(MASK)),
        ("x.gif", greys(MASK)),
        ("x.bmp", greys(MASK)),
        ("x.tif", greys(MASK)),
        ("x.png", Image.fromarray(np.stack([MASK] * 3, 2))),
        ("x.png", Image.fromarray(np.stack([MASK, MASK, MASK, MASK * 0 + 255], 2))),
        ("x.png", Image.fromarray(np.stack([MASK, MASK * 0 + 255], 2), "LA")),
        ("x.png", Image.fromarray(MASK.astype(np.uint16))),
    ],
    ids=[
        "png",
        "tif",
        "bmp",
        "gif",
        "palette",
        "greys",
        "gif greys",
        "bmp greys",
        "tif greys",
        "rgb",
        "rgba",
        "la",
        "16-bit",
    ],
)
def test_masks_are_read_by_their_values_in_every_format(tmp_path, name, stored):
    make_folder(tmp_path, "x.png", np.zeros((2, 4), np.uint8))
    (tmp_path / "m").mkdir()
    stored.save(tmp_path / "m" / name, **({"optimize": False} if stored.mode == "P" else {}))
    (image,) = opened(tmp_path, images="i", masks="m").read("x", 4)
    np.testing.assert_array_equal(image.mask, np.select([MASK == 200, MASK == 9], [1, 2]))


def test_a_mask_of_one_bit_has_the_value_one(tmp_path):
    make_folder(tmp_path, "x.png", np.zeros((2, 4), np.uint8))
    (tmp_path / "m").mkdir()
    Image.fromarray(MASK).point(lambda v: v > 0, "1").save(tmp_path / "m" / "x.png")
    source = opened(tmp_path, images="i", masks="m", values=[1, 2])
    (image,) = source.read("x", 4)
    np.testing.assert_array_equal(image.mask, MASK > 0)
    assert source.rows("x")[0]["pixels_wet"] == 5


def test_a_telephones_picture_with_a_preview_is_one_picture(tmp_path):
    make_folder(tmp_path, "x.png", np.zeros((2, 4, 3), np.uint8))
    first, preview = (Image.new("RGB", (8, 8), color) for color in ("white", "black"))
    file = tmp_path / "i" / "y.jpg"
    first.save(file, "MPO", save_all=True, append_images=[preview])
    with Image.open(file) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    assert (read_all(tmp_path, color=True)[1].pixels > 250).all()
