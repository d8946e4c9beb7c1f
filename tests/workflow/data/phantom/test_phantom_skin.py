"""Phantom ISIC 2017: archives, tables, determinism, masks and what tells the kinds apart."""

import csv
import hashlib
import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from workflow.data.phantom import write_isic2017
from workflow.data.phantom.skin import assign_kinds, draw_picture

SPLITS = {"Training": 12, "Validation": 6, "Test_v2": 7}
FIRST = {"Training": 9_000_000, "Validation": 9_000_012, "Test_v2": 9_000_018}
SIZE = (96, 72)
KINDS = ("nevus", "melanoma", "seborrheic_keratosis")


def write(root, seed=4):
    write_isic2017(root, train=12, val=6, test=7, size=SIZE, seed=seed)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isic")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def pictures():
    return {
        kind: [
            draw_picture(np.random.default_rng([number, k]), kind, size=(128, 96), patches=True)
            for k in range(60)
        ]
        for number, kind in enumerate(KINDS)
    }


def names(split):
    return [f"ISIC_{FIRST[split] + k:07d}" for k in range(SPLITS[split])]


def members(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def opened(content):
    return Image.open(io.BytesIO(content))


def test_the_nine_official_files_and_no_other(root):
    wanted = {
        f"ISIC-2017_{split}_{part}"
        for split in SPLITS
        for part in ("Data.zip", "Part1_GroundTruth.zip", "Part3_GroundTruth.csv")
    }
    assert {path.name for path in root.iterdir()} == wanted


@pytest.mark.parametrize("split", SPLITS)
def test_archive_members(root, split):
    data = f"ISIC-2017_{split}_Data"
    wanted = {
        f"{data}/{name}{end}" for name in names(split) for end in (".jpg", "_superpixels.png")
    }
    assert set(members(root / f"{data}.zip")) == wanted | {f"{data}/{data}_metadata.csv"}
    masks = f"ISIC-2017_{split}_Part1_GroundTruth"
    wanted = {f"{masks}/{name}_segmentation.png" for name in names(split)}
    assert set(members(root / f"{masks}.zip")) == wanted


@pytest.mark.parametrize("split", SPLITS)
def test_images_masks_and_superpixels_agree_in_size(root, split):
    data = members(root / f"ISIC-2017_{split}_Data.zip")
    masks = members(root / f"ISIC-2017_{split}_Part1_GroundTruth.zip")
    for name in names(split):
        image = opened(data[f"ISIC-2017_{split}_Data/{name}.jpg"])
        mask = opened(masks[f"ISIC-2017_{split}_Part1_GroundTruth/{name}_segmentation.png"])
        superpixels = opened(data[f"ISIC-2017_{split}_Data/{name}_superpixels.png"])
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert (mask.format, mask.mode) == ("PNG", "L")
        assert (superpixels.format, superpixels.mode) == ("PNG", "RGB")
        assert image.size == mask.size == superpixels.size
        assert set(np.unique(np.asarray(mask))) == {0, 255}
        red, green, blue = np.moveaxis(np.asarray(superpixels, dtype=np.int64), 2, 0)
        ids = np.unique(red + 256 * green + 65536 * blue)
        np.testing.assert_array_equal(ids, np.arange(len(ids)))
        assert len(ids) > 50


@pytest.mark.parametrize("split", SPLITS)
def test_label_tables(root, split):
    content = (root / f"ISIC-2017_{split}_Part3_GroundTruth.csv").read_bytes()
    lines = SPLITS[split] + 1
    assert content.count(b"\r\n") == (lines if split == "Test_v2" else 0)
    assert content.count(b"\n") == lines
    rows = list(csv.DictReader(io.StringIO(content.decode("ascii"))))
    assert [row["image_id"] for row in rows] == names(split)
    assert list(rows[0]) == ["image_id", "melanoma", "seborrheic_keratosis"]
    pairs = {(row["melanoma"], row["seborrheic_keratosis"]) for row in rows}
    assert pairs == {("0.0", "0.0"), ("1.0", "0.0"), ("0.0", "1.0")}


@pytest.mark.parametrize("split", SPLITS)
def test_metadata_tables(root, split):
    data = f"ISIC-2017_{split}_Data"
    content = members(root / f"{data}.zip")[f"{data}/{data}_metadata.csv"].decode("ascii")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert list(rows[0]) == ["image_id", "age_approximate", "sex"]
    assert [row["image_id"] for row in rows] == names(split)
    assert {row["sex"] for row in rows} <= {"female", "male", "unknown"}
    ages = {row["age_approximate"] for row in rows} - {"unknown"}
    assert all(int(age) % 5 == 0 and 5 <= int(age) <= 85 for age in ages)


def test_two_writes_are_equal_byte_for_byte_and_the_seed_matters(root, tmp_path):
    def digests(folder):
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}

    write(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(root)
    write(tmp_path / "other", seed=5)
    first, other = digests(root), digests(tmp_path / "other")
    assert all(first[name] != other[name] for name in first if name.endswith(".zip"))


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 3000), st.integers(0, 10_000))
def test_every_kind_is_in_every_split_near_the_real_shares(count, seed):
    kinds = assign_kinds(np.random.default_rng(seed), count)
    assert len(kinds) == count
    # 374, 254 and 1372 of the 2000 real training images; at least one of each.
    for kind, real in zip(KINDS, (1372, 374, 254), strict=True):
        assert kinds.count(kind) >= 1
        assert abs(kinds.count(kind) - count * real / 2000) <= 1.5


