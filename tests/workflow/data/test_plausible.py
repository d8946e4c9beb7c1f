"""Signs that something went wrong before the arrays: few greys, empty masks, unused files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workflow.data.bad_cases.case import Case, Group, copied, each_of, holds, moved
from tests.workflow.data.bad_cases.folder import NAMES, SETTINGS, write_folder
from tests.workflow.data.bad_cases.isic2017 import DATA, MASKS, TABLE, archives, write_folders
from tests.workflow.data.bad_cases.isic2017 import SETTINGS as ISIC
from tests.workflow.data.bad_inputs import run
from workflow.base.errors import DataError
from workflow.base.files import read_json
from workflow.data.plausible import RawFacts, cause_of_empty, told_levels, told_lost
from workflow.data.reading.leftovers import files_below

RANDOM = np.random.default_rng(1)


def image(levels, low=0, channels=()):
    return (RANDOM.integers(0, levels, (32, 32, *channels)) + low).astype(np.uint8)


@pytest.mark.parametrize("levels", [1, 2, 4, 14, 17, 33, 39])
@pytest.mark.parametrize("low", [0, 100, 200])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_handful_of_greys_is_refused(levels, low, channels):
    images = [image(levels, low, channels) for _ in range(3)] + [image(256, 0, channels)]
    detail, failures = told_levels("mine", ["a", "b", "c", "d"], images)
    assert len(failures) == 1
    assert failures[0].startswith("3 of 4 images have a handful of grey levels")
    assert "datasets.mine.intensity" in failures[0]
    assert "WARNING: 3 images have fewer than 40: a (" in detail


def test_some_flat_images_are_told_and_pass():
    images = [image(2), *(image(200) for _ in range(9))]
    detail, failures = told_levels("mine", [*"abcdefghij"], images)
    assert failures == []
    assert "WARNING: 1 images have fewer than 40: a (2)" in detail


def test_drawings_of_few_greys_far_apart_are_told_and_pass():
    images = [image(2) * 255 for _ in range(4)]
    detail, failures = told_levels("mine", [*"abcd"], images)
    assert failures == []
    assert "WARNING: 4 images" in detail


def test_one_bright_pixel_does_not_hide_a_narrow_range():
    images = [image(9) for _ in range(4)]
    for one in images:
        one[0, 0] = 255
    assert told_levels("mine", [*"abcd"], images)[1]


def test_dark_images_with_many_greys_pass():
    images = [image(40) for _ in range(4)]
    assert told_levels("mine", [*"abcd"], images) == ("40 of 256 in the middle image", [])


FACTS = RawFacts(True, (), {"wet": ["a"], "dry": []})


def test_lost_in_resizing_and_empty_in_the_file_are_told_apart():
    detail, record = told_lost(FACTS, {"wet": ["a", "b", "c"], "dry": ["d"]}, {"wet": 9, "dry": 4})
    assert detail == (
        "lost in resizing: wet 1 of 9, dry 0 of 4; empty in the file, WARNING: wet 2 of 9, dry 1 of"
        " 4, such as b, c, d"
    )
    assert record == {
        "lost_in_resizing": {"wet": {"images": 1, "of": 9}, "dry": {"images": 0, "of": 4}},
        "empty_in_file": {"wet": {"images": 2, "of": 9}, "dry": {"images": 1, "of": 4}},
    }


def test_a_cause_that_is_not_known_is_not_named():
    detail, record = told_lost(RawFacts(), {"wet": ["a"]}, {"wet": 3})
    assert detail == "lost in resizing, or empty in the file: wet 1 of 3"
    assert record == {"lost_in_resizing": {"wet": {"images": 1, "of": 3}}}
    assert cause_of_empty(RawFacts(), ["a"]) == "look at the raw masks, or raise image_size"
    assert told_lost(FACTS, {}, {}) == ("no label names a lesion", {"lost_in_resizing": {}})


def test_empty_masks_are_told_by_their_cause():
    assert cause_of_empty(FACTS, ["a", "b", "c"]) == (
        "2 were empty in the file (look at the raw masks), 1 became so in resizing (raise "
        "image_size)"
    )


def passed(tmp_path, build, settings, damage, dataset="mine"):
    """What the gates found of a folder that is damaged in a way that is allowed."""
    outcome = run(Group("x", dataset, build, settings, []), Case("x", "", damage), tmp_path)
    assert (outcome.step, outcome.message) == ("", "")
    return read_json(tmp_path / f"results/paper/data/{dataset}/gates.json")


def test_what_a_mask_lost_is_known_from_the_raw_files(tmp_path):
    """`a` is empty in its file; a single pixel of `e` is lost in resizing to a third."""

    def damage():
        large = np.zeros((96, 96), np.uint8)
        for name in NAMES:
            pixels = RANDOM.integers(0, 256, (96, 96, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(f"DATA/images/{name}.png")
            mask = large.copy()
            if name in "ce":
                mask[40:60, 40:60], mask[:9, :9] = 200, 9
            if name == "e":
                mask[mask == 200] = 0
                mask[90, 90] = 200
            Image.fromarray(mask).save(f"DATA/masks/{name}.png")

    found = passed(tmp_path, write_folder, SETTINGS, damage)
    assert found["lost_in_resizing"] == {"wet": {"images": 1, "of": 3}}
    assert found["empty_in_file"] == {"wet": {"images": 1, "of": 3}}
    (detail,) = [g["detail"] for g in found["gates"] if g["name"] == "masks and labels agree"]
    assert "empty in the file, WARNING: wet 1 of 3, such as a" in detail


def test_files_that_are_no_pictures_are_named_as_ignored(tmp_path):
    found = passed(
        tmp_path, write_folder, SETTINGS,
        each_of(
            holds("DATA/images/README.txt", "hello"), holds("DATA/images/Thumbs.db", "x"),
            holds("DATA/masks/notes/log.csv", "a,b\n"), holds("DATA/masks/.hidden.png", "x"),
            lambda: holds("DATA/labels.csv", Path("DATA/labels.csv").read_text() + ",,\n , ,\n")(),
        ),
    )  # fmt: skip
    assert found["ignored"] == [
        "DATA/images: ignored Thumbs.db: hidden, or a system's own",
        "DATA/images: ignored README.txt: no image by its name or beginning",
        "DATA/masks: ignored .hidden.png: hidden, or a system's own",
        "DATA/masks: ignored notes/log.csv: no image by its name or beginning",
        "DATA/labels.csv: ignored line 8, 9: blank",
    ]


def test_pictures_beside_the_masks_are_named_as_ignored(tmp_path):
    settings = {**SETTINGS, "datasets": {"mine": {**SETTINGS["datasets"]["mine"]}}}
    layout = {**settings["datasets"]["mine"]["folder"], "mask_suffix": "_mask"}
    settings["datasets"]["mine"]["folder"] = layout
    found = passed(
        tmp_path, write_folder, settings,
        each_of(
            *(moved(f"DATA/masks/{n}.png", f"DATA/masks/{n}_mask.png") for n in NAMES),
            *(copied(f"DATA/images/{n}.png", f"DATA/masks/{n}_superpixels.png") for n in "ab"),
        ),
    )  # fmt: skip
    assert found["ignored"] == [
        "DATA/masks: ignored a_superpixels.png, b_superpixels.png: their stems do not end in "
        "'_mask'"
    ]


def test_endings_in_capitals_are_read(tmp_path):
    found = passed(
        tmp_path, write_folder, SETTINGS,
        each_of(
            moved("DATA/images/a.png", "DATA/images/a.PNG"),
            moved("DATA/masks/b.png", "DATA/masks/b.Png"),
        ),
    )  # fmt: skip
    assert [part["masks"] for part in found["prevalence"].values()] == [4, 1, 1]
    assert found["ignored"] == []


def test_endings_in_capitals_are_read_in_isic_2017(tmp_path):
    found = passed(
        tmp_path, write_folders, ISIC,
        each_of(
            moved(f"{DATA}/ISIC_9000000.jpg", f"{DATA}/ISIC_9000000.JPG"),
            holds(TABLE, f"{archives()[Path(TABLE).name].decode()}ISIC_9000090,0.0,0.0\n"),
            moved(f"{MASKS}/ISIC_9000001_segmentation.png",
                  f"{MASKS}/ISIC_9000001_Segmentation.PNG"),
        ),
        "isic2017",
    )  # fmt: skip
    assert [part["masks"] for part in found["prevalence"].values()] == [6, 3, 3]
    assert found["ignored"].pop(0) == (
        f"{TABLE}: ignored 1 rows without an image, such as ISIC_9000090"
    )
    assert found["ignored"][0].startswith(f"{DATA}: ignored ISIC_9000000_superpixels.png")
    assert found["ignored"][0].endswith("superpixels are no masks")


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    def walk(folder, onerror, followlinks):
        onerror(PermissionError(13, "Permission denied", f"{folder}/locked"))
        yield from ()

    monkeypatch.setattr("os.walk", walk)
    with pytest.raises(DataError, match="x/locked: may not be listed; make the folder readable"):
        list(files_below(Path("x")))


def test_decomposed_letters_and_spaces_are_the_same_name(tmp_path):
    """As a Mac writes file names, and a spreadsheet its cells."""

    def damage():
        rename = {"a": "le\u0301sion", "b": "la\u0308sion"}
        for old, new in rename.items():
            moved(f"DATA/images/{old}.png", f"DATA/images/{new}.png")()
        moved("DATA/masks/a.png", "DATA/masks/l\u00e9sion.png")()
        moved("DATA/masks/b.png", "DATA/masks/la\u0308sion.png")()
        text = Path("DATA/labels.csv").read_text()
        text = text.replace("a,1", "l\u00e9sion ,1").replace("b,0", " la\u0308sion,0")
        holds("DATA/labels.csv", text)()

    found = passed(tmp_path, write_folder, SETTINGS, damage)
    assert [part["images"] for part in found["prevalence"].values()] == [4, 1, 1]
