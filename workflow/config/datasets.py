"""The sections of the configuration on data: where raw files lie, and what a data set is."""

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, create_model, model_validator

from workflow.config.sources import SOURCES, PublicSource
from workflow.config.training import Names, Positive, Section, distinct

if TYPE_CHECKING:
    SourceName = VendorName = str
else:
    SourceName = Literal[(*SOURCES, "folder")]
    VendorName = Literal[tuple(name for about in SOURCES.values() for name in about.vendors)]


def _number(limits: Any) -> Any:
    """The type of a number within limits, of several, or of a word; see `phantom_sizes`."""
    if isinstance(limits[0], str):
        return Literal[limits]
    if isinstance(limits[0], tuple):
        return tuple[tuple(map(_number, limits))]
    least, most = limits
    return Annotated[int if isinstance(least, int) else float, Field(ge=least, le=most)]


def _phantom_sizes(name: str, about: PublicSource) -> Any:
    """The section `data.phantom.NAME`, all of whose keys have to be given."""
    keys: dict[str, Any] = {
        key: (_number(limits), ...) for key, limits in about.phantom_sizes.items()
    }
    text = f"Size of the phantoms of {about.title}."
    return create_model(
        f"Phantom{name.title()}", __base__=Section, __doc__=text, __module__=__name__, **keys
    )


class Phantom(Section):
    """What the workflow writes itself where no real data is at hand; a section for each source."""

    seed: Annotated[int, Field(ge=0)]


if not TYPE_CHECKING:
    _SIZES = {name: _phantom_sizes(name, of) for name, of in SOURCES.items() if of.phantoms}
    # A configuration is handed to other processes, which look for its classes in this module.
    globals().update({section.__name__: section for section in _SIZES.values()})
    Phantom = create_model(
        "Phantom",
        __base__=Phantom,
        __doc__=Phantom.__doc__,
        __module__=__name__,
        **{name: (section, ...) for name, section in _SIZES.items()},
    )


class Resize(Section):
    """How raw images and masks are brought to the network's size."""

    images: Literal["bilinear", "area"]
    masks: Literal["nearest", "majority"]


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://.+/", url):
        raise ValueError("expected an address from http:// or https:// to a / at its end")
    return url


def _keys_of(name: str, about: PublicSource) -> dict[str, Any]:
    """The keys of `data` that a public source has, all of which have to be given."""
    keys: dict[str, Any] = {f"{name}_dir": (str | None, ...), f"{name}_record": (str | None, ...)}
    if about.downloaded:
        keys[f"{name}_url"] = (Annotated[str, AfterValidator(_address)], ...)
    return keys


class Data(Section):
    """Where raw data comes from, and how it is prepared; with keys of its name for each source.

    Attributes:
        store: folder for downloads and unpacked archives, shared by all presets.
        threads: CPU threads of a preparing job.
    """

    origin: Literal["local", "phantom"]
    store: str
    resize: Resize
    threads: Positive
    val_volumes: Positive
    test_volumes: Positive
    phantom: Phantom


if not TYPE_CHECKING:
    Data = create_model(
        "Data",
        __base__=Data,
        __doc__=Data.__doc__,
        __module__=__name__,
        **{key: kind for name, of in SOURCES.items() for key, kind in _keys_of(name, of).items()},
    )


def kfold_of(split: str) -> tuple[int, int] | None:
    """`(I, K)` of a split `kfold I/K`; None of any other."""
    match = re.fullmatch(r"kfold ([1-9]\d*)/([1-9]\d*)", split)
    return (int(match[1]), int(match[2])) if match else None


