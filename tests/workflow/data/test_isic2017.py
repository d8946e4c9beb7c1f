"""ISIC 2017's layout read back, from folders and from archives, and every way it can be broken."""

import hashlib
import io
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workflow.config_sections import Dataset
from workflow.data.errors import DataError
from workflow.data.isic2017 import Isic2017
from workflow.data.phantom import write_isic2017
from workflow.data.source import open_source

COUNTS = {"train": 6, "val": 3, "test": 4}
TITLES = {"train": "Training", "val": "Validation", "test": "Test_v2"}


def definition(**changes):
    values = {
        "title": "ISIC 2017",
        "source": "isic2017",
        "image_size": 32,
        "lesions": ["lesion"],
        "labels": ["melanoma", "seborrheic_keratosis", "nevus"],
        "split": "official",
        "slice_step": 1,
    }
    return Dataset.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    root = tmp_path_factory.mktemp("archives")
    write_isic2017(root, **COUNTS, size=(48, 40), seed=5)
    return root


@pytest.fixture(scope="module")
def unpacked(archives, tmp_path_factory):
    root = tmp_path_factory.mktemp("unpacked")
    for file in archives.iterdir():
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                archive.extractall(root)
        else:
            shutil.copy(file, root)
    return root


@pytest.fixture
def folders(unpacked, tmp_path):
    """A copy of the unpacked files that may be damaged."""
    return shutil.copytree(unpacked, tmp_path / "isic")


@pytest.fixture
def zips(archives, tmp_path):
    """A copy of the archives that may be damaged."""
    return shutil.copytree(archives, tmp_path / "isic")


def read_all(root, **changes):
    source = Isic2017(root, definition(**changes))
    inventory = source.inventory()
    return inventory, {group: next(source.read(group)) for group in inventory["group"]}


def names(root, part):
    folder = root / f"ISIC-2017_{TITLES[part]}_Data"
    return sorted(file.stem for file in folder.glob("*.jpg"))


def test_the_inventory_lists_every_image_with_its_part_and_labels(unpacked):
    inventory, _ = read_all(unpacked)
    assert inventory["id"].tolist() == [name for part in TITLES for name in names(unpacked, part)]
    assert (inventory["id"] == inventory["group"]).all()
    assert inventory["part"].value_counts().to_dict() == COUNTS
    assert inventory["has_mask"].all()
    for row in inventory.itertuples():
        data = (unpacked / f"ISIC-2017_{TITLES[row.part]}_Data" / f"{row.id}.jpg").read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            assert (row.width, row.height) == image.size
        assert row.sha256 == hashlib.sha256(data).hexdigest()


def test_nevus_is_neither_of_the_two_columns(unpacked):
    inventory, _ = read_all(unpacked)
    tables = [
        pd.read_csv(unpacked / f"ISIC-2017_{title}_Part3_GroundTruth.csv")
        for title in TITLES.values()
    ]
    truth = pd.concat(tables).set_index("image_id").loc[inventory["id"]]
    for name in ("melanoma", "seborrheic_keratosis"):
        assert inventory[f"label_{name}"].tolist() == truth[name].tolist()
    columns = ["label_melanoma", "label_seborrheic_keratosis", "label_nevus"]
    assert (inventory[columns].sum(axis=1) == 1).all()
    assert inventory["label_nevus"].sum() > 0


def test_images_and_masks_come_back_pixel_by_pixel(unpacked):
    _, images = read_all(unpacked)
    for part, title in TITLES.items():
        for name in names(unpacked, part):
            image = images[name]
            jpeg = unpacked / f"ISIC-2017_{title}_Data" / f"{name}.jpg"
            mask = unpacked / f"ISIC-2017_{title}_Part1_GroundTruth" / f"{name}_segmentation.png"
            np.testing.assert_array_equal(image.pixels, np.asarray(Image.open(jpeg)))
            np.testing.assert_array_equal(image.mask, np.asarray(Image.open(mask)) == 255)
            assert (image.id, image.pixels.dtype, image.mask.dtype) == (name, np.uint8, np.uint8)
            assert image.mask.max() == 1


def test_folders_and_archives_give_the_same(archives, unpacked):
    from_zips, zipped = read_all(archives)
    from_folders, plain = read_all(unpacked)
    pd.testing.assert_frame_equal(from_zips, from_folders)
    for name, image in zipped.items():
        np.testing.assert_array_equal(image.pixels, plain[name].pixels)
        np.testing.assert_array_equal(image.mask, plain[name].mask)


def test_folders_and_archives_may_be_mixed(zips, unpacked):
    (zips / "ISIC-2017_Training_Data.zip").unlink()
    shutil.copytree(unpacked / "ISIC-2017_Training_Data", zips / "ISIC-2017_Training_Data")
    pd.testing.assert_frame_equal(read_all(zips)[0], read_all(unpacked)[0])


def test_superpixels_are_neither_images_nor_masks(folders):
    for title in TITLES.values():
        assert list((folders / f"ISIC-2017_{title}_Data").glob("*_superpixels.png"))
        shutil.rmtree(folders / f"ISIC-2017_{title}_Part1_GroundTruth")
    inventory, images = read_all(folders)
    assert len(inventory) == sum(COUNTS.values())
    assert not inventory["has_mask"].any()
    assert {image.mask for image in images.values()} == {None}


def test_an_image_without_mask_is_listed_without_one(folders):
    name = names(folders, "test")[1]
    (folders / "ISIC-2017_Test_v2_Part1_GroundTruth" / f"{name}_segmentation.png").unlink()
    inventory, images = read_all(folders)
    assert inventory.loc[~inventory["has_mask"], "id"].tolist() == [name]
    assert images[name].mask is None
    assert images[names(folders, "test")[0]].mask is not None


