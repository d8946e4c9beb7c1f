"""Public layouts brought in by configuration alone, guessed by `init`, and looked at by `check`."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.workflow.data.inspection.layouts import COUNT, DATA, LAYOUTS
from workflow.__main__ import main
from workflow.config import paths
from workflow.config.load import load_config
from workflow.data.arrays import load_arrays
from workflow.data.inspection.look import look_at

TABLE = {
    "caption": "Mine.",
    "mark": "color",
    "columns": [{"title": "Mine", "dataset": "mine", "metrics": ["ji", "dsc"]}],
    "rows": [{"title": "UNet++", "method": "unetpp"}],
}


@pytest.fixture
def here(tmp_path, monkeypatch, repo):
    """An empty folder that is a checkout as far as configurations go."""
    for name in ("config.yaml", "workflow", "resformer", "baselines"):
        (tmp_path / name).symlink_to(repo / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(entry, split="0.6/0.2/0.2"):
    dataset = {"title": "Mine", "source": "folder", "image_size": 32, "split": split, **entry}
    return {
        "preset": "mine",
        "presets": {"mine": {}},
        "select": {"datasets": ["mine"]},
        "datasets": {"mine": dataset},
        "tables": {"mine": TABLE},
    }


def looked_at(layer, place, name="mine"):
    place.mkdir()
    return look_at(load_config(overrides=layer), name, place, lambda _: None)


IMAGES = {"kvasir": COUNT, "cvc": COUNT, "drive": COUNT, "busi": 18, "ham10000": 24, "nifti": 32}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_public_layout_is_brought_in_by_configuration_alone(here, layout):
    entry = LAYOUTS[layout]()
    found = looked_at(configured(entry), here / "place")
    assert found.failures == []
    table = found.inventory
    assert len(table) == IMAGES[layout]
    assert table["has_mask"].all()
    lesion = entry["lesions"][0]
    with_lesion = {"cvc": 9, "busi": 12, "nifti": 16}.get(layout, len(table))
    assert (table[f"pixels_{lesion}"] > 0).sum() == with_lesion
    assert table.groupby("group")["split"].nunique().max() == 1
    # A disc of radius 9, or two of them, or its half.
    areas = table.loc[table[f"pixels_{lesion}"] > 0, f"pixels_{lesion}"]
    assert areas.between(240, 530).all()
    for split in ("train", "val", "test"):
        arrays = load_arrays(found.config, "mine", split)
        assert len(arrays.images) == (table["split"] == split).sum()
        assert set(np.unique(arrays.masks)) <= {*range(len(entry["lesions"]) + 1)}


def test_labels_in_words_and_groups_of_ham10000(here):
    entry = LAYOUTS["ham10000"]()
    table = looked_at(configured(entry), here / "place").inventory
    metadata = pd.read_csv(DATA / "metadata.csv").set_index("image_id").loc[table["id"]]
    assert table["group"].tolist() == metadata["lesion_id"].tolist()
    for label in ("mel", "bkl"):
        assert table[f"label_{label}"].tolist() == (metadata["dx"] == label).astype(int).tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_guessed_and_what_is_guessed_can_be_trained_on(here, layout, capsys):
    LAYOUTS[layout]()
    assert main(["init", "DATA", "--name", "mine"]) == 0
    said = capsys.readouterr().out
    text = Path("mine.yaml").read_text(encoding="utf-8")
    assert text in said
    guessed = yaml.safe_load(text)
    expected = {**LAYOUTS[layout]()["folder"]}
    folder = guessed["datasets"]["mine"]["folder"]
    if layout == "nifti":  # any pattern that groups by patient will do
        pattern = folder.pop("group_pattern")
        groups = {re.search(pattern, f"P{k:02d}_1")[1] for k in range(4)}
        assert len(groups) == 4
        del expected["group_pattern"]
    assert folder == expected
    # Every guess has a comment.
    inside = text[text.index("    folder:\n") : text.index("tables:")].splitlines()[1:]
    assert [line for line in inside if "#" not in line] == ["    duplicates: null"]
    assert main(["check", "mine.yaml"]) == 0
    assert "Every gate is passed" in capsys.readouterr().out
    assert main(["init", "DATA", "--name", "mine"]) == 2
    assert "--to: found mine.yaml, which is there already" in capsys.readouterr().err


# ---- check


def test_check_says_what_is_there_and_leaves_a_page_and_nothing_else(here, capsys):
    Path("mine.yaml").write_text(yaml.safe_dump(configured(LAYOUTS["cvc"]())))
    assert main(["check", "mine.yaml"]) == 0
    said = capsys.readouterr().out
    for fact in (
        "images ", f"{COUNT}, {COUNT} of them with a mask", f"64×48 ({COUNT}); trained at 32×32",
        "each image by itself", "0.6/0.2/0.2: train 7, val 3, test 2", "9 of 12 images",
        "in 9 of 12 masks", "of 256 in an image of 32", "groups in one split", "only 3 groups have",
    ):  # fmt: skip
        assert fact in said, fact
    page = Path("results/mine/check/mine.html")
    written = [path for path in Path("results").rglob("*") if path.is_file()]
    assert written == [page]
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == text.count("data:image/png;base64,") == COUNT
    assert "<script" not in text
    assert "http" not in text
    assert not {path.name for path in here.iterdir()} & {"place", "store"}


def test_what_a_gate_refuses_is_shown_with_the_page(here, capsys):
    entry = LAYOUTS["cvc"]()
    copy = DATA / "Original" / "1.tif"
    for name in range(2, 8):
        (DATA / "Original" / f"{name}.tif").write_bytes(copy.read_bytes())
    Path("mine.yaml").write_text(yaml.safe_dump(configured(entry)))
    assert main(["check", "mine.yaml"]) == 1
    said = capsys.readouterr().out
    assert "refused:" in said
    assert "are the same image" in said
    assert "Every gate is passed" not in said
    assert "Refused: nothing can be trained on this" in Path(
        "results/mine/check/mine.html"
    ).read_text(encoding="utf-8")


def test_what_cannot_be_read_ends_the_check_with_its_message(here, capsys):
    entry = LAYOUTS["cvc"]()
    (DATA / "Ground Truth" / "3.tif").unlink()
    Path("mine.yaml").write_text(yaml.safe_dump(configured(entry)))
    assert main(["check", "mine.yaml"]) == 1
    assert "error: DATA/Original/3.tif: has no mask" in capsys.readouterr().err
    assert not Path("results").exists()


def test_names_are_escaped_on_the_page(here):
    entry = LAYOUTS["cvc"]()
    for folder in ("Original", "Ground Truth"):
        (DATA / folder / "1.tif").rename(DATA / folder / "<b>&1.tif")
    Path("mine.yaml").write_text(yaml.safe_dump(configured(entry)))
    assert main(["check", "mine.yaml"]) == 0
    page = Path("results/mine/check/mine.html").read_text(encoding="utf-8")
    assert "<b>&1" not in page
    assert "&lt;b&gt;&amp;1" in page


@pytest.mark.parametrize(
    ("file", "text", "code", "says"),
    [
        ("none.yaml", None, 2, "FILE: found none.yaml, and there is no such file"),
        ("a.yaml", "a: [", 1, "a.yaml: not valid YAML"),
        ("a.yaml", "- 1", 1, "a.yaml: expected a mapping of keys, found list"),
        ("a.yaml", "preset: smoke", 1, "datasets: found none of source `folder`"),
        ("a.yaml", "preset: nowhere", 1, "preset: found 'nowhere'"),
    ],
)
def test_a_file_that_cannot_be_checked_is_named(here, capsys, file, text, code, says):
    if text is not None:
        Path(file).write_text(text)
    assert main(["check", file]) == code
    assert says in capsys.readouterr().err


def test_warnings_name_what_to_think_of(here):
    entry = LAYOUTS["cvc"]()
    for folder in ("Original", "Ground Truth"):
        for k in range(1, COUNT + 1):
            old = DATA / folder / f"{k}.tif"
            old.rename(DATA / folder / f"P{k % 6}_{'LR'[k // 7]}.tif")
    layer = configured(entry)
    layer["datasets"]["mine"]["image_size"] = 64
    warnings = "\n".join(looked_at(layer, here / "place").warnings)
    assert "12 of 12 images are smaller than image_size 64" in warnings
    assert "each image is a group of its own, but ids look as if 12 images were of 6" in warnings
    layer["datasets"]["mine"]["folder"]["group_pattern"] = "^(P[0-9])_"
    warnings = "\n".join(looked_at(layer, here / "again").warnings)
    assert "is a group of its own" not in warnings


def test_images_that_a_split_leaves_out_are_told_by_check_and_gates(here):
    entry = LAYOUTS["cvc"]()
    Path("split.csv").write_text(
        "id,split\n2,train\n3,train\n4,val\n5,val\n6,test\n7,test\n9,test\n"
    )
    found = looked_at(configured(entry, "split.csv"), here / "place")
    told = "split 'split.csv' leaves out 5 of 12 images: 1, 10, 11, 12, 8; they are neither tr"
    assert any(told in line for line in found.warnings)
    assert any(told in line for line in found.gates["ignored"])


# ---- init


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "found no images (0 files)"),
        (["a.txt"], "found no images (1 files)"),
        (["a.png", "b.png"], "but neither masks nor a CSV"),
        (["s/a.dcm", "s/b.dcm"], "found DICOM files"),
        (["t/images/a.png", "t/masks/a.png", "v/images/b.png", "v/masks/b.png"], "several folders"),
    ],
)
def test_a_folder_that_tells_nothing_is_refused(here, capsys, files, says):
    Path("X").mkdir()
    for file in files:
        path = Path("X", file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert main(["init", "X"]) == 1
    assert says in capsys.readouterr().err
    assert not Path("x.yaml").exists()


def test_colours_and_several_values_are_guessed(here, capsys):
    from PIL import Image

    for k in range(4):
        for folder in ("img", "labels", "colours"):
            Path("X", folder).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(f"X/img/{k}.png")
        mask = np.zeros((8, 8), np.uint8)
        mask[:2], mask[4:6] = 3, 7
        Image.fromarray(mask).save(f"X/labels/{k}.png")
    assert main(["init", "X", "--to", "values.yaml"]) == 0
    entry = yaml.safe_load(Path("values.yaml").read_text(encoding="utf-8"))["datasets"]["x"]
    assert entry["folder"]["mask_values"] == [3, 7]
    assert entry["lesions"] == ["lesion_1", "lesion_2"]
    assert entry["folder"]["color"] is False
    for k in range(4):
        shown = np.zeros((8, 8, 3), np.uint8)
        shown[:2], shown[4:6] = (255, 0, 0), (0, 0, 255)
        Image.fromarray(shown).save(f"X/labels/{k}.png")
    assert main(["init", "X", "--to", "colours.yaml"]) == 0
    entry = yaml.safe_load(Path("colours.yaml").read_text(encoding="utf-8"))["datasets"]["x"]
    assert entry["folder"]["mask_colors"] == [[0, 0, 255], [255, 0, 0]]
    capsys.readouterr()


def test_gates_are_written_as_a_run_writes_them(here):
    found = looked_at(configured(LAYOUTS["cvc"]()), here / "place")
    assert json.loads(paths.gates(found.config, "mine").read_text(encoding="utf-8")) == found.gates