def ratio_of(split: str) -> tuple[float, float, float] | None:
    """The shares of train, val and test of a split `0.7/0.1/0.2` or `70/10/20`; else None.

    They are given as they stand, in the second form as hundredths; whether they add up to 1 is for
    the caller to check.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)/(\d+\.?\d*|\.\d+)/(\d+\.?\d*|\.\d+)", split)
    if match is None:
        return None
    train, val, test = (float(number) for number in match.groups())
    if math.isclose(train + val + test, 100):
        return train / 100, val / 100, test / 100
    return train, val, test


def _pattern(text: str) -> str:
    """A regular expression with one bracket."""
    try:
        brackets = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"not a regular expression ({error}); correct it") from error
    if brackets != 1:
        raise ValueError(
            f"expected one bracket, which finds the group, such as '^(patient[0-9]+)_'; it has "
            f"{brackets}"
        )
    return text


Channel = Annotated[int, Field(ge=0, le=255)]
# Red, green and blue.
Color = tuple[Channel, Channel, Channel]


def _none_empty(suffixes: list[str]) -> list[str]:
    if not all(suffixes):
        raise ValueError("of several suffixes, none may be empty")
    return suffixes


class FolderLayout(Section):
    """Images and masks of one's own, as files in folders.

    Attributes:
        images: folder of images (PNG, JPEG, TIFF or BMP); a file's stem is the image's id.
        image_suffix: what follows the id in an image's stem, such as `_training`; mostly nothing.
        masks: folder of masks with the same stems, or null where there are none.
        mask_suffix: what follows the stem in a mask's name, such as `_segmentation`; or several,
            where an image may have several masks, which are joined.
        mask_values: the mask's value for each lesion, in their order; or instead of it one of
        mask_threshold: the least value of the one lesion, for soft masks and for JPEG, or
        mask_colors: the mask's colour [red, green, blue] for each lesion, in their order.
        mask_background: with `mask_colors`, the colour of what is no lesion.
        labels: CSV with column `id` and one column of 0 and 1 per label; null takes a label to be
            "the mask holds the lesion of this name".
        label_column: column of that CSV with the one label of each image in words, in place of
            columns of 0 and 1; each of its words is one of `labels`.
        group: column of that CSV that says which images belong together (a patient, a volume);
            null takes each image by itself.
        color: whether images have three channels or one.
        subfolders: whether the folders below `images` and `masks` are looked into too.
        ids: what of a file is the id: its stem, or its path from the folder, with `-` for `/`.
        include: patterns of the files that are meant (`*.png`, or `left/*` for a path); empty: all.
        exclude: patterns of files that are not.
        id_column: column of the CSV with the ids.
        group_pattern: regular expression whose one bracket finds the group in an id, in the place
            of `group`.
        volumes: whether the files are volumes (NIfTI, MetaImage, DICOM, TIFF of several pages), and
            images their slices.
    """

    images: str
    image_suffix: str = ""
    masks: str | None
    mask_suffix: str | Annotated[Names, AfterValidator(_none_empty)] = ""
    mask_values: Annotated[
        list[Annotated[int, Field(ge=1, le=65535)]], AfterValidator(distinct)
    ] = []
    mask_threshold: Annotated[float, Field(gt=0, le=65535)] | None = None
    mask_colors: Annotated[list[Color], AfterValidator(distinct)] = []
    mask_background: Color = (0, 0, 0)
    labels: str | None = None
    label_column: str | None = None
    group: str | None = None
    color: bool
    subfolders: bool = False
    ids: Literal["stem", "path"] = "stem"
    include: list[str] = []
    exclude: list[str] = []
    id_column: str = "id"
    group_pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    volumes: bool = False

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        if self.group is not None and self.group_pattern is not None:
            raise ValueError("`group` and `group_pattern` both name groups; set one of them")
        if self.label_column is not None and self.labels is None:
            raise ValueError("`label_column` is a column of `labels`; name that CSV")
        if self.volumes:
            for key in ("labels", "group", "label_column"):
                if getattr(self, key):
                    raise ValueError(f"`{key}` does not go with `volumes`; remove it")
            if not isinstance(self.mask_suffix, str):
                raise ValueError("`mask_suffix` is one suffix where `volumes` is set")
            if self.mask_threshold is not None or self.mask_colors:
                raise ValueError("masks of `volumes` are read by `mask_values`; set it")
            if self.color:
                raise ValueError("`volumes` are grey; set `color` to false")
        return self

    @property
    def mask_suffixes(self) -> list[str]:
        """What may follow the stem in a mask's name."""
        return [self.mask_suffix] if isinstance(self.mask_suffix, str) else self.mask_suffix

    @model_validator(mode="after")
    def _masks_read_one_way(self) -> Self:
        ways = {
            "mask_values": bool(self.mask_values),
            "mask_threshold": self.mask_threshold is not None,
            "mask_colors": bool(self.mask_colors),
        }
        given = [key for key, is_given in ways.items() if is_given]
        if len(given) > 1 or (not given and self.masks is not None):
            found = f"found {' and '.join(given)}" if given else "found none of them"
            raise ValueError(f"give one of mask_values, mask_threshold and mask_colors; {found}")
        if self.mask_colors and self.mask_background in self.mask_colors:
            raise ValueError("mask_background must not be among mask_colors")
        return self


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError("the lower end of the range must be below the upper")
    return ends


