"""Files that match nothing, and names that are spelled in two ways."""

from pathlib import Path
from typing import Any

from PIL import Image

from tests.workflow.data.bad_cases import isic2017
from tests.workflow.data.bad_cases.case import (
    Action,
    Case,
    Group,
    copied,
    each_of,
    edited,
    holds,
    moved,
)  # fmt: skip
from tests.workflow.data.bad_cases.folder import (
    IMAGE,
    MASK,
    NAMES,
    SETTINGS,
    SPLIT,
    TABLE,
    write_folder,
)  # fmt: skip
from tests.workflow.data.bad_cases.shown import encoded


def _folder(**layout: Any) -> dict[str, Any]:
    return {"datasets": {"mine": {"folder": layout}}}


def _again(path: str, kind: str, source: str = IMAGE) -> Action:
    """A copy of an image in another format."""

    def act() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(source) as image:
            Path(path).write_bytes(encoded(image, kind))

    return act


def _as(path: str, kind: str, suffix: str) -> Action:
    """An image is stored in another format, under another suffix."""

    def act() -> None:
        _again(str(Path(path).with_suffix(suffix)), kind, path)()
        Path(path).unlink()

    return act


def _suffixed(*names: str, suffix: str = "_mask") -> Action:
    """Some masks have a suffix."""
    return each_of(
        *(moved(f"DATA/masks/{name}.png", f"DATA/masks/{name}{suffix}.png") for name in names)
    )


WITH_SUFFIX = _folder(mask_suffix="_mask")
B = "DATA/masks/b"
UNMATCHED = Group(
    "Images of one's own: files that match nothing",
    "mine",
    write_folder,
    SETTINGS,
    [
        Case("a mask is JPEG among PNGs", f"{B}.jpg: found JPEG that would not be read (1 such",
             _as(f"{B}.png", "JPEG", ".jpg")),
        Case("a mask is WebP among PNGs", f"{B}.webp: found WebP that would not be read",
             _as(f"{B}.png", "WEBP", ".webp")),
        Case("a mask is a NumPy array", f"{B}.npy: found NumPy that would not be read",
             each_of(moved(f"{B}.png", "DATA/b.png"), holds(f"{B}.npy", b"\x93NUMPY\1\0"))),
        Case("a mask lies in a folder below", "DATA/masks/more/b.png: found in a folder below "
             "folder.masks (1 such files)", moved(f"{B}.png", "DATA/masks/more/b.png")),
        Case("half of the masks lie two folders below",
             "DATA/masks/x/y/a.png: found in a folder below folder.masks (3 such files)",
             each_of(*(moved(f"DATA/masks/{n}.png", f"DATA/masks/x/y/{n}.png") for n in "abc"))),
        Case("a mask has no file suffix", f"{B}: found PNG that would not be read",
             moved(f"{B}.png", B)),
        Case("a mask lacks the suffix of masks",
             f"{B}.png: found a picture whose stem does not end in '_mask' (folder.mask_suffix), "
             "and DATA/images/b.png has no mask", _suffixed(*"acdef"), WITH_SUFFIX),
        Case("half of the masks lack the suffix",
             "DATA/masks/a.png: found a picture whose stem does not end in '_mask'",
             _suffixed(*"def"), WITH_SUFFIX),
        Case("a mask has another suffix than the others",
             f"{B}-mask.png: found a picture whose stem does not end in '_mask'",
             each_of(_suffixed(*"acdef"), moved(f"{B}.png", f"{B}-mask.png")), WITH_SUFFIX),
        Case("a mask has its suffix in capitals",
             f"{B}_MASK.png: found a picture whose stem does not end in '_mask'",
             each_of(_suffixed(*"acdef"), _suffixed("b", suffix="_MASK")), WITH_SUFFIX),
        Case("a mask is called after nothing while one is missing",
             "DATA/masks/mask2.png: found a picture whose stem does not end in '_mask'",
             each_of(_suffixed(*"acdef"), moved(f"{B}.png", "DATA/masks/mask2.png")), WITH_SUFFIX),
        Case("an image has a further mask",
             "DATA/masks/b_mask_1.png: found what seems to be a further mask of DATA/images/b.png",
             each_of(_suffixed(*NAMES), copied(f"{B}_mask.png", f"{B}_mask_1.png")), WITH_SUFFIX),
        Case("a mask with a suffix is JPEG among the images",
             "DATA/images/b_mask.jpg: found JPEG that would not be read",
             each_of(*(moved(f"DATA/masks/{n}.png", f"DATA/images/{n}_mask.png") for n in NAMES),
                     _as("DATA/images/b_mask.png", "JPEG", ".jpg")),
             _folder(masks="DATA/images", mask_suffix="_mask")),
        Case("an image is WebP among PNGs", "DATA/images/g.webp: found WebP that would not be",
             _again("DATA/images/g.webp", "WEBP")),
        Case("an image is a GIF among PNGs", "DATA/images/g.gif: found GIF that would not be read",
             _again("DATA/images/g.gif", "GIF")),
        Case("an image is DICOM without a suffix", "DATA/images/g: found DICOM that would not be",
             holds("DATA/images/g", b"\0" * 128 + b"DICM")),
        Case("an image is a volume", "DATA/images/g.nii.gz: found gzip that would not be read",
             holds("DATA/images/g.nii.gz", b"\x1f\x8b\x08")),
        Case("an image lies in a folder below", "DATA/images/more/g.png: found in a folder below",
             each_of(holds("DATA/images/more/x.txt", ""), copied(IMAGE, "DATA/images/more/g.png"))),
        Case("an image in capitals lies in a folder below",
             "DATA/images/MORE/G.PNG: found in a folder below folder.images (1 such files)",
             each_of(holds("DATA/images/MORE/x.txt", ""), copied(IMAGE, "DATA/images/MORE/G.PNG"))),
    ],
)  # fmt: skip


