"""Image files opened: only the formats that are documented, and only what a viewer would show.

Every file of a user that is an image goes through `opened`. It refuses what Pillow would read in
another way than a viewer shows it: pixels behind transparency, a picture that is shown turned,
the first of many pages, channels that have no meaning in the format.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from workflow.base.errors import DataError

# Pillow's names. What it calls MPO is a telephone's JPEG with previews, and opened as JPEG.
PHOTOGRAPHS = ("PNG", "JPEG", "TIFF", "BMP")
# No JPEG: its compression makes up values along every edge.
DRAWINGS = ("PNG", "TIFF", "BMP", "GIF")
# What Pillow raises for files that are cut or altered.
DAMAGED = (
    OSError, ValueError, SyntaxError, TypeError, EOFError, LookupError, ArithmeticError,
    AttributeError, AssertionError, RuntimeError, MemoryError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
# How files of other kinds begin, at which byte.
_BEGINNINGS = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"), (0, b"\xff\xd8\xff", "JPEG"), (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"), (0, b"BM", "BMP"), (8, b"WEBP", "WebP"),
    (0, b"%!PS", "PostScript (EPS)"), (0, b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (0, b"%PDF", "PDF"), (0, b"DDS ", "DDS"), (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"), (4, b"ftypheic", "HEIC"), (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"), (4, b"ftyp", "MP4 or HEIC"), (0, b"8BPS", "Photoshop (PSD)"),
    (0, b"\0\0\1\0", "ICO"), (0, b"icns", "ICNS"), (128, b"DICM", "DICOM"),
    (344, b"n+1\0", "NIfTI"), (0, b"\x1f\x8b", "gzip"), (0, b"PK\3\4", "ZIP"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"), (0, b"SIMPLE  =", "FITS"), (0, b"\x93NUMPY", "NumPy"),
    (0, b"\x89HDF", "HDF5"), (0, b"qoif", "QOI"), (0, b"farbfeld", "farbfeld"),
    (0, b"<svg", "SVG"), (0, b"<?xml", "XML or SVG"), (0, b"<!DOCTYPE", "web page"),
    (0, b"<html", "web page"), (0, b"P5", "PGM"), (0, b"P6", "PPM"), (0, b"P4", "PBM"),
    (0, b"NDims", "MetaImage"), (0, b"ObjectType", "MetaImage"), (0, b"NRRD", "NRRD"),
    (0, b"version https://git-lfs", "pointer of Git LFS in place of the file"),
)  # fmt: skip
_WHITE_IS_ZERO = 0
# Tags of TIFF.
_BITS, _PHOTOMETRIC, _CHANNELS, _SAMPLES = 258, 262, 277, 339
_UNSIGNED, _SIGNED = 1, 2


def kind_of(path: Path) -> str:
    """What a file is by its first bytes; empty where that is not known."""
    with path.open("rb") as stream:
        start = stream.read(512)
    if not start:
        return "empty file"
    for position, beginning, kind in _BEGINNINGS:
        if start[position:].startswith(beginning):
            return kind
    return ""


def found_instead(path: Path, formats: tuple[str, ...]) -> str:
    """What stands in the place of an image, and which formats are opened."""
    kind = kind_of(path)
    expected = f"expected {', '.join(formats[:-1])} or {formats[-1]}"
    if kind in formats:
        return f"found {kind} that is damaged, or of a kind that is not read"
    if kind == "JPEG":  # masks alone may not be JPEG
        expected += ", or folder.mask_threshold, with which masks may be JPEG"
    return f"found {kind}; {expected}" if kind else f"found no format that is known; {expected}"


@contextmanager
def opened(
    path: Path, formats: tuple[str, ...], advice: str = "replace the file"
) -> Iterator[Image.Image]:
    """An image file, its pixels not yet read, that passes `check_shown`.

    Args:
        path: the file.
        formats: Pillow's names of the formats that may be opened.
        advice: what to do with a file that is damaged.

    Raises:
        DataError: it cannot be opened or decoded, also in the caller's `with` block, or a viewer
            shows something else than what would be read.
    """
    try:
        with Image.open(path, formats=formats) as image:
            check_shown(path, image)
            yield image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {str(error).rstrip('.')}; store it smaller") from error
    except Image.UnidentifiedImageError as error:
        raise DataError(
            f"{path}: cannot be decoded ({found_instead(path, formats)}); {advice}"
        ) from error
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be decoded ({error}); {advice}") from error


def check_shown(path: Path, image: Image.Image) -> None:
    """See that a file has one upright picture, all of whose channels have a meaning.

    Raises:
        DataError: saying what was found.
    """
    # The further pictures in a telephone's JPEG (MPO) are previews of the first.
    pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if pages > 1:
        raise DataError(
            f"{path}: found {pages} pages or frames; expected one. Store each as a file"
        )
    turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    if turn in range(2, 9):
        raise DataError(
            f"{path}: found EXIF orientation {turn}, so it is shown turned or mirrored, and"
            " whether its mask is too cannot be known; store it upright, without the tag "
            "(mogrify -auto-orient), and compare it with its mask"
        )
    _check_tags(path, image)
    _check_covered(path, image)


def _check_tags(path: Path, image: Image.Image) -> None:
    """A TIFF may have channels that Pillow leaves out, or greys that it takes the wrong way."""
    tags = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return
    channels = int(tags.get(_CHANNELS, 1))
    if channels > len(image.getbands()):
        raise DataError(
            f"{path}: found {channels} channels, of which only {len(image.getbands())} "
            f"({image.mode}) would be read; store those that count, as grey or RGB"
        )
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and image.mode not in ("1", "L"):
        raise DataError(
            f"{path}: found a TIFF of more than 8 bits in which 0 is white, which is read as black;"
            " store it with 0 as black (PhotometricInterpretation MinIsBlack)"
        )

    signed = _SIGNED in np.atleast_1d(tags.get(_SAMPLES, _UNSIGNED))
    if signed and bits_of(path, image) == 8:
        raise DataError(
            f"{path}: found signed numbers of 8 bits, which would be read as 0 to 255; store them "
            "unsigned, or as 16 bits"
        )


def _check_covered(path: Path, image: Image.Image) -> None:
    """The frame of a GIF may be smaller than its picture; the rest is transparent then."""
    tiles = getattr(image, "tile", None)
    if image.format == "GIF" and tiles and tuple(tiles[0][1] or ()) != (0, 0, *image.size):
        raise DataError(
            f"{path}: found a frame that covers only part of the picture, the rest is transparent; "
            "store it whole, without transparency"
        )


def bits_of(path: Path, image: Image.Image) -> int:
    """Bits of each channel as stored.

    Pillow keeps 8 of the 16 bits of a colour image, and blows 1 to 4 bits of grey up to 8.
    """
    tags = getattr(image, "tag_v2", None)
    if image.format == "TIFF" and tags is not None:
        stored = tags.get(_BITS, (1,))
        return int(max(stored) if isinstance(stored, tuple) else stored)
    if image.format == "PNG":
        with path.open("rb") as stream:
            return stream.read(25)[24]  # of the header, which is always the first chunk
    return 8


def is_unsigned(image: Image.Image) -> bool:
    """Whether a TIFF holds unsigned whole numbers."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and _UNSIGNED in np.atleast_1d(tags.get(_SAMPLES, _UNSIGNED))


