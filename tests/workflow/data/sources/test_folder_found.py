"""Which files of a folder are meant, what their ids and groups are, and several masks of one image.

`test_layouts.py` brings in whole data sets of common kinds.
"""

import numpy as np
import pytest
from pydantic import ValidationError

from tests.workflow.data.sources.folder_files import VALUES, lay_out, opened, save
from workflow.base.errors import DataError

WET, DRY = VALUES


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)


def mask(value=WET, count=3):
    pixels = np.zeros((4, 6), np.uint8)
    pixels.flat[:count] = value
    return pixels


def ids(source):
    return sorted(row["id"] for group in source.groups for row in source.rows(group))


@pytest.fixture
def nested(tmp_path):
    """`left/a`, `right/deep/b` and `c`, masks in the same folders."""
    for place, name in (("left", "a"), ("right/deep", "b"), (".", "c")):
        save(tmp_path / "images" / place / f"{name}.png", image())
        save(tmp_path / "masks" / place / f"{name}.png", mask())
    return tmp_path


def test_folders_below_are_looked_into_on_demand(nested):
    assert ids(opened(nested, subfolders=True)) == ["a", "b", "c"]
    assert ids(opened(nested, subfolders=True, ids="path")) == ["c", "left-a", "right-deep-b"]
    source = opened(nested, subfolders=True, ids="path")
    files = [row["files"] for row in source.rows("left-a")]
    assert files == [(nested / "images/left/a.png", nested / "masks/left/a.png")]


def test_masks_may_lie_flat_where_ids_are_stems(nested):
    for place in ("left/a", "right/deep/b"):
        file = nested / "masks" / f"{place}.png"
        file.rename(nested / "masks" / file.name)
    assert ids(opened(nested, subfolders=True)) == ["a", "b", "c"]


def test_one_stem_in_two_folders_needs_paths(nested):
    for folder in ("images", "masks"):
        save(nested / folder / "right" / "a.png", image()[..., 0] * 0)
    with pytest.raises(DataError, match=r"right/a\.png: left/a\.png has the same stem.*ids to pa"):
        opened(nested, subfolders=True)
    found = ids(opened(nested, subfolders=True, ids="path"))
    assert found == ["c", "left-a", "right-a", "right-deep-b"]


@pytest.mark.parametrize(
    ("layout", "kept"),
    [
        ({"exclude": ["b*"]}, ["a", "c"]),
        ({"include": ["a.*", "c.*"]}, ["a", "c"]),
        ({"include": ["left/*"]}, ["a"]),
        ({"exclude": ["right/*"]}, ["a", "c"]),
        ({"include": ["*.png"], "exclude": ["*/deep/*", "c.png"]}, ["a"]),
    ],
)
def test_patterns_choose_images_and_masks(nested, layout, kept):
    assert ids(opened(nested, subfolders=True, **layout)) == kept


@pytest.mark.parametrize("layout", [{"include": ["*.png", "*.PNG"]}, {"exclude": ["left/*.jpg"]}])
def test_a_pattern_that_fits_nothing_is_misspelt(nested, layout):
    ((key, patterns),) = layout.items()
    with pytest.raises(DataError, match=f"folder.{key}: found .*, which fits no file in") as caught:
        opened(nested, subfolders=True, **layout)
    assert repr(patterns[-1]) in str(caught.value)


def test_ids_of_the_table_may_be_in_another_column(tmp_path):
    lay_out(tmp_path, labels="id,image_id,wet\n1,a,1\n2,b,0\n3,c,1\n")
    source = opened(tmp_path, labels="labels.csv", id_column="image_id")
    assert [source.rows(x)[0]["label_wet"] for x in "abc"] == [1, 0, 1]
    with pytest.raises(DataError, match="column 'name' is missing; found id, image_id, wet"):
        opened(tmp_path, labels="labels.csv", id_column="name")