def test_a_copy_may_lack_a_part(folders):
    shutil.rmtree(folders / "ISIC-2017_Validation_Data")
    (folders / "ISIC-2017_Validation_Part3_GroundTruth.csv").unlink()
    assert set(read_all(folders)[0]["part"]) == {"train", "test"}


def test_labels_are_in_the_configured_order(unpacked):
    inventory, _ = read_all(unpacked, labels=["nevus", "melanoma"])
    assert [c for c in inventory if c.startswith("label")] == ["label_nevus", "label_melanoma"]


def test_grey_masks_are_cut_where_the_challenge_cuts_them(folders):
    name = names(folders, "train")[0]
    file = folders / "ISIC-2017_Training_Part1_GroundTruth" / f"{name}_segmentation.png"
    height, width = np.asarray(Image.open(file)).shape
    grey = np.zeros((height, width), np.uint8)
    grey[0, :4] = (127, 128, 129, 255)
    Image.fromarray(grey).save(file)
    mask = read_all(folders)[1][name].mask
    assert mask[0, :4].tolist() == [0, 1, 1, 1]
    assert mask.sum() == 3


def test_the_configuration_opens_it(tiny_config):
    source = open_source(tiny_config, "isic2017")
    assert isinstance(source, Isic2017)
    assert source.inventory()["part"].value_counts().to_dict() == {"train": 12, "val": 6, "test": 6}


def csv_of(root):
    return root / "ISIC-2017_Training_Part3_GroundTruth.csv"


def no_csv(root):
    csv_of(root).unlink()


def empty_csv(root):
    csv_of(root).write_text("")


def html_csv(root):
    csv_of(root).write_text("<html>\n<body>not found, sorry, a, b</body>\n</html>\n")


def no_row(root):
    lines = csv_of(root).read_text().splitlines()
    csv_of(root).write_text("\n".join(lines[:-1]) + "\n")


def no_value(root):
    lines = csv_of(root).read_text().splitlines()
    csv_of(root).write_text("\n".join([*lines[:-1], lines[-1].split(",")[0] + ",,0.0"]) + "\n")


def image_of(root):
    return root / "ISIC-2017_Training_Data" / f"{names(root, 'train')[0]}.jpg"


def mask_of(root):
    name = names(root, "train")[0]
    return root / "ISIC-2017_Training_Part1_GroundTruth" / f"{name}_segmentation.png"


def no_jpeg(root):
    image_of(root).write_bytes(b"<html>")


def short_jpeg(root):
    image_of(root).write_bytes(image_of(root).read_bytes()[:-50])


def very_short_jpeg(root):
    image_of(root).write_bytes(image_of(root).read_bytes()[:100])


def short_mask(root):
    mask_of(root).write_bytes(mask_of(root).read_bytes()[:60])


def other_size(root):
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(mask_of(root))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_csv, "Training_Part3_GroundTruth.csv: missing, but its images are there"),
        (empty_csv, "Training_Part3_GroundTruth.csv: not a CSV table; fetch the file again"),
        (html_csv, "Part3_GroundTruth.csv: (not a CSV table|column image_id is missing); fetch"),
        (no_row, r"Training_Part3_GroundTruth.csv: no row for ISIC_9000005, whose image is there"),
        (no_value, "csv: ISIC_9000005: a diagnosis is neither 0 nor 1; fetch the file again"),
        (no_jpeg, r"ISIC_9000000.jpg: not an image; fetch it again"),
        (very_short_jpeg, r"ISIC_9000000.jpg: not an image; fetch it again"),
        (short_jpeg, r"ISIC_9000000.jpg: cannot be decoded; fetch it again"),
        (short_mask, r"ISIC_9000000_segmentation.png: cannot be decoded; fetch it again"),
        (
            other_size,
            r"ISIC_9000000_segmentation.png: mask is \(7, 9\), image is \(\d+, \d+\) \(he",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage_is_named_with_its_file(folders, damage, message):
    damage(folders)
    with pytest.raises(DataError, match=message):
        read_all(folders)


def test_a_download_that_stopped_is_named(zips):
    file = zips / "ISIC-2017_Validation_Data.zip"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"Validation_Data.zip: not a complete zip archive; fetch"):
        read_all(zips)


@pytest.mark.parametrize("kind", ["Data", "Part1_GroundTruth"])
def test_a_flipped_bit_in_an_archive_is_named(zips, kind):
    file = zips / f"ISIC-2017_Training_{kind}.zip"
    with zipfile.ZipFile(file) as archive:
        first = archive.infolist()[0]
    data = bytearray(file.read_bytes())
    data[first.header_offset + 30 + len(first.filename) + 40] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match=rf"Training_{kind}.zip: ISIC_9000000.* in it is damaged"):
        read_all(zips)


def test_an_empty_folder_says_what_to_place_there(tmp_path):
    with pytest.raises(DataError) as caught:
        read_all(tmp_path)
    assert "found none of ISIC-2017_{Training,Validation,Test_v2}_Data" in str(caught.value)
    assert "docs/data.md" in str(caught.value)


def test_unknown_lesions_and_labels_are_refused(unpacked):
    with pytest.raises(DataError, match=r"lesions: found \['lesion', 'hair'\]; ISIC 2017 has one"):
        read_all(unpacked, lesions=["lesion", "hair"])
    with pytest.raises(DataError, match=r"labels: 'mole' is not a diagnosis; allowed: \['melanoma"):
        read_all(unpacked, labels=["nevus", "mole"])