def check_opaque(path: Path, image: Image.Image) -> int:
    """See that every pixel is shown as it is stored, whatever lies behind the image.

    Args:
        path: the file, for the message.
        image: the opened file.

    Returns:
        Bits of each channel as stored.

    Raises:
        DataError: some pixel is not opaque.
    """
    bits = bits_of(path, image)
    hidden = _not_opaque(image, bits)
    if hidden:
        width, height = image.size
        raise DataError(
            f"{path}: found {hidden} of {width * height} pixels that are transparent, in whole or "
            "in part, so what is shown depends on what lies behind; store it without transparency "
            "on the background that is meant (such as: magick IN -background black -alpha remove "
            "-alpha off OUT)"
        )
    return bits


def _not_opaque(image: Image.Image, bits: int) -> int:
    """How many pixels are not opaque: by a channel, or by a colour declared to be transparent."""
    bands = image.getbands()
    if bands[-1] in ("A", "a"):
        return int(np.count_nonzero(np.asarray(image.getchannel(len(bands) - 1)) != 255))
    mark = image.info.get("transparency")
    if mark is None:
        return 0
    pixels = np.asarray(image)
    if isinstance(mark, bytes):  # of each colour of the palette; those beyond are opaque
        alpha = np.full(256, 255, np.uint8)
        alpha[: len(mark)] = np.frombuffer(mark[:256], np.uint8)
        return int(np.count_nonzero(alpha[pixels] != 255))
    if isinstance(mark, tuple):
        declared = np.array(mark, int) >> (8 if bits > 8 else 0)
        return int(np.count_nonzero((pixels == declared).all(axis=-1)))
    if pixels.dtype == bool:
        return int(np.count_nonzero(pixels == bool(mark)))
    scale = 255 // (2**bits - 1) if image.mode == "L" and bits < 8 else 1
    return int(np.count_nonzero(pixels == mark * scale))