def test_tiny_splits_are_possible():
    for count in (1, 2):
        assert len(assign_kinds(np.random.default_rng(0), count)) == count


def test_diagnoses_can_be_even():
    kinds = assign_kinds(np.random.default_rng(0), 30, "even")
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "nevus": 10,
        "melanoma": 10,
        "seborrheic_keratosis": 10,
    }


def test_sizes_vary_around_the_size_asked_for(pictures):
    sizes = np.array([p.image.shape[:2] for group in pictures.values() for p in group])
    height, width = sizes.T
    upright = height > width
    assert 0.02 < upright.mean() < 0.35
    long, short = np.maximum(height, width), np.minimum(height, width)
    assert long.min() >= 0.89 * 128
    assert long.max() <= 1.13 * 128
    assert short.min() >= 0.89 * 96
    assert short.max() <= 1.13 * 96
    assert len({tuple(size) for size in sizes}) > 60


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_one_solid_piece_of_plausible_area(pictures, kind):
    areas = []
    for picture in pictures[kind]:
        mask = picture.mask > 0
        assert ndimage.label(mask)[1] == 1
        assert (ndimage.binary_fill_holes(mask) == mask).all()
        areas.append(mask.mean())
    assert min(areas) > 0.01
    assert max(areas) < 0.7
    assert 0.08 < np.median(areas) < 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_lesions_are_darker_than_the_skin_around_them(pictures, kind):
    darker = 0
    for picture in pictures[kind]:
        mask = picture.mask > 0
        ring = ndimage.binary_dilation(mask, iterations=8) & ~ndimage.binary_dilation(
            mask, iterations=2
        )
        green = picture.image[..., 1].astype(float)
        darker += np.median(green[mask]) < np.median(green[ring]) - 4
    assert darker >= 0.95 * len(pictures[kind])


def traits(picture):
    """Colour contrast and spread, asymmetry, border irregularity and sharpness of one lesion."""
    mask = picture.mask > 0
    light = np.log(picture.image / 255 + 0.02)
    ring = ndimage.binary_dilation(mask, iterations=8) & ~ndimage.binary_dilation(
        mask, iterations=2
    )
    inside = light[mask] - np.median(light[ring], axis=0)
    border = mask ^ ndimage.binary_erosion(mask)
    y, x = (np.arange(n) - c for n, c in zip(mask.shape, ndimage.center_of_mass(mask), strict=True))
    quarters = [
        light[mask & ((y[:, None] > 0) == low) & ((x[None, :] > 0) == right)].mean(axis=0)
        for low in (False, True)
        for right in (False, True)
    ]
    steep = ndimage.gaussian_gradient_magnitude(light[..., 1], 1.0)[border]
    return np.concatenate(
        [
            inside.mean(axis=0),
            inside.std(axis=0),
            np.std(quarters, axis=0),
            [border.sum() ** 2 / mask.sum(), np.median(steep), (inside[:, 2] - inside[:, 0]).std()],
            np.quantile(inside[:, 1], [0.02, 0.98]),
        ]
    )


def test_kinds_differ_by_dermoscopic_traits_but_not_by_mean_colour(pictures):
    groups = [pictures[kind] for kind in KINDS]
    kinds = np.repeat(np.arange(3), [len(group) for group in groups])
    every = [picture for group in groups for picture in group]
    forest = RandomForestClassifier(100, random_state=0, n_jobs=1)
    by_traits = cross_val_score(forest, np.array([traits(p) for p in every]), kinds, cv=5).mean()
    colours = np.array([p.image.reshape(-1, 3).mean(axis=0) for p in every])
    by_colour = cross_val_score(forest, colours, kinds, cv=5).mean()
    # Chance is 1/3.
    assert by_traits > 0.7
    assert by_colour < 0.55


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "train: 0; allowed are 1 to 900000 pictures"),
        ({"val": -3}, "val: -3; allowed are 1 to 900000 pictures"),
        ({"test": 10**6}, "test: 1000000; allowed are 1 to 900000 pictures"),
        ({"train": 800_000, "test": 800_000}, "train + val + test: 1600006; allowed are up to"),
        ({"size": (192, 10)}, "size: (192, 10); allowed are a width and a height of at least 32"),
        ({"size": (192,)}, "size: (192,); allowed are a width and a height of at least 32"),
        ({"seed": -1}, "seed: -1; allowed are whole numbers from 0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(tmp_path, wrong, message):
    right = {"train": 6, "val": 6, "test": 6, "size": (96, 72), "seed": 0}
    with pytest.raises(ValueError, match=re.escape(message)):
        write_isic2017(tmp_path, **(right | wrong))
    assert list(tmp_path.iterdir()) == []