# How intensities become 8-bit: by the range of the element type, of each volume, of each image of a
# folder, of all its images, or by a given range.
Intensity = (
    Literal["type", "volume", "image", "dataset"]
    | Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ascending)]
)


class Dataset(Section):
    """One data set.

    Attributes:
        split: `official`, `balanced`, `kfold I/K`, `slices`, a ratio such as `0.7/0.1/0.2` (train,
            val, test), or the path of a CSV.
        intensity: see `Intensity`.
        duplicates: CSV of images known to be the same (image_a, image_b, ...), or null.
        folder: the folder with the files of source `folder`.
    """

    title: str
    source: SourceName
    vendor: VendorName | None = None
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
        vendors = self.public.vendors if self.public else ()
        if (self.vendor is not None) != bool(vendors):
            raise ValueError(f"`vendor` goes with source {_with('vendors')}, and only with it")
        if self.vendor is not None and self.vendor not in vendors:
            raise ValueError(f"`vendor` of source {self.source} is one of {', '.join(vendors)}")
        if (self.folder is not None) != (self.source == "folder"):
            raise ValueError("`folder` goes with source folder, and only with it")
        if not self.volumes and self.slice_step != 1:
            raise ValueError(f"`slice_step` goes with source {_with('volumes')} only")
        ranges = ("type", *(("volume",) if self.volumes else ()))
        if self.folder and not self.folder.volumes:
            ranges += ("image", "dataset")
        if isinstance(self.intensity, str) and self.intensity not in ranges:
            raise ValueError(
                f"intensity: found {self.intensity!r}; allowed with source {self.source}: "
                f"{', '.join(ranges)}, or a range [low, high]"
            )
        if not (self.volumes or self.folder) and self.intensity != "type":
            raise ValueError(f"`intensity` goes with source {_with('volumes')} or folder only")
        if self.folder:
            self._check_masks(self.folder)
        return self

    def _check_masks(self, folder: FolderLayout) -> None:
        """What masks hold must be said of each lesion."""
        if folder.mask_threshold is not None and len(self.lesions) != 1:
            raise ValueError(
                f"folder.mask_threshold: goes with one lesion; found {len(self.lesions)}"
            )
        for key in ("mask_values", "mask_colors"):
            given = getattr(folder, key)
            if given and len(given) != len(self.lesions):
                one = "value" if key == "mask_values" else "colour"
                raise ValueError(f"folder.{key}: give one {one} for each of `lesions`")

    @property
    def public(self) -> PublicSource | None:
        """What is known of its source; None of a folder of one's own."""
        return SOURCES.get(self.source)

    @property
    def color(self) -> bool:
        """Whether prepared images have three channels."""
        return bool(self.folder.color if self.folder else self.public and self.public.color)

    @property
    def volumes(self) -> bool:
        """Whether images are slices of volumes."""
        return bool(self.folder.volumes if self.folder else self.public and self.public.volumes)

    @property
    def by_volume(self) -> bool:
        """Whether several images belong to one group."""
        return self.volumes or bool(
            self.folder and (self.folder.group or self.folder.group_pattern)
        )


def _with(trait: str) -> str:
    """The sources that have a trait, in words."""
    return " or ".join(name for name, about in SOURCES.items() if getattr(about, trait))