def test_groups_are_found_in_ids(tmp_path):
    names = ("P1_left", "P1_right", "P2_left")
    lay_out(tmp_path, names=names)
    source = opened(tmp_path, group_pattern="^(P[0-9]+)_")
    assert source.groups == ["P1", "P2"]
    assert [row["id"] for row in source.rows("P1")] == ["P1_left", "P1_right"]
    assert {row["group"] for row in source.rows("P1")} == {"P1"}


@pytest.mark.parametrize("pattern", ["^(Q[0-9]+)_", "^P1_(left)", "^(P3?)$", "^P1_()"])
def test_a_pattern_that_finds_no_group_somewhere_is_refused(tmp_path, pattern):
    lay_out(tmp_path, names=("P1_left", "P1_right", "P2_left"))
    with pytest.raises(DataError, match=r"folder\.group_pattern: .* finds no group in 'P"):
        opened(tmp_path, group_pattern=pattern)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"group_pattern": "(P"}, "not a regular expression"),
        ({"group_pattern": "P"}, "expected one bracket"),
        ({"group_pattern": "(P)(x)"}, "expected one bracket, .* it has 2"),
        ({"group_pattern": "(P)", "group": "patient"}, "both name groups"),
        ({"mask_suffix": ["_m", ""]}, "none may be empty"),
        ({"ids": "name"}, "Input should be 'stem' or 'path'"),
    ],
)
def test_keys_that_do_not_fit_are_refused(tmp_path, layout, message):
    lay_out(tmp_path)
    with pytest.raises(ValidationError, match=message):
        opened(tmp_path, **layout)


# ---- several masks


def drawn(root, **masks):
    """An image with masks beside it, by what follows in their names."""
    save(root / "images" / "a (1).png", image())
    for name, pixels in masks.items():
        save(root / "images" / f"a (1)_{name}.png", pixels)
    return opened(root, masks="images", mask_suffix=["_mask", "_mask_1", "_mask_2"])


def test_masks_of_one_image_are_laid_over_each_other(tmp_path):
    second = np.zeros((4, 6), np.uint8)
    second[3] = DRY
    second[0, 0] = WET
    source = drawn(tmp_path, mask=mask(), mask_1=second, mask_2=mask() * 0)
    (row,) = source.rows("a (1)")
    assert (row["pixels_wet"], row["pixels_dry"]) == (3, 6)
    assert len(row["files"]) == 4
    (read,) = source.read("a (1)", 32)
    assert np.bincount(read.mask.ravel()).tolist() == [15, 3, 6]


def test_a_pixel_of_two_lesions_is_refused(tmp_path):
    source = drawn(tmp_path, mask=mask(WET), mask_1=mask(DRY, 2))
    with pytest.raises(DataError, match=r"a \(1\)_mask_1\.png: found 2 pixels of a lesion"):
        source.rows("a (1)")


def test_masks_of_two_sizes_are_refused(tmp_path):
    source = drawn(tmp_path, mask=mask(), mask_1=np.zeros((6, 4), np.uint8))
    with pytest.raises(DataError, match=r"mask_1\.png: found 4 × 6 pixels, but .* has 6 × 4; a ma"):
        source.rows("a (1)")


def test_a_second_mask_has_to_be_meant(tmp_path):
    lay_out(tmp_path)
    save(tmp_path / "masks" / "a.tif", mask())
    with pytest.raises(DataError, match=r"a\.tif: a\.png is a mask of the same image; remove one"):
        opened(tmp_path)


def test_ids_end_before_a_suffix_of_images(tmp_path):
    lay_out(tmp_path, names=("1_img", "2_img", "3_img"))
    for file in (tmp_path / "masks").iterdir():
        file.rename(file.with_stem(file.stem.replace("img", "manual")))
    found = ids(opened(tmp_path, image_suffix="_img", mask_suffix="_manual"))
    assert found == ["1", "2", "3"]
    with pytest.raises(DataError, match=r"found no images .*stems end in '_foto'"):
        opened(tmp_path, image_suffix="_foto", mask_suffix="_manual")