def _patients(first: str, second: str) -> Action:
    """The two images of one patient have names of it of their own."""
    return edited(TABLE, "a,1,P\nb,0,P", f"a,1,{first}\nb,0,{second}")


def _two(what: str, first: str, second: str) -> Case:
    says = f"{TABLE}: found {first!r} and {second!r} in column 'patient' (folder.group; such as"
    return Case(f"a patient is spelled in two ways: {what}", says, _patients(first, second))


SPELLINGS = Group(
    "Images of one's own: two spellings of one name",
    "mine",
    write_folder,
    SETTINGS,
    [
        _two("7 and 7.0", "7", "7.0"),
        _two("07 and 7", "07", "7"),
        _two("10 and 1e1", "10", "1e1"),
        _two("7 and +7", "7", "+7"),
        _two("capitals", "Lee", "LEE"),
        _two("a space", "P 1", "P1"),
        _two("two spaces", "Ann  Lee", "Ann Lee"),
        _two("leading zeros", "P01", "P1"),
        _two("a hyphen", "P-1", "P1"),
        _two("an underscore", "p_1", "P1"),
        _two("a dash", "A-B", "A–B"),
        _two("wide digits", "P７", "P7"),
        _two("a ligature", "ﬁsher", "fisher"),
        Case("an id has other capitals in the table",
             f"{TABLE}: no row for {IMAGE} (1 such images)", edited(TABLE, "a,1", "A,1")),
        Case("two images differ in capitals only",
             "DATA/images: found ids 'A' and 'a', which are spellings of one name",
             copied(IMAGE, "DATA/images/A.png")),
        Case("a mask differs from its image in capitals",
             "DATA/masks/A.png: no image has this mask (1 such masks)",
             moved(MASK, "DATA/masks/A.png")),
        Case("a split names a group by another number",
             f"{SPLIT}: 1 of its ids are not in the raw data of mine, first 7.0 (there is '7', "
             "which is another spelling of it)",
             each_of(_patients("7", "7"), edited(SPLIT, "P,train", "7.0,train"))),
        Case("a split names a group in other capitals",
             f"{SPLIT}: 1 of its ids are not in the raw data of mine, first p (there is 'P'",
             edited(SPLIT, "P,train", "p,train")),
        Case("a split names a group in two ways",
             f"{SPLIT}: id P occurs twice",
             lambda: holds(SPLIT, Path(SPLIT).read_text() + " P ,test\n")()),
        Case("a list of duplicates has another spelling of an id",
             "DATA/pairs.csv: found 'A', and the data has 'a'",
             holds("DATA/pairs.csv", "image_a,image_b\nA,b\n"),
             {"datasets": {"mine": {"duplicates": "DATA/pairs.csv"}}}),
        Case("a row has no id", f"{TABLE}: line 4 has no id", edited(TABLE, "c,1", " ,1")),
        Case("the column of ids is spelled otherwise",
             f"{TABLE}: column 'id' is missing; found ID, wet, patient. Add the column, or save it "
             "as a table with commas in UTF-8, with a row of column names first (there is 'ID'",
             edited(TABLE, "id,", "ID,")),
    ],
)  # fmt: skip

