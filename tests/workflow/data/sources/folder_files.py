"""Small folders of images for tests to write, to open and to break."""

import numpy as np
from PIL import Image

from workflow.config.datasets import Dataset, FolderLayout
from workflow.data.sources.folder import Folder

# Lesions `wet` and `dry`, whose order is not that of their values.
VALUES = [200, 9]


def save(path, pixels):
    """Store an array, or an image as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path)


def lay_out(root, names=("a", "b", "c"), labels=None):
    """Three images in `images`, each with a mask in `masks`: both lesions, none, the first."""
    random = np.random.default_rng(4)
    both = np.array([200] * 5 + [9] * 2 + [0] * 17, np.uint8).reshape(4, 6)
    for name, mask in zip(names, (both, both * 0, both * 0 + 200), strict=True):
        save(root / "images" / f"{name}.png", random.integers(0, 256, (4, 6, 3), np.uint8))
        save(root / "masks" / f"{name}.png", mask)
    if labels is not None:
        (root / "labels.csv").write_text(labels)


def make_folder(root, name, pixels):
    """One image in `i`, beside a table of labels."""
    save(root / "i" / name, pixels)


def opened(root, names=("wet",), values=VALUES, color=True, **layout):
    """The source of a folder; `names` are the labels, paths are below `root`."""
    layout = {"images": "images", "masks": "masks", **layout}
    for key in ("images", "masks", "labels"):
        if layout.get(key) is not None:
            layout[key] = str(root / layout[key])
    definition = Dataset.model_validate(
        {
            "title": "Mine",
            "source": "folder",
            "image_size": 32,
            "lesions": ["wet", "dry"],
            "labels": [*names],
            "split": "balanced",
            "folder": {**layout, "mask_values": values, "color": color},
        }
    )
    assert isinstance(definition.folder, FolderLayout)
    return Folder(definition, definition.folder)


def read_all(root, color):
    """All images of folder `i`, which need no masks."""
    stems = sorted(file.stem for file in (root / "i").iterdir())
    (root / "labels.csv").write_text("id,wet\n" + "".join(f"{stem},0\n" for stem in stems))
    source = opened(root, images="i", masks=None, labels="labels.csv", color=color)
    for group in source.groups:
        source.rows(group)
    return [image for group in source.groups for image in source.read(group, 32)]
