"""Small RETOUCH volumes for tests to write, to open and to break."""

import re

import numpy as np

from workflow.config.datasets import Dataset
from workflow.data.phantom.metaimage import write_metaimage
from workflow.data.sources.retouch import Retouch

SHAPE = (4, 10, 12)
SPACING = (0.0117, 0.002, 0.047)


def definition(**changes):
    values = {
        "title": "Cirrus",
        "source": "retouch",
        "vendor": "Cirrus",
        "image_size": 32,
        "lesions": ["irf", "srf", "ped"],
        "labels": ["irf", "srf", "ped"],
        "split": "balanced",
    }
    return Dataset.model_validate({**values, **changes})


def voxels(dtype=np.uint8, shape=SHAPE, seed=0):
    limit = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, limit, shape, dtype, endpoint=True)


def fluids(*, slices, shape=SHAPE):
    """A reference whose k-th slice holds `slices[k]`: value -> number of voxels."""
    reference = np.zeros(shape, np.uint8)
    for image, content in zip(reference, slices, strict=True):
        start = 0
        for value, count in content.items():
            image.reshape(-1)[start : start + count] = value
            start += count
    return reference


REFERENCE = fluids(slices=[{}, {1: 5}, {2: 3, 3: 7}, {1: 1, 2: 2, 3: 4}])


def write(root, name="TRAIN001", *, scans=None, reference=REFERENCE, vendor="Cirrus"):
    folder = root / f"RETOUCH-TrainingSet-{vendor}" / name
    write_metaimage(folder / "oct.mhd", voxels() if scans is None else scans, SPACING)
    write_metaimage(folder / "reference.mhd", reference, SPACING)
    return folder


def opened(*roots, record=None, **changes):
    return Retouch(list(roots), definition(**changes), record)


def read_all(root, **changes):
    """Rows and images of everything, as the data steps would."""
    source = opened(root, **changes)
    rows = [row for group in source.groups for row in source.rows(group)]
    images = [image for group in source.groups for image in source.read(group, 32)]
    return rows, images


def column(rows, name):
    return [row[name] for row in rows]


def edit_header(header, **keys):
    """Change lines of a header; None takes one out."""
    text = header.read_text()
    for key, value in keys.items():
        line = "" if value is None else f"{key} = {value}\n"
        text, count = re.subn(rf"(?m)^{key} = .*\n", line, text)
        assert count == 1
    header.write_text(text)
