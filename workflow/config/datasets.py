"""The sections of the configuration on data: where raw files lie, and what a data set is."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from workflow.config.training import Names, Positive, Section, distinct

# What each public source annotates, and so what `lesions` and `labels` may name; a folder of one's
# own may annotate anything.
LESIONS = {"retouch": ("irf", "srf", "ped"), "isic2017": ("lesion",)}
LABELS = {
    "retouch": ("irf", "srf", "ped", "no_fluid"),
    "isic2017": ("melanoma", "seborrheic_keratosis", "nevus"),
}


class PhantomRetouch(Section):
    """Size of the phantom OCT sets, per vendor."""

    volumes: Annotated[int, Field(ge=4, le=24)]
    scale: Annotated[float, Field(ge=0.1, le=1)]


class PhantomIsic(Section):
    """Size of the phantom dermoscopy archives, and how often each diagnosis is in them."""

    train: Annotated[int, Field(ge=6)]
    val: Annotated[int, Field(ge=6)]
    test: Annotated[int, Field(ge=6)]
    size: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]
    diagnoses: Literal["real", "even"]


class Phantom(Section):
    """What the workflow writes itself where no real data is at hand."""

    seed: Annotated[int, Field(ge=0)]
    retouch: PhantomRetouch
    isic2017: PhantomIsic


class Resize(Section):
    """How raw images and masks are brought to the network's size."""

    images: Literal["bilinear", "area"]
    masks: Literal["nearest", "majority"]


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://.+/", url):
        raise ValueError("expected an address from http:// or https:// to a / at its end")
    return url


class Data(Section):
    """Where raw data comes from, and how it is prepared.

    Attributes:
        store: folder for downloads and unpacked archives, shared by all presets.
        retouch_record, isic2017_record: files with what is on record of the public data, which
            the raw files are checked against; null checks nothing.
        threads: CPU threads of a preparing job.
    """

    origin: Literal["local", "phantom"]
    store: str
    retouch_dir: str | None
    isic2017_dir: str | None
    isic2017_url: Annotated[str, AfterValidator(_address)]
    retouch_record: str | None
    isic2017_record: str | None
    resize: Resize
    threads: Positive
    val_volumes: Positive
    test_volumes: Positive
    phantom: Phantom


def kfold_of(split: str) -> tuple[int, int] | None:
    """`(I, K)` of a split `kfold I/K`; None of any other."""
    match = re.fullmatch(r"kfold ([1-9]\d*)/([1-9]\d*)", split)
    return (int(match[1]), int(match[2])) if match else None


class FolderLayout(Section):
    """Images and masks of one's own, as files in folders.

    Attributes:
        images: folder of images (PNG, JPEG, TIFF or BMP); a file's stem is the image's id.
        masks: folder of masks with the same stems, or null where there are none.
        mask_suffix: what follows the stem in a mask's name, such as `_segmentation`.
        mask_values: the mask's value for each lesion, in their order.
        labels: CSV with column `id` and one column of 0 and 1 per label; null takes a label to be
            "the mask holds the lesion of this name".
        group: column of that CSV that says which images belong together (a patient, a volume);
            null takes each image by itself.
        color: whether images have three channels or one.
    """

    images: str
    masks: str | None
    mask_suffix: str = ""
    mask_values: Annotated[list[Annotated[int, Field(ge=1, le=255)]], AfterValidator(distinct)]
    labels: str | None = None
    group: str | None = None
    color: bool


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError("the lower end of the range must be below the upper")
    return ends


# How OCT intensities become 8-bit: the range of the element type, the range of each volume, or a
# given range.
Intensity = (
    Literal["type", "volume"]
    | Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ascending)]
)


class Dataset(Section):
    """One data set.

    Attributes:
        split: `official`, `balanced`, `kfold I/K`, `slices`, or the path of a CSV.
        intensity: see `Intensity`.
        duplicates: CSV of images known to be the same (image_a, image_b, ...), or null.
        folder: where the files of source `folder` lie.
    """

    title: str
    source: Literal["retouch", "isic2017", "folder"]
    vendor: Literal["Cirrus", "Spectralis", "Topcon"] | None = None
    folder: FolderLayout | None = None
    image_size: Positive
    lesions: Names
    labels: Names
    split: str
    slice_step: Positive = 1
    intensity: Intensity = "type"
    duplicates: str | None = None
    training: dict[str, Any] = {}

    @model_validator(mode="after")
    def _keys_fit_source(self) -> Self:
        if (self.vendor is not None) != (self.source == "retouch"):
            raise ValueError("`vendor` goes with source retouch, and only with it")
        if (self.folder is not None) != (self.source == "folder"):
            raise ValueError("`folder` goes with source folder, and only with it")
        if self.source != "retouch" and (self.slice_step != 1 or self.intensity != "type"):
            raise ValueError("`slice_step` and `intensity` go with source retouch only")
        if self.folder and len(self.folder.mask_values) != len(self.lesions):
            raise ValueError("folder.mask_values: give one value for each of `lesions`")
        return self

    @property
    def color(self) -> bool:
        """Whether prepared images have three channels."""
        return self.folder.color if self.folder else self.source == "isic2017"

    @property
    def by_volume(self) -> bool:
        """Whether several images belong to one group."""
        return self.source == "retouch" or bool(self.folder and self.folder.group)
