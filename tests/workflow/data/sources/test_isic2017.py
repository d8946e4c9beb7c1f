"""ISIC 2017's layout read back, and every way in which it can be broken."""

import io
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from workflow.base.errors import DataError
from workflow.config.datasets import Dataset
from workflow.data.phantom import write_isic2017
from workflow.data.sources.isic2017 import Isic2017
from workflow.data.sources.source import open_source

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


def read_all(root, record=None, **changes):
    """Inventory and images of everything, as the data steps would."""
    source = Isic2017([root, root / "nothing"], definition(**changes), record)
    rows = [row for group in source.groups for row in source.rows(group)]
    images = {group: next(source.read(group, 32)) for group in source.groups}
    return pd.DataFrame(rows), images


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
        assert row.files[0].read_bytes() == data
        assert [file.name for file in row.files[1:]] == [f"{row.id}_segmentation.png"]


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


def test_each_file_may_lie_in_either_root(folders, tmp_path):
    expected = read_all(folders)[0].drop(columns="files")
    other = tmp_path / "unpacked"
    # An unpacked archive is a folder in a folder of the same name.
    (other / "ISIC-2017_Training_Data").mkdir(parents=True)
    (folders / "ISIC-2017_Training_Data").rename(
        other / "ISIC-2017_Training_Data" / "ISIC-2017_Training_Data"
    )
    source = Isic2017([folders, other], definition(), None)
    rows = [row for group in source.groups for row in source.rows(group)]
    pd.testing.assert_frame_equal(pd.DataFrame(rows).drop(columns="files"), expected)


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
    assert len(source.groups) == 12 + 6 + 6
    assert [table.name for table in source.tables] == [
        f"ISIC-2017_{title}_Part3_GroundTruth.csv" for title in TITLES.values()
    ]


def record_of(tmp_path, **changes):
    """A record of the counts that `archives` holds, with some of train's changed."""
    tables = {
        part: pd.read_csv(tmp_path / "isic" / f"ISIC-2017_{title}_Part3_GroundTruth.csv")
        for part, title in TITLES.items()
    }
    counts = {}
    for part, table in tables.items():
        found = table[["melanoma", "seborrheic_keratosis"]].sum().astype(int).to_dict()
        counts[part] = {
            "images": len(table), "masks": len(table), **found,
            "nevus": len(table) - sum(found.values()),
        }  # fmt: skip
    counts["train"] |= changes
    file = tmp_path / "record.yaml"
    file.write_text(yaml.safe_dump({"files": {}, "counts": counts}))
    return str(file)


def test_counts_that_are_on_record_are_held_to(folders, tmp_path):
    assert len(read_all(folders, record_of(tmp_path))[0]) == sum(COUNTS.values())
    found = len(names(folders, "train"))
    with pytest.raises(DataError) as caught:
        read_all(folders, record_of(tmp_path, images=2000, masks=1999))
    message = str(caught.value)
    assert (
        f"Training images: found {found}, on record 2000; Training masks: found {found}" in message
    )
    assert "data.isic2017_record" in message


@pytest.mark.parametrize("text", ["", "counts: [", "files: {}"])
def test_a_record_that_is_none_is_named(folders, tmp_path, text):
    file = tmp_path / "record.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=r"record.yaml: cannot be read as a record with `counts`"):
        read_all(folders, str(file))


def test_the_record_is_that_of_the_data_sheet(repo):
    record = yaml.safe_load((repo / "workflow/data/records/isic2017.yaml").read_text())
    counts = {part: list(numbers.values()) for part, numbers in record["counts"].items()}
    assert counts == {
        "train": [2000, 2000, 374, 254, 1372],
        "val": [150, 150, 30, 42, 78],
        "test": [600, 600, 117, 90, 393],
    }
    for numbers in record["counts"].values():
        assert list(numbers) == ["images", "masks", "melanoma", "seborrheic_keratosis", "nevus"]
        assert sum(list(numbers.values())[2:]) == numbers["images"]
    assert len(record["files"]) == 9
    for title in TITLES.values():
        for kind in ("Data.zip", "Part1_GroundTruth.zip", "Part3_GroundTruth.csv"):
            assert len(record["files"][f"ISIC-2017_{title}_{kind}"]) == 32


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


def two_rows(root):
    csv_of(root).write_text(csv_of(root).read_text() + "ISIC_9000000,0.0,0.0\n")


def two_diagnoses(root):
    lines = csv_of(root).read_text().splitlines()
    csv_of(root).write_text("\n".join([*lines[:-1], lines[-1].split(",")[0] + ",1.0,1.0"]) + "\n")


def in_two_parts(root):
    shutil.copy(image_of(root), root / "ISIC-2017_Test_v2_Data")


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
        (two_rows, "csv: ISIC_9000000 has two rows; fetch the file again"),
        (two_diagnoses, "csv: ISIC_9000005 has two diagnoses; fetch the file again"),
        (in_two_parts, "ISIC_9000000.jpg: ISIC_9000000 is also in part train"),
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
