"""Image files that a viewer shows in another way than a program reads them, or that are no images.

Each is a variant of one kind: transparency, palettes, channels without meaning, pictures that are
shown turned, formats that are not opened.
"""

import functools
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.workflow.data.bad_cases import isic2017
from tests.workflow.data.bad_cases.case import Action, Case, Group, holds
from tests.workflow.data.bad_cases.crafted import alpha, palette, png, tiff, trns, wrote
from tests.workflow.data.bad_cases.folder import IMAGE, MASK, SETTINGS, write_folder

HIDDEN = "pixels that are transparent, in whole or in part"
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)
RANDOM = np.random.default_rng(8)
COLOURS = RANDOM.integers(0, 256, (6, 8, 3))
GREYS = RANDOM.integers(0, 256, (6, 8))
# A square of a lesion.
INSIDE = np.zeros((6, 8), int)
INSIDE[1:4, 2:6] = 1


def encoded(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    stream = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _with(channels: np.ndarray, last: np.ndarray | int) -> np.ndarray:
    channels = channels if channels.ndim == 3 else channels[..., None]
    return np.concatenate([channels, np.broadcast_to(last, (6, 8))[..., None]], axis=2)


def _image(what: str, says: str, content: bytes, suffix: str = "png", **settings: Any) -> Case:
    path = str(Path(IMAGE).with_suffix(f".{suffix}"))
    return Case(f"an image {what}", f"{path}: {says}", wrote(path, content), settings)


def _mask(what: str, says: str, content: bytes, suffix: str = "png", **settings: Any) -> Case:
    path = str(Path(MASK).with_suffix(f".{suffix}"))
    return Case(f"a mask {what}", f"{path}: {says}", wrote(path, content), settings)


SHOWN = INSIDE * 255
BYTES = SHOWN.astype(np.uint8)
FOUR = _with(COLOURS, 255 - SHOWN).astype(np.uint8)
FRAMES = [Image.fromarray(BYTES), Image.fromarray(255 - BYTES)]

TRANSPARENCY = Group(
    "Images of one's own: what a viewer shows",
    "mine",
    write_folder,
    SETTINGS,
    [
        _image("is transparent in places", f"found 12 of 48 {HIDDEN}", png(FOUR, 8)),
        _image("shines through", f"found 48 of 48 {HIDDEN}", png(_with(COLOURS, 200), 8)),
        _image("is grey and transparent", f"found 12 of 48 {HIDDEN}",
               png(_with(GREYS, 255 - SHOWN), 8)),
        _image("has 16 bits and is transparent", f"found 12 of 48 {HIDDEN}",
               png(_with(COLOURS * 257, 65535 - SHOWN * 257), 16)),
        _image("has a palette with a transparent colour", f"found 12 of 48 {HIDDEN}",
               png(INSIDE, 8, palette(BLACK, RED), alpha(255, 0))),
        _image("has a palette with a colour that shines through", f"found 36 of 48 {HIDDEN}",
               png(INSIDE, 1, palette(BLACK, RED), alpha(128))),
        _image("declares a colour to be transparent", f"found 1 of 48 {HIDDEN}",
               png(COLOURS, 8, trns(*COLOURS[0, 0]))),
        _image("declares a colour of 16 bits to be transparent", f"found 1 of 48 {HIDDEN}",
               png(COLOURS * 256, 16, trns(*(COLOURS[0, 0] * 256)))),
        _image("declares a grey to be transparent", f"found 12 of 48 {HIDDEN}",
               png(INSIDE * 9, 8, trns(9))),
        _image("declares a grey of 16 bits to be transparent", f"found 12 of 48 {HIDDEN}",
               png(INSIDE * 900, 16, trns(900))),
        _image("declares a grey of 4 bits to be transparent", f"found 12 of 48 {HIDDEN}",
               png(INSIDE * 9, 4, trns(9))),
        _image("of one bit declares white to be transparent", f"found 12 of 48 {HIDDEN}",
               png(INSIDE, 1, trns(1))),
        _image("is a TIFF with alpha", f"found 12 of 48 {HIDDEN}", tiff(FOUR, 2, 2), "tif"),
        _image("is a TIFF with colours multiplied by alpha", f"found 12 of 48 {HIDDEN}",
               tiff(FOUR, 2, 1), "tif"),
        _image("is a TIFF with a fourth channel of no meaning", "found 4 channels, of which only 3",
               tiff(FOUR, 2, 0), "tif"),
        _image("is a TIFF with a fourth channel that nothing is said of",
               f"found 12 of 48 {HIDDEN}", tiff(FOUR, 2), "tif"),
        _image("is a TIFF with two greys", "found 2 channels, of which only 1",
               tiff(FOUR[..., :2], 1, 0), "tif"),
        _image("is a deep TIFF in which 0 is white", "found a TIFF of more than 8 bits in which 0",
               tiff((GREYS * 257).astype(np.uint16), 0), "tif"),
        _image("is a TIFF of signed bytes", "found signed numbers of 8 bits",
               tiff(GREYS.astype(np.int8), 1), "tif"),
        _image("is in Lab", "found an image in LAB", encoded(Image.new("LAB", (8, 6)), "TIFF"),
               "tif"),
        _image("is an animated PNG", "found 2 pages or frames",
               encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:])),
        _image("is an animated PNG with a picture beside it", "found 3 pages or frames",
               encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES, default_image=True)),
        _image("is a TIFF of two pages", "found 2 pages or frames",
               encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), "tif"),
        _mask("is white on nothing", f"found 36 of 48 {HIDDEN}",
              png(_with(np.full((6, 8, 3), 255), SHOWN), 8)),
        _mask("is black on nothing", f"found 36 of 48 {HIDDEN}",
              png(_with(np.zeros((6, 8, 3), int), SHOWN), 8)),
        _mask("is grey on nothing", f"found 36 of 48 {HIDDEN}",
              png(_with(np.full((6, 8), 200), SHOWN), 8)),
        _mask("has soft edges in alpha", f"found 48 of 48 {HIDDEN}",
              png(_with(np.full((6, 8, 3), 200), 100 + INSIDE * 50), 8)),
        _mask("has a palette with a transparent background", f"found 36 of 48 {HIDDEN}",
              png(INSIDE, 8, palette(WHITE, WHITE), alpha(0))),
        _mask("of one bit has a transparent background", f"found 36 of 48 {HIDDEN}",
              png(INSIDE, 1, trns(0))),
        _mask("is a GIF with a transparent background", f"found 36 of 48 {HIDDEN}",
              encoded(Image.fromarray(BYTES).convert("P"), "GIF", transparency=0), "gif"),
        _mask("is an animated GIF", "found 2 pages or frames",
              encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "gif"),
        _mask("has a palette that says the opposite",
              "found value 255 in a mask (36 pixels have an unknown value)",
              png(INSIDE * 200, 8, palette(WHITE, *[BLACK] * 200)[:2])),
        _mask("has a palette whose index 0 is not black",
              "found a palette that shows something else than the indices say: 0 is shown as "
              "[255, 0, 0], 9 is shown as [0, 0, 0]",
              png(INSIDE * 9, 8, palette(RED, *[BLACK] * 9))),
        _mask("has a palette that shows two indices alike",
              "found a palette that shows something", png(INSIDE * 9, 8, palette(*[RED] * 10))),
        _mask("has a palette that is all black", "found a palette that shows something else",
              png(INSIDE * 9, 8, palette(*[BLACK] * 10))),
        _mask("has a palette in which a lesion is black", "found a palette that shows something",
              png(INSIDE * 9, 8, palette(BLACK, *[RED] * 8, BLACK))),
        _mask("has a palette whose greys are no values",
              "found value 255 in a mask (12 pixels have an unknown value)",
              png(INSIDE, 1, palette(BLACK, WHITE))),
        _mask("is a GIF with a palette in colour", "found a palette that shows something else",
              encoded(Image.fromarray(BYTES).convert("P"), "GIF",
                      palette=bytes([0, 0, 0, *[200, 9, 9] * 255])), "gif"),
        _mask("is in CMYK", "found a mask in CMYK",
              encoded(Image.fromarray(BYTES).convert("CMYK"), "TIFF"), "tif"),
        _mask("is in colour of 16 bits", "found a mask of 16 bits in several channels",
              png(_with(_with(INSIDE * 200, INSIDE * 200), INSIDE * 200), 16)),
        _mask("is a deep TIFF in which 0 is white", "found a TIFF of more than 8 bits in which 0",
              tiff((INSIDE * 200).astype(np.uint16), 0), "tif"),
        _mask("has pixels that are no number", "found pixels in a mask that are no finite number",
              tiff(np.where(INSIDE, np.nan, 0).astype(np.float32), 1), "tif"),
        _mask("has negative values", "found value -1 in a mask (12 pixels",
              tiff((-INSIDE).astype(np.int32), 1), "tif"),
    ],
)  # fmt: skip

