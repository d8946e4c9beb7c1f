"""Files that are shown as they are stored are read; the table of bad inputs has the others."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.workflow.data.bad_cases.crafted import alpha, palette, png, tiff, trns
from workflow.base.errors import DataError
from workflow.data.decoding import decode, decode_reduced, size_of
from workflow.data.reading.levels import grey_levels, stored_pixels
from workflow.data.reading.pictures import PHOTOGRAPHS, bits_of, kind_of, opened

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
RANDOM = np.random.default_rng(2)
COLOURS = RANDOM.integers(0, 256, (5, 7, 3))
GREYS = RANDOM.integers(0, 256, (5, 7))
FOUR = np.concatenate([COLOURS, np.full((5, 7, 1), 255)], axis=2)


def read(tmp_path, content, name="x.png", color=True, by_type=True):
    (tmp_path / name).write_bytes(content)
    return stored_pixels(tmp_path / name, color, by_type=by_type)


OPAQUE = {
    "RGBA": (png(FOUR, 8), COLOURS),
    "RGBA of 16 bits": (png(FOUR * 257, 16), COLOURS),
    "LA": (png(np.stack([GREYS, GREYS * 0 + 255], 2), 8), GREYS[..., None].repeat(3, 2)),
    "a colour that does not occur": (png(COLOURS, 8, trns(*(COLOURS.max((0, 1)) + 1))), COLOURS),
    "a palette whose colours are opaque": (
        png(GREYS % 2, 1, palette((9, 8, 7), (1, 2, 3)), alpha(255, 255)),
        np.where((GREYS % 2)[..., None], (1, 2, 3), (9, 8, 7)),
    ),
    "a transparent colour of a palette that does not occur": (
        png(GREYS * 0, 1, palette((9, 8, 7), (1, 2, 3)), alpha(255, 0)), COLOURS * 0 + (9, 8, 7),
    ),
    "TIFF with alpha": (tiff(FOUR.astype(np.uint8), 2, 2), COLOURS),
    "TIFF multiplied by alpha": (tiff(FOUR.astype(np.uint8), 2, 1), COLOURS),
    "TIFF with 0 as white": (tiff(GREYS.astype(np.uint8), 0), 255 - GREYS[..., None].repeat(3, 2)),
    "grey of 4 bits": (png(GREYS % 16, 4), (GREYS % 16 * 17)[..., None].repeat(3, 2)),
    "grey of 2 bits": (png(GREYS % 4, 2), (GREYS % 4 * 85)[..., None].repeat(3, 2)),
    "one bit": (png(GREYS % 2, 1), (GREYS % 2 * 255)[..., None].repeat(3, 2)),
    "colour of 16 bits": (png(COLOURS * 257, 16), COLOURS),
}  # fmt: skip


@pytest.mark.parametrize("name", OPAQUE)
def test_what_is_shown_as_it_is_stored_is_read(tmp_path, name):
    content, shown = OPAQUE[name]
    file = "x.tif" if "TIFF" in name else "x.png"
    np.testing.assert_array_equal(read(tmp_path, content, file), shown)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_bits_are_those_of_the_file(tmp_path, depth):
    (tmp_path / "x.png").write_bytes(png(GREYS % 2, depth))
    with opened(tmp_path / "x.png", PHOTOGRAPHS) as image:
        assert bits_of(tmp_path / "x.png", image) == depth


DEEP = {
    "16 bits": (png(GREYS * 257, 16), np.uint16),
    "signed": (tiff((GREYS - 99).astype(np.int16), 1), np.int32),
    "32 bits": (tiff((GREYS * 99).astype(np.int32), 1), np.int32),
    "unsigned of 32 bits": (tiff((GREYS * 99).astype(np.uint32), 1), np.int32),
    "floating point": (tiff((GREYS / 7).astype(np.float32), 1), np.float32),
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("color", [False, True])
def test_a_range_is_brought_to_greys(tmp_path, name, color):
    content, dtype = DEEP[name]
    pixels = read(tmp_path, content, "x.tif" if name != "16 bits" else "x.png", by_type=False)
    assert pixels.dtype == dtype
    low, high = float(pixels.min()), float(pixels.max())
    greys = grey_levels(pixels, color, "image", None)
    expected = (pixels.astype(float) - low) / (high - low) * 255
    assert greys.dtype == (np.uint8 if color else np.float32)
    np.testing.assert_allclose(greys[..., 0] if color else greys, expected, atol=0.51)
    assert (greys.min(), greys.max()) == (0, 255)
    half = grey_levels(pixels, False, (low, low + (high - low) / 2), None)
    np.testing.assert_allclose(half, np.clip(expected * 2, 0, 255), atol=1e-3)
    wide = grey_levels(pixels, False, "dataset", (low, low + (high - low) * 2))
    np.testing.assert_allclose(wide, expected / 2, atol=1e-3)


def test_eight_bits_may_be_stretched_too(tmp_path):
    pixels = read(tmp_path, png(COLOURS // 4, 8), by_type=False)
    stretched = grey_levels(pixels, True, (0, 63), None)
    np.testing.assert_array_equal(stretched, np.rint(COLOURS // 4 / 63 * 255))
    assert grey_levels(pixels * 0, True, "image", None).max() == 0
    assert grey_levels(pixels, True, "type", None) is pixels


def encoded(kind, **options):
    stream = io.BytesIO()
    Image.fromarray(COLOURS.astype(np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("turn", [0, 1, 9])
def test_a_picture_that_says_it_is_upright_is_read(tmp_path, turn):
    exif = Image.Exif()
    exif[274] = turn
    file = tmp_path / "x.jpg"
    file.write_bytes(encoded("JPEG", exif=exif))
    assert size_of(file) == (7, 5)
    np.testing.assert_array_equal(
        decode_reduced(file, 32)[0], stored_pixels(file, True, by_type=True)
    )


@pytest.mark.parametrize(
    "content", [png(GREYS % 2 * 255, 8), png(GREYS % 2, 1),
                png(GREYS % 2, 1, palette(BLACK, WHITE)),
                png(1 - GREYS % 2, 8, palette(WHITE, BLACK)),
                png(np.stack([GREYS % 2 * 255] * 3, 2), 8)],
    ids=["grey", "bit", "palette", "turned palette", "rgb"],
)  # fmt: skip
def test_masks_of_isic_2017_are_read_as_they_are_shown(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    np.testing.assert_array_equal(decode(tmp_path / "x.png", "L"), GREYS % 2 * 255)


def test_no_format_but_the_named_ones_is_ever_tried(tmp_path, monkeypatch):
    """An EPS would start Ghostscript."""
    tried = []
    monkeypatch.setattr("subprocess.check_call", lambda *args, **_: tried.append(args))
    (tmp_path / "x.png").write_bytes(encoded("EPS"))
    with pytest.raises(DataError, match=r"x.png: cannot be decoded \(found PostScript"):
        read(tmp_path, encoded("EPS"))
    assert tried == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "DDS", "ICO", "PDF", "PPM"])
def test_a_file_is_called_by_its_beginning(tmp_path, kind):
    (tmp_path / "x").write_bytes(encoded(kind))
    assert kind_of(tmp_path / "x") == kind
    (tmp_path / "x").write_bytes(b"")
    assert kind_of(tmp_path / "x") == "empty file"
    (tmp_path / "x").write_bytes(b"something else")
    assert kind_of(tmp_path / "x") == ""
