"""Images and masks of one's own: plain files in folders, with a CSV of labels beside them.

`FolderLayout` in workflow/config/datasets.py says what may be configured. Images are matched with
masks, and with the rows of the CSV, by their stems. A mask or a row without image is an error,
because a name that silently fails to match is noticed too late; what else lies in the folders is
named as ignored, or refused if it is a picture.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from workflow.base.errors import DataError
from workflow.config.datasets import Dataset, FolderLayout
from workflow.config.model import Config
from workflow.data.reading.columns import groups_of, labels_of
from workflow.data.reading.folder_leftovers import ignored_files
from workflow.data.reading.levels import Span, grey_levels, span_of, stored_pixels
from workflow.data.reading.masks import mask_classes
from workflow.data.reading.pictures import PHOTOGRAPHS, opened
from workflow.data.sources.found_files import check_patterns, groups_by_pattern
from workflow.data.sources.label_table import match_rows, read_table
from workflow.data.sources.pairing import IMAGES, find_images, find_masks, mask_name, mask_suffixes
from workflow.data.sources.source import RawImage, Row, Source


def open_source(config: Config, dataset: str) -> Source:
    """The source of a data set."""
    definition = config.datasets[dataset]
    assert definition.folder is not None  # a configuration with this source has it
    if definition.folder.volumes:
        from workflow.data.sources.volume_folder import VolumeFolder  # which imports SimpleITK

        return VolumeFolder(definition, definition.folder)
    return Folder(definition, definition.folder)


class Folder:
    """The images of one folder; groups are what the CSV says, or else the images themselves.

    Args:
        dataset: names the lesions and labels.
        layout: names the folders and the CSV.

    Raises:
        DataError: files, masks and rows of the CSV do not fit each other.
    """

    def __init__(self, dataset: Dataset, layout: FolderLayout) -> None:
        self._dataset, self._layout = dataset, layout
        if layout.masks is None and layout.labels is None:
            raise DataError(
                "folder: neither `masks` nor `labels` is set, so nothing can be learnt; set one of "
                "them"
            )
        if layout.group is not None and layout.labels is None:
            raise DataError(
                f"folder.group: found {layout.group!r}, a column of folder.labels, which is not "
                "set; name that CSV, or set group to null"
            )
        check_patterns(layout)
        self._images = find_images(layout)
        self._masks = find_masks(layout, self._images) if layout.masks is not None else {}
        self._labels: dict[str, dict[str, int]] = {}
        groups = {image: image for image in self._images}
        self.tables: Sequence[Path] = ()
        self.ignored: Sequence[str] = ignored_files(
            layout, self._images, self._masks, (IMAGES, mask_suffixes(layout))
        )
        if layout.labels is not None:
            path = Path(layout.labels)
            named = [layout.label_column] if layout.label_column else dataset.labels
            columns = [*named, *([layout.group] if layout.group else [])]
            table, blank = read_table(path, columns, layout.id_column)
            self.ignored = [*self.ignored, *blank]
            match_rows(path, table, self._images)
            self._labels = labels_of(path, table, dataset.labels, layout.label_column)
            if layout.group is not None:
                groups = groups_of(path, table, layout.group)
            self.tables = (path,)
        else:
            self._check_every_mask()
        if layout.group_pattern is not None:
            groups = groups_by_pattern(self._images, layout.group_pattern)
        self._members: dict[str, list[str]] = {}
        for image in self._images:
            self._members.setdefault(groups[image], []).append(image)
        self.groups: Sequence[str] = sorted(self._members)
        self._span: Span | None = None
        self._spanning = threading.Lock()

    def rows(self, group: str) -> list[Row]:
        """The images of one group, with the lesions counted in their masks.

        Without a folder of masks there are no `pixels_` columns.

        Raises:
            DataError: a file cannot be used, or an image and its mask differ in size.
        """
        return [self._row(group, image) for image in self._members[group]]

    def read(self, group: str, size: int) -> Iterator[RawImage]:
        """The images of one group at their own size, whatever `size` is, with their masks.

        Raises:
            DataError: a file cannot be used.
        """
        for image in self._members[group]:
            pixels = self._pixels(self._images[image])
            height, width = pixels.shape[:2]
            mask = self._mask(image, (height, width)) if image in self._masks else None
            yield RawImage(image, pixels, mask, (height, width))

    def _row(self, group: str, image: str) -> Row:
        file, masks = self._images[image], self._masks.get(image, [])
        with opened(file, PHOTOGRAPHS) as header:
            width, height = header.size
        pixels = dict.fromkeys(self._dataset.lesions, 0) if self._masks else {}
        if masks:
            values = self._mask(image, (height, width))
            for k, lesion in enumerate(self._dataset.lesions, start=1):
                pixels[lesion] = int(np.count_nonzero(values == k))
        labels = self._labels.get(image) or {x: int(pixels[x] > 0) for x in self._dataset.labels}
        return {
            "id": image,
            "group": group,
            "part": "",
            "width": width,
            "height": height,
            "has_mask": bool(masks),
            "files": (file, *masks),
            **{f"label_{name}": value for name, value in labels.items()},
            **{f"pixels_{lesion}": count for lesion, count in pixels.items()},
        }

    def _mask(self, image: str, shape: tuple[int, int]) -> np.ndarray:
        """The masks of an image as one, of the image's height and width."""
        joined = np.zeros(shape, np.uint8)
        for path in self._masks[image]:
            mask = mask_classes(path, self._layout, self._dataset.lesions)
            if mask.shape != shape:
                raise DataError(
                    f"{path}: found {mask.shape[1]} × {mask.shape[0]} pixels, but "
                    f"{self._images[image]} has {shape[1]} × {shape[0]}; a mask must have the size "
                    "of its image"
                )
            both = (mask > 0) & (joined > 0) & (mask != joined)
            if both.any():
                raise DataError(
                    f"{path}: found {np.count_nonzero(both)} pixels of a lesion that are another "
                    "one in a further mask of the image; draw each pixel as one lesion"
                )
            np.copyto(joined, mask, where=mask > 0)
        return joined

    def _pixels(self, path: Path) -> np.ndarray:
        """An image for resizing, its range brought to 0..255 as the configuration says."""
        color, intensity = self._layout.color, self._dataset.intensity
        pixels = stored_pixels(path, color, by_type=intensity == "type")
        span = self._common_span() if intensity == "dataset" else None
        return grey_levels(pixels, color, intensity, span)

    def _common_span(self) -> Span:
        """The least and the greatest stored value of all images, which are read for it once."""
        with self._spanning:
            if self._span is None:
                spans = [
                    span_of(stored_pixels(file, self._layout.color, by_type=False))
                    for file in self._images.values()
                ]
                self._span = min(low for low, _ in spans), max(high for _, high in spans)
            return self._span

    def _check_every_mask(self) -> None:
        """Without a CSV the labels are seen in the masks alone."""
        bare = [image for image in self._images if image not in self._masks]
        if bare:
            raise DataError(
                f"{self._images[bare[0]]}: has no mask, and without folder.labels (a CSV) its "
                f"labels are unknown ({len(bare)} such images); add "
                f"{mask_name(self._layout, bare[0])}, or take the images out"
            )
