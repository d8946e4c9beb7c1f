"""Two results side by side: what is the same is said to be, and what differs is tested."""

import csv
import shutil

import numpy as np
import pytest

from tests.conftest import ROOT, TINY
from workflow.__main__ import main
from workflow.base.errors import DataError
from workflow.base.files import read_json, write_json
from workflow.comparison.compare import compare
from workflow.comparison.formats import as_csv, as_page, as_text
from workflow.comparison.sides import ComparedSide
from workflow.config.load import load_config
from workflow.metrics.counts_file import (
    classification_rows,
    segmentation_rows,
    write_counts_file,
    write_failed_counts_file,
)
from workflow.metrics.intervals import difference
from workflow.metrics.metrics import ratios

IMAGES = [f"image{k:02d}" for k in range(24)]
LABELS = ["melanoma", "seborrheic_keratosis", "nevus"]


def write_side(root, *, better=0.0, images=IMAGES, seeds=(0, 1), methods=("unetpp",), **changed):
    """Results of made-up runs; `better` moves pixels from missed to found."""
    config = load_config(ROOT / "config.yaml", {**TINY, **changed})
    root.mkdir(parents=True)
    write_json(root / "config.json", config.model_dump(mode="json"))
    for method in methods:
        for seed in seeds:
            random = np.random.default_rng(seed)
            found = random.integers(300, 700, len(IMAGES))
            found = np.minimum(found + int(1000 * better), 1000)
            counts = np.stack([found, 0 * found + 90, 1000 - found, 0 * found + 5000], axis=-1)
            logits = random.normal(size=(len(IMAGES), 3)).astype(np.float32)
            targets = (random.random((len(IMAGES), 3)) < 0.5).astype(np.uint8)
            keep = [IMAGES.index(name) for name in images]
            folder = root / "evaluation" / "isic2017" / method / f"seed{seed}"
            folder.mkdir(parents=True)
            tables = [
                segmentation_rows(images, images, ["lesion"], counts[keep][:, None]),
                classification_rows(images, images, LABELS, targets[keep], logits[keep]),
            ]
            write_counts_file(folder / "counts.parquet", tables)
            record = root / "runs" / "isic2017" / method / f"seed{seed}"
            record.mkdir(parents=True)
            write_json(record / "run.json", {"commit": f"{better}", "fingerprint": "same"})
    return ComparedSide.read(root)


def test_the_same_results_are_identical_in_every_number(tmp_path):
    write_side(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    found = compare(*(ComparedSide.read(tmp_path / name) for name in "ab"))
    assert {number.metric for number in found.numbers} >= {"ji", "dsc", "acc", "sen", "spe", "auc"}
    assert {number.outcome for number in found.numbers} == {"identical"}
    assert found.alone == found.notes == []
    assert found.settings == {}
    assert "7 numbers, 7 identical, 0 differ" in as_text(found)


def test_what_differs_is_tested_by_the_products_own_tests(tmp_path):
    one = write_side(tmp_path / "a")
    other = write_side(tmp_path / "b", better=0.2)
    found = {number.metric: number for number in compare(one, other).numbers}
    (run,) = one.runs
    parts = [ratios(side.counts(run), one.config.evaluation)["dsc"] for side in (other, one)]
    expected = difference(*parts, design_of(one))
    assert found["dsc"].difference == expected
    assert found["dsc"].outcome == "differs"
    assert found["dsc"].second - found["dsc"].first == pytest.approx(expected.value)
    assert found["dsc"].p >= expected.p, "corrected for the other test"
    assert found["acc"].outcome == "identical"
    assert found["acc"].p is None or found["acc"].p == 1


def design_of(side):
    from workflow.results.read import design

    return design(side.config)


def test_a_small_difference_is_not_called_one(tmp_path):
    one = write_side(tmp_path / "a", seeds=(0, 1))
    noisy = write_side(tmp_path / "b", seeds=(2, 3))
    for part in ("evaluation", "runs"):
        folder = tmp_path / "b" / part / "isic2017" / "unetpp"
        (folder / "seed2").rename(folder / "seed0")
        (folder / "seed3").rename(folder / "seed1")
    noisy = ComparedSide.read(tmp_path / "b")
    found = {number.metric: number for number in compare(one, noisy).numbers}
    assert found["dsc"].outcome == "not significantly different"
    assert found["dsc"].difference.low < 0 < found["dsc"].difference.high


def test_only_common_images_seeds_and_runs_are_compared_and_the_others_named(tmp_path):
    one = write_side(tmp_path / "a", methods=("unetpp", "resformer_seq"), seeds=(0, 1, 2))
    other = write_side(tmp_path / "b", images=IMAGES[:20], preset="demo_long", seeds=(0, 2, 7))
    found = compare(one, other)
    assert {number.images for number in found.numbers} == {20}
    assert {number.seeds for number in found.numbers} == {(0, 2)}
    assert {number.outcome for number in found.numbers} == {"identical"}
    assert found.alone == [("everything", "ResFormer (sequential) on ISIC 2017")]
    assert "4 test images of one only are left out" in found.notes[0]
    assert found.names == ("everything", "demo_long")


def test_what_was_different_is_named_by_its_key(tmp_path):
    one = write_side(tmp_path / "a")
    other = write_side(tmp_path / "b", better=0.1, evaluation={"rule": "pooled"})
    found = compare(one, other)
    assert found.settings["evaluation.rule"] == ("per_image", "pooled")
    assert found.settings["run.json: commit"] == ("0.0", "0.1")
    assert "run.json: fingerprint" not in found.settings
    assert any("scored by other rules" in note for note in found.notes)


def test_a_seed_that_failed_is_no_seed_in_common(tmp_path):
    one = write_side(tmp_path / "a", seeds=(0,))
    other = write_side(tmp_path / "b", seeds=(0,))
    file = tmp_path / "b" / "evaluation" / "isic2017" / "unetpp" / "seed0" / "counts.parquet"
    write_failed_counts_file(file, "the loss is not finite")
    found = compare(one, other)
    assert found.numbers == []
    assert "no seed with results in both" in " ".join(found.notes)


def test_it_is_written_as_text_csv_and_page(tmp_path, capsys):
    one = write_side(tmp_path / "a", notice="<b>loud</b>")
    other = write_side(tmp_path / "b", better=0.2)
    words = ["compare", str(one.folder), str(other.folder), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    found = compare(one, other)
    assert said.startswith(as_text(found))
    assert (tmp_path / "out" / "comparison.txt").read_text() == as_text(found)
    with (tmp_path / "out" / "comparison.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert (tmp_path / "out" / "comparison.csv").read_text() == as_csv(found)
    assert len(rows) == len(found.numbers)
    assert {row["metric"]: row["outcome"] for row in rows}["dsc"] == "differs"
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page == as_page(found)
    assert "<b>loud</b>" not in page


def test_what_cannot_be_compared_is_refused(tmp_path, capsys):
    one = write_side(tmp_path / "a")
    other = write_side(tmp_path / "b", methods=("resformer_seq",))
    with pytest.raises(DataError, match="no data set and method was evaluated in both"):
        compare(one, other)
    with pytest.raises(DataError, match="no results"):
        ComparedSide.read(tmp_path / "c")
    assert main(["compare", str(one.folder)]) == 2
    assert "found 1 folders; give two" in capsys.readouterr().err
    assert read_json(one.folder / "config.json")["preset"] == "everything"
