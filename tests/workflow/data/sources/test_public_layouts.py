"""Folders laid out as public data sets are come in by configuration alone, with generated images.

None of the files are of those data sets; only names, formats and values are like theirs.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workflow.data.bad_cases.case import Case, Group, selected
from tests.workflow.data.bad_inputs import run

SIZE, COUNT = (40, 48), 9


def scene(number):
    """A picture, a disc in it, and a second disc that does not touch it."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    first = (y - 12) ** 2 + (x - 12 - number % 3) ** 2 < 50
    second = (y - 28) ** 2 + (x - 34) ** 2 < 20
    pixels = random.integers(30, 160, (*SIZE, 3), np.uint8)
    pixels[first | second] += 90
    return pixels, first, second


def save(path, pixels, **options):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)


def grey(inside):
    return np.where(inside, 255, 0).astype(np.uint8)


def kvasir():
    """Photographs and masks are JPEG of one name."""
    for k in range(COUNT):
        pixels, disc, _ = scene(k)
        save(f"DATA/images/cju{k}.jpg", pixels)
        save(f"DATA/masks/cju{k}.jpg", np.stack([grey(disc)] * 3, 2), quality=90)


def cvc():
    """TIFF in two folders."""
    for k in range(COUNT):
        pixels, disc, _ = scene(k)
        save(f"DATA/Original/{k}.tif", pixels)
        save(f"DATA/Ground Truth/{k}.tif", grey(disc))


def drive():
    """TIFF photographs called `21_training`, GIF drawings called `21_manual1`."""
    for k in range(COUNT):
        pixels, disc, _ = scene(k)
        save(f"DATA/images/{21 + k}_training.tif", pixels)
        save(f"DATA/1st_manual/{21 + k}_manual1.gif", grey(disc))


def busi():
    """Images with their masks beside them, some with a second mask."""
    for k in range(1, COUNT + 1):
        pixels, first, second = scene(k)
        save(f"DATA/benign/benign ({k}).png", pixels)
        save(f"DATA/benign/benign ({k})_mask.png", grey(first))
        if k % 3 == 0:
            save(f"DATA/benign/benign ({k})_mask_1.png", grey(second))


def ham():
    """Photographs whose table has the diagnosis in a word and which lesion they show."""
    lines = ["id,lesion_id,dx,age"]
    for k in range(COUNT * 4):
        pixels, disc, _ = scene(k)
        save(f"DATA/images/ISIC_00{k:03d}.jpg", pixels)
        save(f"DATA/masks/ISIC_00{k:03d}_segmentation.png", grey(disc))
        lines.append(f"ISIC_00{k:03d},HAM_{k // 2:03d},{('mel', 'nv', 'bkl')[k // 2 % 3]},45.0")
    Path("DATA/metadata.csv").write_text("\n".join([*lines, ",,,", ""]))


LAYOUTS = {
    "Kvasir-SEG": (kvasir, {"images": "images", "masks": "masks", "mask_threshold": 128}, {}),
    "CVC-ClinicDB": (
        cvc, {"images": "Original", "masks": "Ground Truth", "mask_values": [255]}, {},
    ),
    "DRIVE": (
        drive,
        {"images": "images", "image_suffix": "_training", "masks": "1st_manual",
         "mask_suffix": "_manual1", "mask_values": [255]},
        {},
    ),
    "BUSI": (
        busi,
        {"images": "benign", "masks": "benign", "mask_suffix": ["_mask", "_mask_1"],
         "mask_values": [255]},
        {},
    ),
    "HAM10000": (
        ham,
        {"images": "images", "masks": "masks", "mask_suffix": "_segmentation",
         "mask_values": [255], "labels": "metadata.csv", "label_column": "dx",
         "group": "lesion_id"},
        {"labels": ["mel", "nv", "bkl"]},
    ),
}  # fmt: skip


def prepared_images(place, build, intensity):
    """The images of one layout, by an intensity."""
    layout = {"images": "DATA/images", "masks": "DATA/masks", "mask_values": [255], "color": False}
    definition = {
        "title": "Deep", "source": "folder", "image_size": 32, "lesions": ["x"], "labels": ["x"],
        "split": "kfold 1/3", "folder": layout, "intensity": intensity,
    }  # fmt: skip
    settings = {"preset": "paper", "select": selected(), "datasets": {"mine": definition}}
    outcome = run(Group("x", "mine", build, settings, []), Case("nothing", ""), place)
    assert (outcome.step, outcome.message) == ("", "")
    parts = [
        np.load(place / f"results/paper/data/mine/{split}/images.npy")
        for split in ("train", "val", "test")
    ]
    return np.concatenate(parts)


def deep(dtype, low, step):
    """Images of a camera or a scanner: a part of their type's range, of each image another one."""

    def build():
        for k in range(COUNT):
            pixels, disc, _ = scene(k)
            values = low + pixels[..., 0].astype(float) * step + k * step * 10
            save(f"DATA/images/{k}.tif", values.astype(dtype))
            save(f"DATA/masks/{k}.png", grey(disc))

    return build


DEEP = {
    "camera of 12 bits": (deep(np.uint16, 0, 12), (0, 4095)),
    "8 bits in 16": (deep(np.uint16, 0, 0.5), (0, 200)),
    "tomography, signed": (deep(np.int32, -1000, 6), (-1000, 1000)),
    "tomography, shifted": (deep(np.uint16, 32000, 6), (32000, 34000)),
    "floating point": (deep(np.float32, -0.1, 0.004), (-0.1, 1.2)),
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("rule", ["image", "dataset", "range"])
def test_deep_images_keep_their_greys(tmp_path, name, rule):
    build, limits = DEEP[name]
    images = prepared_images(tmp_path, build, list(limits) if rule == "range" else rule)
    levels = [len(np.unique(image)) for image in images]
    assert min(levels) > 50
    brightness = images.reshape(len(images), -1).mean(axis=1)
    # Of each image's own range nothing is left of how bright they are beside each other.
    assert (np.ptp(brightness) > 30) == (rule != "image")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_public_layout_comes_in_by_configuration_alone(tmp_path, name):
    build, layout, keys = LAYOUTS[name]
    places = {k: f"DATA/{layout[k]}" for k in ("images", "masks", "labels") if k in layout}
    definition = {
        "title": name, "source": "folder", "image_size": 32, "lesions": ["x"], "labels": ["x"],
        "split": "kfold 1/3", "folder": {**layout, **places, "color": True}, **keys,
    }  # fmt: skip
    settings = {"preset": "paper", "select": selected(), "datasets": {"mine": definition}}
    outcome = run(Group(name, "mine", build, settings, []), Case("nothing", ""), tmp_path)
    assert (outcome.step, outcome.message) == ("", "")
    masks = np.concatenate(
        [
            np.load(tmp_path / f"results/paper/data/mine/{s}/masks.npy")
            for s in ("train", "val", "test")
        ]
    )
    assert len(masks) == (COUNT * 4 if name == "HAM10000" else COUNT)
    sides = [scene(k)[1].mean() for k in range(3)]
    second = scene(0)[2].mean() if name == "BUSI" else 0
    share = (masks == 1).mean()
    assert share == pytest.approx(np.mean(sides) + second / 3, rel=0.1)
    assert set(np.unique(masks)) == {0, 1}