TEST_TABLE = "DATA/ISIC-2017_Test_v2_Part3_GroundTruth.csv"
DATA, MASKS = isic2017.DATA, isic2017.MASKS
FIRST, FIRST_MASK = Path(isic2017.IMAGE).stem, Path(isic2017.MASK).name


ISIC = Group(
    "ISIC 2017: files that match nothing",
    "isic2017",
    isic2017.write_folders,
    isic2017.SETTINGS,
    [
        Case("an image ends in .jpeg", f"{DATA}/{FIRST}.jpeg: found JPEG that would not be read",
              moved(isic2017.IMAGE, f"{DATA}/{FIRST}.jpeg")),
        Case("an image is PNG", f"{DATA}/{FIRST}.png: found PNG that would not be read",
              _as(isic2017.IMAGE, "PNG", ".png")),
        Case("an image is TIFF", f"{DATA}/{FIRST}.tif: found TIFF that would not be read",
              _as(isic2017.IMAGE, "TIFF", ".tif")),
        Case("an image lies in a folder below", f"{DATA}/more/{FIRST}.jpg: found in a folder",
              moved(isic2017.IMAGE, f"{DATA}/more/{FIRST}.jpg")),
        Case("half of the images lie in a folder of the archive's name",
              f"{DATA}/ISIC-2017_Training_Data/ISIC_9000003.jpg: found in a folder below",
              each_of(*(moved(f"{DATA}/ISIC_900000{k}.jpg",
                              f"{DATA}/ISIC-2017_Training_Data/ISIC_900000{k}.jpg")
                        for k in (3, 4, 5)))),
        Case("a mask is called otherwise", f"{MASKS}/{FIRST}_mask.png: found PNG that would not",
              moved(isic2017.MASK, f"{MASKS}/{FIRST}_mask.png")),
        Case("a mask has no suffix", f"{MASKS}/{FIRST}.png: found PNG that would not be read",
              moved(isic2017.MASK, f"{MASKS}/{FIRST}.png")),
        Case("a mask is TIFF", f"{MASKS}/{FIRST}_segmentation.tif: found TIFF that would not",
              _as(isic2017.MASK, "TIFF", ".tif")),
        Case("a mask lies in a folder below", f"{MASKS}/more/{FIRST_MASK}: found in a folder",
              moved(isic2017.MASK, f"{MASKS}/more/{FIRST_MASK}")),
        Case("a mask lies among the images", f"{DATA}/{FIRST_MASK}: found PNG that would not be",
              moved(isic2017.MASK, f"{DATA}/{FIRST_MASK}")),
        Case("a mask has another spelling of the id",
              f"{MASKS}/isic_9000000_segmentation.png: no image has this mask (there is "
              "'ISIC_9000000'", moved(isic2017.MASK, f"{MASKS}/isic_9000000_segmentation.png")),
        Case("an image is there in two spellings of its ending",
              f"{DATA}/{FIRST}.jpg: {FIRST}.JPG is of the same image",
              copied(isic2017.IMAGE, f"{DATA}/{FIRST}.JPG")),
        Case("two images of two parts differ in capitals only",
             f"{isic2017.IMAGE}: {isic2017.TEST}/isic_9000000.jpg has another spelling of its id",
             each_of(copied(isic2017.IMAGE, f"{isic2017.TEST}/isic_9000000.jpg"),
                     lambda: holds(TEST_TABLE, Path(TEST_TABLE).read_text().rstrip()
                                   + "\nisic_9000000,0.0,0.0\n")())),
        Case("the table has another spelling of an id",
              f"{isic2017.TABLE}: no row for ISIC_9000000, whose image is there (there is "
              "'isic_9000000'", edited(isic2017.TABLE, "ISIC_9000000", "isic_9000000")),
        Case("the table has names of files", f"{isic2017.TABLE}: no row for ISIC_9000000, whose "
              "image is there (there is 'ISIC_9000000.jpg'",
              edited(isic2017.TABLE, "ISIC_9000000", "ISIC_9000000.jpg")),
        Case("an image to train on has no mask",
              "isic2017: masks hold classes: 1 of 9 images to train and validate on have no mask",
              lambda: Path(isic2017.MASK).unlink()),
    ],
)  # fmt: skip
