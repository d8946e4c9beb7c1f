"""Everything that can be wrong with a folder of one's own images, and the message that names it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.workflow.data.sources.folder_files import lay_out, opened, save
from workflow.base.errors import DataError

TABLE = "id,flat,patient\na,0,P\nb,1,P\nc,1,Q\n"


def assert_refused(message, root, **layout):
    with pytest.raises(DataError, match=message):
        opened(root, **layout)


def assert_unusable(message, root, image="a", **layout):
    """The folder can be opened, and the images beside the bad one can be used."""
    source = opened(root, **layout)
    for group in source.groups:
        if group != image:
            assert source.rows(group)
            assert list(source.read(group, 8))
    with pytest.raises(DataError, match=message):
        source.rows(image)


# Settings that do not fit each other.


def test_something_must_be_given_to_learn(tmp_path):
    lay_out(tmp_path)
    assert_refused("folder: neither `masks` nor `labels` is set", tmp_path, masks=None)


def test_a_group_is_a_column_of_the_table(tmp_path):
    lay_out(tmp_path)
    message = "folder.group: found 'patient', a column of folder.labels, which is not set; name"
    assert_refused(message, tmp_path, group="patient")


# Images.


@pytest.mark.parametrize("key", ["images", "masks"])
def test_a_folder_that_is_not_there_is_named(tmp_path, key):
    lay_out(tmp_path)
    message = rf"nowhere: no such folder \(folder.{key}\); correct the path"
    assert_refused(message, tmp_path, **{key: "nowhere"})


def test_an_empty_folder_is_named(tmp_path):
    lay_out(tmp_path)
    save(tmp_path / "empty" / "below" / "a.png", np.zeros((4, 6), np.uint8))
    (tmp_path / "empty" / "a.webp").touch()
    message = (
        r"empty: found no images \(folder.images\); expected files .png, .jpg, .* not in folde"
    )
    assert_refused(message, tmp_path, images="empty")


def test_two_images_of_one_stem_are_named(tmp_path):
    lay_out(tmp_path)
    save(tmp_path / "images" / "a.JPG", np.zeros((4, 6, 3), np.uint8))
    message = "images/a.png: a.JPG has the same stem, which is the image's id; rename or remove one"
    assert_refused(message, tmp_path)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", " a", "a ", "a\\b", "a\u200bb"])
def test_a_name_that_cannot_be_an_id_is_named(tmp_path, name):
    lay_out(tmp_path)
    save(tmp_path / "images" / f"{name}.png", np.zeros((4, 6, 3), np.uint8))
    assert_refused("images: file name '.*png' cannot be an id; rename it with printable", tmp_path)


def test_masks_among_the_images_need_a_suffix(tmp_path):
    lay_out(tmp_path)
    message = "images: is both folder.images and folder.masks, so folder.mask_suffix must say which"
    assert_refused(message, tmp_path, masks="images")
    (tmp_path / "same").symlink_to(tmp_path / "images")
    assert_refused(message, tmp_path, masks="same")


@pytest.mark.parametrize("file", ["images/a.png", "masks/a.png"])
@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>", None])
def test_a_file_that_cannot_be_decoded_is_named(tmp_path, file, content):
    lay_out(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:40] if content is None else content)
    source = opened(tmp_path)
    with pytest.raises(DataError, match=rf"{file}: cannot be decoded \(.*\); replace the file"):
        list(source.read("a", 8))


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_that_is_cut_anywhere_is_named_or_still_whole(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("cut")
    lay_out(root)
    suffix = data.draw(st.sampled_from(["png", "jpg", "tif", "bmp"]))
    path = root / "images" / f"a.{suffix}"
    whole = np.asarray(Image.open(root / "images" / "a.png"))
    (root / "images" / "a.png").unlink()
    save(path, whole)
    expected = next(opened(root).read("a", 8)).pixels
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        (image,) = opened(root).read("a", 8)
    except DataError as error:
        assert f"{path}: " in str(error)  # noqa: PT017
    else:
        np.testing.assert_array_equal(image.pixels, expected)


@pytest.mark.parametrize("file", ["images/a.png", "masks/a.png"])
def test_an_animation_is_named(tmp_path, file):
    lay_out(tmp_path)
    frames = [Image.new("L", (6, 4), value) for value in (0, 200, 9)]
    frames[0].save(tmp_path / file, save_all=True, append_images=frames[1:])
    assert_unusable(f"{file}: found 3 pages or frames; expected one. Store each as a fi", tmp_path)


def test_pages_of_a_tiff_are_named(tmp_path):
    lay_out(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    pages = [Image.new("L", (6, 4), value) for value in (1, 2)]
    pages[0].save(tmp_path / "images" / "a.tif", save_all=True, append_images=pages[1:])
    assert_unusable("images/a.tif: found 2 pages or frames; expected one", tmp_path)


@pytest.mark.parametrize("turn", range(2, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_an_image_that_is_shown_turned_is_named(tmp_path, turn, suffix):
    lay_out(tmp_path)
    with Image.open(tmp_path / "images" / "a.png") as image:
        exif = image.getexif()
        exif[274] = turn
        upright = image.copy()
    (tmp_path / "images" / "a.png").unlink()
    upright.save(tmp_path / "images" / f"a.{suffix}", exif=exif)
    message = f"images/a.{suffix}: found EXIF orientation {turn}, so it is shown turned or mirrored"
    assert_unusable(message, tmp_path)


def test_an_image_that_is_upright_may_say_so(tmp_path):
    lay_out(tmp_path)
    with Image.open(tmp_path / "images" / "a.png") as image:
        exif, upright = image.getexif(), image.copy()
    exif[274] = 1
    upright.save(tmp_path / "images" / "a.png", exif=exif)
    np.testing.assert_array_equal(next(opened(tmp_path).read("a", 8)).pixels, np.asarray(upright))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_32_bits_are_named(tmp_path, dtype):
    lay_out(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    save(tmp_path / "images" / "a.tif", np.zeros((4, 6), dtype))
    source = opened(tmp_path)
    with pytest.raises(
        DataError, match=r"images/a.tif: found pixels of 32 bits; expected 8, or 16"
    ):
        next(source.read("a", 8))


def test_an_image_too_large_to_be_one_is_named(tmp_path, monkeypatch):
    lay_out(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    source = opened(tmp_path)
    with pytest.raises(
        DataError, match=r"images/a.png: Image size \(24 pixels\) .*; store it smaller"
    ):
        source.rows("a")


# Masks.


def test_masks_of_which_none_belongs_to_an_image_are_named(tmp_path):
    lay_out(tmp_path)
    message = (
        r"masks: found no mask of any image \(folder.masks\); the first would be .*/masks/a_seg"
    )
    assert_refused(message, tmp_path, mask_suffix="_seg")
    for mask in [*(tmp_path / "masks").iterdir()]:
        mask.rename(mask.with_suffix(".jpg"))
    assert_refused(r"masks: found no mask .*/masks/a.png \(or .tif, .tiff, .bmp, .gif\)", tmp_path)


def test_a_mask_without_image_is_named(tmp_path):
    lay_out(tmp_path)
    (tmp_path / "images" / "b.png").unlink()
    message = (
        r"masks/b.png: no image has this mask \(1 such masks\); masks are called as .*masks/a.png"
    )
    assert_refused(message, tmp_path)


def test_two_masks_of_one_image_are_named(tmp_path):
    lay_out(tmp_path)
    save(tmp_path / "masks" / "a.tif", np.zeros((4, 6), np.uint8))
    assert_refused("masks/a.tif: a.png is a mask of the same image; remove one of them", tmp_path)


def test_an_image_without_mask_needs_a_table(tmp_path):
    lay_out(tmp_path)
    for name in "bc":
        (tmp_path / "masks" / f"{name}.png").unlink()
    message = (
        r"images/b.png: has no mask, and without folder.labels \(a CSV\) its labels are unknow"
    )
    assert_refused(rf"{message}.* \(2 such images\); add .*/masks/b.png, or take", tmp_path)


def test_a_mask_of_another_size_is_named(tmp_path):
    lay_out(tmp_path)
    save(tmp_path / "masks" / "a.png", np.zeros((6, 4), np.uint8))
    message = "masks/a.png: found 4 × 6 pixels, but .*/images/a.png has 6 × 4; a mask must have the"
    assert_unusable(message, tmp_path)


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (np.full((4, 6), 255, np.uint8), "value 255 in a mask .24 pixels"),
        (np.array([[0, 9, 200, 1, 2, 2]] * 4, np.uint8), "value 1 in a mask .12 pixels"),
        (np.full((4, 6), 456, np.uint16), "value 456 in a mask .24 pixels"),  # 200 + 256
    ],
)
def test_an_unknown_value_in_a_mask_is_named(tmp_path, mask, found):
    lay_out(tmp_path)
    save(tmp_path / "masks" / "a.png", mask)
    assert_unusable(
        rf"masks/a.png: found {found} have an unknown value\); allowed: 0 background, 200 wet, 9 "
        "dry. Correct the mask or folder.mask_values",
        tmp_path,
    )


def test_a_fraction_in_a_mask_is_named(tmp_path):
    lay_out(tmp_path)
    (tmp_path / "masks" / "a.png").unlink()
    save(tmp_path / "masks" / "a.tif", np.full((4, 6), 200.5, np.float32))
    assert_unusable("masks/a.tif: found value 200.5 in a mask", tmp_path)


def test_a_mask_in_colour_is_named(tmp_path):
    lay_out(tmp_path)
    mask = np.zeros((4, 6, 3), np.uint8)
    mask[0, 0] = 200, 0, 0
    save(tmp_path / "masks" / "a.png", mask)
    assert_unusable("masks/a.png: found a mask in colour; expected one channel, or equal", tmp_path)


# The table.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"",
            "column 'id' is missing; found none. Add the column, or save it as a table with comma",
        ),
        (
            b"id;flat\na;0\n",
            "column 'id' is missing; found id;flat. Add the column, or save it as a",
        ),
        (b"id,patient\na,P\n", "column 'flat' is missing; found id, patient"),
        (b"id,flat\na,0\n", "column 'patient' is missing; found id, flat"),
        (TABLE.encode() + b"d,0\n", "line 5 does not have 3 values, as many as there are columns"),
        (
            TABLE.encode() + b"d,0,P,7\n",
            "line 5 does not have 3 values, as many as there are colum",
        ),
        (TABLE.encode() + b"a,0,P\n", "id 'a' occurs twice; an image has one row"),
        (
            TABLE.encode() + b"\xe4,0,P\n",
            r"cannot be read \(folder.labels\): .*utf-8.*; save it as",
        ),
        (TABLE.encode() + b'd,0,"P\n', r"cannot be read \(folder.labels\): unexpected end of data"),
        (
            TABLE.encode() + b"d,0,P\ne,0,P\n",
            r"id 'd' has no image in folder.images \(2 such rows\)",
        ),
        (
            b"id,flat,patient\na,0,P\n",
            r"no row for .*/images/b.png \(2 such images\); add .* id 'b'",
        ),
        (
            TABLE.replace("a,", "a.png,").encode(),
            r"no row for .*/images/a.png \(1 .*the stem alone",
        ),
        (TABLE.replace("b,1", "b,2").encode(), "b: found '2' in column 'flat'; allowed: 0 and 1"),
        (TABLE.replace("b,1", "b,").encode(), "b: found '' in column 'flat'; allowed: 0 and 1"),
        (TABLE.replace("b,1", "b,yes").encode(), "b: found 'yes' in column 'flat'; allowed: 0 and"),
        (
            TABLE.replace("c,1,Q", "c,1,").encode(),
            "c: found '' in column 'patient' .folder.group.;",
        ),
        (
            TABLE.replace("c,1,Q", "c,1,x/y").encode(),
            "c: found 'x/y' in column 'patient' .folder.g",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, text, message):
    lay_out(tmp_path)
    (tmp_path / "labels.csv").write_bytes(text)
    layout = {"labels": "labels.csv", "names": ["flat"], "group": "patient"}
    assert_refused(f"labels.csv: {message}", tmp_path, **layout)


def test_a_table_that_is_not_there_is_named(tmp_path):
    lay_out(tmp_path)
    message = r"nowhere.csv: cannot be read \(folder.labels\): .*No such file"
    assert_refused(message, tmp_path, labels="nowhere.csv")