OTHER = ("WEBP", "PPM", "ICO", "DDS", "EPS", "TGA", "SGI", "PCX", "JPEG2000", "PDF", "GIF", "DIB")
NAMED = {"WEBP": "WebP", "EPS": "PostScript (EPS)", "JPEG2000": "JPEG 2000"}
UNKNOWN = ("TGA", "SGI", "PCX", "DIB")


def _as(kind: str) -> bytes:
    return encoded(np.tile(GREYS.astype(np.uint8)[..., None], (3, 3, 3)), kind)


FORMATS = Group(
    "Images of one's own: formats that are not opened",
    "mine",
    write_folder,
    SETTINGS,
    [
        *(
            _image(
                f"is {NAMED.get(kind, kind)} by its content",
                f"cannot be decoded (found {'no format that is known' if kind in UNKNOWN else NAMED.get(kind, kind)}; expected PNG, JPEG, TIFF or BMP)",  # noqa: E501
                _as(kind),
            )
            for kind in OTHER
        ),
        *(
            _mask(
                f"is {NAMED.get(kind, kind)} by its content",
                f"cannot be decoded (found {NAMED.get(kind, kind)}; expected PNG, TIFF, BMP or GIF",
                _as(kind),
            )
            for kind in ("JPEG", "WEBP", "EPS", "DDS")
        ),
        _image("is a volume", "cannot be decoded (found NIfTI", b"\0" * 344 + b"n+1\0", "tif"),
        _image("is DICOM", "cannot be decoded (found DICOM", b"\0" * 128 + b"DICM"),
        _image("is SVG", "cannot be decoded (found SVG", b"<svg xmlns='x'/>", "bmp"),
        _image("is a pointer of Git LFS", "cannot be decoded (found pointer of Git LFS",
               b"version https://git-lfs.github.com/spec/v1\n"),
        _image("is a TIFF of 64 bits", "cannot be decoded (found TIFF that is damaged, or of a",
               tiff(GREYS.astype(np.float64), 1), "tif"),
    ],
)  # fmt: skip


