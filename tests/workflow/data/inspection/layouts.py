"""Small data sets in the layouts of public ones, with images that are made up.

Each writes its files below `DATA` and gives what a user would write in `datasets.mine`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from tests.workflow.data.sources.volume_data import save_volume

COUNT = 12
DATA = Path("DATA")


def photograph(seed: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Smooth colours that no other seed has, as uint8 `[H, W, 3]`."""
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0))
    return np.clip(128 + 90 * smooth / np.abs(smooth).max() + 8 * noise, 0, 255).astype(np.uint8)


def disc(seed: int, size: tuple[int, int] = (48, 64), empty: bool = False) -> np.ndarray:
    """A round lesion somewhere, as bool `[H, W]`; or none."""
    y, x = np.random.default_rng(seed).uniform(14, 34, 2)
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (np.hypot(rows - y, columns - x) < 9) & (not empty)


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    """Store an image, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def white(mask: np.ndarray) -> np.ndarray:
    """0 and 255."""
    return mask.astype(np.uint8) * 255


def kvasir() -> dict[str, Any]:
    """Kvasir-SEG: masks are JPEG too, in folders of their own."""
    for k in range(COUNT):
        name = f"cju{k:02d}x9.jpg"
        save(DATA / "images" / name, photograph(k), quality=90)
        soft = ndimage.gaussian_filter(white(disc(k)).astype(float), 0.7).astype(np.uint8)
        save(DATA / "masks" / name, np.repeat(soft[..., None], 3, 2), quality=85)
    folder = {"images": "DATA/images", "masks": "DATA/masks", "mask_threshold": 128, "color": True}
    return {"folder": folder, "lesions": ["polyp"], "labels": ["polyp"]}


def cvc() -> dict[str, Any]:
    """CVC-ClinicDB: TIFF, called by numbers, in a folder with a space; some frames without."""
    for k in range(COUNT):
        save(DATA / "Original" / f"{k + 1}.tif", photograph(k))
        save(DATA / "Ground Truth" / f"{k + 1}.tif", white(disc(k, empty=k % 4 == 0)))
    folder = {
        "images": "DATA/Original", "masks": "DATA/Ground Truth", "mask_values": [255],
        "color": True,
    }  # fmt: skip
    return {"folder": folder, "lesions": ["polyp"], "labels": ["polyp"]}


def drive() -> dict[str, Any]:
    """DRIVE: masks are GIF, and both names go on behind the id."""
    for k in range(21, 21 + COUNT):
        save(DATA / "images" / f"{k}_training.tif", photograph(k))
        save(DATA / "1st_manual" / f"{k}_manual1.gif", white(disc(k)))
    folder = {
        "images": "DATA/images", "masks": "DATA/1st_manual", "image_suffix": "_training",
        "mask_suffix": "_manual1", "mask_values": [255], "color": True,
    }  # fmt: skip
    return {"folder": folder, "lesions": ["vessel"], "labels": ["vessel"]}


def busi() -> dict[str, Any]:
    """BUSI: folders by diagnosis, masks beside images, some images with several."""
    for number, kind in enumerate(("benign", "malignant", "normal")):
        for k in range(1, 7):
            stem, seed = f"{kind} ({k})", 10 * number + k
            save(DATA / kind / f"{stem}.png", photograph(seed))
            empty = kind == "normal"
            save(DATA / kind / f"{stem}_mask.png", white(disc(seed, empty=empty)))
            if k == 2 and not empty:
                save(DATA / kind / f"{stem}_mask_1.png", white(disc(seed + 50)))
    folder = {
        "images": "DATA", "masks": "DATA", "mask_suffix": ["_mask", "_mask_1"],
        "mask_values": [255], "subfolders": True, "color": True,
    }  # fmt: skip
    return {"folder": folder, "lesions": ["tumour"], "labels": ["tumour"]}


def ham10000() -> dict[str, Any]:
    """HAM10000: two folders of images, and a CSV with a lesion's id and its diagnosis in words."""
    rows = ["lesion_id,image_id,dx,age"]
    for k in range(2 * COUNT):
        name = f"ISIC_{24300 + k:07d}"
        save(DATA / "images" / f"HAM10000_images_part_{1 + k % 2}" / f"{name}.jpg", photograph(k))
        save(DATA / "segmentations" / f"{name}_segmentation.png", white(disc(k)))
        # Two images of each lesion.
        rows.append(f"HAM_{k // 2:07d},{name},{('mel', 'nv', 'bkl')[k // 2 % 3]},40")
    (DATA / "metadata.csv").write_text("\n".join(rows) + "\n")
    folder = {
        "images": "DATA/images", "masks": "DATA/segmentations", "mask_suffix": "_segmentation",
        "mask_values": [255], "subfolders": True, "labels": "DATA/metadata.csv",
        "id_column": "image_id", "label_column": "dx", "group": "lesion_id", "color": True,
    }  # fmt: skip
    return {"folder": folder, "lesions": ["lesion"], "labels": ["bkl", "mel", "nv"]}


def nifti() -> dict[str, Any]:
    """Volumes in NIfTI, signed, two of each patient, with masks of two lesions beside them."""
    for k in range(8):
        stem = f"P{k // 2:02d}_{k % 2}"
        slices = [photograph(10 * k + z)[..., 0] for z in range(4)]
        voxels = np.stack(slices).astype(np.int16) * 8 - 1000
        save_volume(DATA / f"{stem}_ct.nii.gz", voxels)
        drawn = np.stack([disc(10 * k + z) * (1 + z % 2) for z in range(4)]).astype(np.uint8)
        save_volume(DATA / f"{stem}_seg.nii.gz", drawn)
    folder = {
        "images": "DATA", "masks": "DATA", "image_suffix": "_ct", "mask_suffix": "_seg",
        "mask_values": [1, 2], "volumes": True, "group_pattern": "^(P[0-9]+)_", "color": False,
    }  # fmt: skip
    return {
        "folder": folder, "lesions": ["liver", "tumour"], "labels": ["liver", "tumour"],
        "intensity": [-1000, 1000],
    }  # fmt: skip


LAYOUTS: dict[str, Callable[[], dict[str, Any]]] = {
    layout.__name__: layout for layout in (kvasir, cvc, drive, busi, ham10000, nifti)
}
