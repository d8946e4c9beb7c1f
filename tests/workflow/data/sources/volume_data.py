"""Small volumes of one's own in every format, for tests to write, to open and to break."""

import locale
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from workflow.config.datasets import Dataset, FolderLayout
from workflow.data.sources.volume_folder import VolumeFolder

SHAPE = (4, 6, 8)
SPACING = (0.5, 0.25, 2.0)


def scan(seed=0, dtype=np.uint8, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def drawn(shape=SHAPE):
    """A mask: no lesion, 5 wet voxels (200), 3 dry ones (9), both."""
    voxels = np.zeros(shape, np.uint8)
    voxels[1].flat[:5] = 200
    voxels[2].flat[:3] = 9
    voxels[3].flat[:4] = [200, 200, 9, 9]
    return voxels


def save_volume(file, voxels, **place):
    """Write NIfTI, MetaImage or TIFF by SimpleITK or Pillow."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix in (".tif", ".tiff"):
        first, *others = (Image.fromarray(page) for page in voxels)
        first.save(file, save_all=True, append_images=others)
        return
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(place.get("spacing", SPACING))
    image.SetOrigin(place.get("origin", (1.0, 2.0, 3.0)))
    sitk.WriteImage(image, str(file), useCompression=file.suffix == ".gz")


def save_series(folder, voxels, places=None, uid="1.2.3", first=0):
    """Write a folder of DICOM files, whose names say nothing of their order."""
    folder.mkdir(parents=True, exist_ok=True)
    # GDCM leaves the process in the locale `C`, in which text is read as ASCII, when it writes.
    language = locale.setlocale(locale.LC_ALL)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    count = len(voxels)
    for k in range(count):
        image = sitk.GetImageFromArray(voxels[k : k + 1])
        image.SetSpacing(SPACING)
        position = 2.0 * k if places is None else places[k]
        tags = {
            "0008|0060": "CT", "0020|000d": "1.2", "0020|000e": uid,
            "0008|0018": f"{uid}.{first + k}", "0020|0013": f"{k}",
            "0020|0032": f"0\\0\\{position}", "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "2",
        }  # fmt: skip
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"s{(7 * (first + k)) % 97:02d}.dcm"))
        writer.Execute(image)
    locale.setlocale(locale.LC_ALL, language)


def opened(root, color=False, intensity="type", **layout):
    """The source of a folder of volumes, with lesions `wet` (200) and `dry` (9)."""
    layout = {"images": "images", "masks": "masks", **layout}
    for key in ("images", "masks"):
        if layout[key] is not None:
            layout[key] = str(root / layout[key])
    definition = Dataset.model_validate(
        {
            "title": "Mine",
            "source": "folder",
            "image_size": 32,
            "lesions": ["wet", "dry"],
            "labels": ["wet"],
            "split": "kfold 1/3",
            "intensity": intensity,
            "folder": {**layout, "mask_values": [200, 9], "color": color, "volumes": True},
        }
    )
    assert isinstance(definition.folder, FolderLayout)
    return VolumeFolder(definition, definition.folder)