def exif(turn: int) -> Image.Exif:
    """Metadata that has a picture shown turned."""
    found = Image.Exif()
    found[274] = turn
    return found


def xmp(turn: int) -> bytes:
    """The same as XMP."""
    return (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-"
        f"syntax-ns#'><rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' "
        f'tiff:Orientation="{turn}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _turned(path: str, **options: Any) -> Action:
    """A file of the same picture says that it is to be shown turned."""

    def act() -> None:
        with Image.open(path) as image:
            image.load()
            kind = str(image.format)
            copy = image.copy()
        copy.save(path, kind, **options)

    return act


def _photograph(kind: str, **options: Any) -> bytes:
    return encoded(COLOURS.astype(np.uint8), kind, **options)


PREVIEW = [Image.new("RGB", (8, 6))]
TURNED = Group(
    "Images of one's own: shown turned",
    "mine",
    write_folder,
    SETTINGS,
    [
        _image("is a JPEG that is shown mirrored", "found EXIF orientation 2",
               _photograph("JPEG", exif=exif(2)), "jpg"),
        _image("is a JPEG that is shown upside down", "found EXIF orientation 3",
               _photograph("JPEG", exif=exif(3)), "jpg"),
        _image("is a TIFF that is shown turned", "found EXIF orientation 8",
               _photograph("TIFF", exif=exif(8)), "tif"),
        _image("of a telephone is shown turned", "found EXIF orientation 6",
               _photograph("MPO", exif=exif(6), save_all=True, append_images=PREVIEW), "jpg"),
        _image("is shown turned by XMP", "found EXIF orientation 5",
               _photograph("JPEG", xmp=xmp(5)), "jpg"),
        Case("a mask is shown turned", f"{MASK}: found EXIF orientation 7",
             _turned(MASK, exif=exif(7))),
        _mask("is a TIFF that is shown upside down", "found EXIF orientation 4",
              encoded(BYTES // 255 * 200, "TIFF", exif=exif(4)), "tif"),
    ],
)  # fmt: skip


@functools.cache
def _size() -> tuple[int, int]:
    """Height and width of the mask that is damaged."""
    content = isic2017.archives()["ISIC-2017_Training_Part1_GroundTruth.zip"]
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        (name,) = [x for x in members.namelist() if x.endswith(Path(isic2017.MASK).name)]
        with Image.open(io.BytesIO(members.read(name))) as image:
            return image.height, image.width


def _isic_mask(what: str, says: str, make: Any) -> Case:
    """A mask of ISIC 2017 that is made of a square of its size."""

    def act() -> None:
        height, width = _size()
        inside = np.zeros((height, width), int)
        inside[4:20, 6:30] = 1
        holds(isic2017.MASK, make(inside))()

    return Case(f"a mask {what}", f"{isic2017.MASK}: {says}", act)


def _stacked(*channels: np.ndarray) -> np.ndarray:
    return np.stack(channels, axis=2)


ISIC = Group(
    "ISIC 2017: what a viewer shows",
    "isic2017",
    isic2017.write_folders,
    isic2017.SETTINGS,
    [
        *(
            Case(f"an image has EXIF orientation {turn}",
                 f"{isic2017.IMAGE}: found EXIF orientation {turn}",
                 _turned(isic2017.IMAGE, exif=exif(turn)))
            for turn in range(2, 9)
        ),
        Case("an image is shown turned by XMP", f"{isic2017.IMAGE}: found EXIF orientation 6",
             _turned(isic2017.IMAGE, xmp=xmp(6))),
        Case("a mask has EXIF orientation 3", f"{isic2017.MASK}: found EXIF orientation 3",
             _turned(isic2017.MASK, exif=exif(3))),
        _isic_mask("is white on nothing", "found ",
                   lambda m: png(_stacked(*[m * 0 + 255] * 3, m * 255), 8)),
        _isic_mask("is grey on nothing", "found ",
                   lambda m: png(_stacked(m * 0 + 255, m * 255), 8)),
        _isic_mask("has a palette with a transparent background", "found ",
                   lambda m: png(m, 8, palette(WHITE, WHITE), alpha(0))),
        _isic_mask("of one bit has a transparent background", "found ",
                   lambda m: png(m, 1, trns(0))),
        _isic_mask("declares white to be transparent", "found ",
                   lambda m: png(m * 255, 8, trns(255))),
        _isic_mask("holds 0 and 1", "found values up to 1, which all count as background",
                   lambda m: png(m, 8)),
        _isic_mask("has 16 bits", "found 16 bits; expected 8", lambda m: png(m * 255, 16)),
        _isic_mask("is an animation", "found 2 pages or frames",
                   lambda m: encoded(Image.fromarray((m * 255).astype(np.uint8)), "PNG",
                                     save_all=True,
                                     append_images=[Image.fromarray((m * 0).astype(np.uint8))])),
        _isic_mask("is JPEG by its content", "not an image; fetch it again (found JPEG)",
                   lambda m: encoded((m * 255).astype(np.uint8), "JPEG")),
        _isic_mask("is TIFF by its content", "not an image; fetch it again (found TIFF)",
                   lambda m: encoded((m * 255).astype(np.uint8), "TIFF")),
        *(
            Case(f"an image is {NAMED.get(kind, kind)} by its content",
                 f"{isic2017.IMAGE}: not an image; fetch it again (found {NAMED.get(kind, kind)})",
                 holds(isic2017.IMAGE, _as(kind)))
            for kind in ("EPS", "DDS", "PNG", "WEBP", "GIF", "TIFF", "PDF")
        ),
    ],
)  # fmt: skip
