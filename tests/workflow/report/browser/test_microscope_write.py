"""The data of the image browser: all of it, as saved, and only what has changed is written."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.workflow.report.browser.microscope_case import (
    FAILED,
    IDS,
    UNSCORED,
    browse,
    case_config,
    saved_masks,
    write_case,
)
from tests.workflow.report.browser.microscope_files import all_masks, said, unpacked
from tests.workflow.report.reporting_tree import paper_config
from workflow.base.errors import DataError
from workflow.config import paths
from workflow.config.cells import Run, runs, shown_seeds
from workflow.metrics.counts_file import classification_rows, write_counts_file
from workflow.report.browser import write
from workflow.report.browser.scores import read_scores

N = 10
KEPT = {
    ("isic2017", "resformer_par"),
    ("retouch_cirrus", "resformer_par"),
    ("retouch_cirrus", "unetpp"),
}


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = case_config()
    write_case(config)
    return config


def again(config):
    """Write it all once more; names of the files that are new, by their times."""
    folder = paths.report(config)
    before = times(folder)
    shutil.rmtree(folder)  # as Snakemake does before it makes an output anew
    browse(config)
    return {name for name, time in times(folder).items() if before.get(name) != time}


def times(folder):
    return {f.relative_to(folder).as_posix(): f.stat().st_mtime_ns for f in folder.rglob("*.*")}


def test_masks_come_back_as_they_were_saved(config):
    folder, _ = browse(config)
    for dataset in config.datasets:
        wanted = np.load(paths.prepared(config, dataset) / "test" / "masks.npy")
        assert np.array_equal(all_masks(folder / dataset / "reference"), wanted)
    found = {file.parent.parent for file in folder.rglob("seed*/*.js")}
    assert found == {folder.joinpath(*run) for run in KEPT}, "no control, no ViT, no failed run"
    for run in KEPT:
        blocks = folder.joinpath(*run, "seed0")
        assert np.array_equal(all_masks(blocks), saved_masks(config, *run, 0))
        assert said(blocks / "0.js")[1][:4] == [*run, 0, 0]
        assert not (blocks.parent / "seed1").exists(), "by default of the first seed"


def test_all_seeds_can_be_kept(config):
    every = case_config(report={"masks": "all"})
    folder, _ = browse(every)
    kept = KEPT | {FAILED[:2]}
    assert {file.parent for file in folder.rglob("seed1/*.js")} == {
        folder.joinpath(*run, "seed1") for run in kept
    }
    masks = all_masks(folder / "isic2017" / "unetpp" / "seed1")
    assert np.array_equal(masks, saved_masks(config, "isic2017", "unetpp", 1))


def test_pictures_are_there_and_small_ones(config):
    folder, _ = browse(config)
    for dataset in config.datasets:
        for name in ("pictures", "thumbs"):
            files = sorted(file.name for file in (folder / dataset / name).iterdir())
            assert files == [f"{k:05d}.webp" for k in range(N)]
    pixels = np.load(paths.prepared(config, "isic2017") / "test" / "images.npy")[3]
    with Image.open(folder / "isic2017" / "pictures" / "00003.webp") as picture:
        assert picture.size == (24, 24)
        assert np.abs(np.asarray(picture, float) - pixels).mean() < 40


def test_what_is_said_of_images_and_methods(config):
    folder, _ = browse(config)
    assert said(folder / "index.js") == (
        "index",
        [{"datasets": [{"key": k, "title": d.title} for k, d in config.datasets.items()]}],
    )
    name, (key, cases) = said(folder / "isic2017" / "cases.js")
    assert (name, key, cases["title"]) == ("cases", "isic2017", config.datasets["isic2017"].title)
    assert (cases["block"], cases["height"], cases["width"]) == (32, 24, 24)
    assert cases["notice"].startswith("demo: ")
    assert [image["id"] for image in cases["images"][: len(IDS)]] == IDS
    reference = np.load(paths.prepared(config, "isic2017") / "test" / "masks.npy")
    assert cases["images"][2]["area"] == [pytest.approx((reference[2] == 1).mean(), abs=1e-6)]
    assert cases["images"][UNSCORED]["area"] == [0.0]
    assert [image["truth"] for image in cases["images"][1:4]] == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    methods = {method.pop("key"): method for method in cases["methods"]}
    assert list(methods) == [run.method for run in runs(config) if run.dataset == "isic2017"]
    facts = {key: (one["seeds"], one["kept"], one["failed"]) for key, one in methods.items()}
    assert facts == {
        "resformer_par": ([0, 1], [0], []),
        "unetpp": ([0, 1], [], [0]),
        "vit": ([0, 1], [], []),
        "oracle": ([0, 1], [], []),
    }
    assert (methods["vit"]["family"], methods["vit"]["tasks"]) == (
        "classification only",
        ["classification"],
    )


def test_bytes_say_what_was_scored(config):
    folder, _ = browse(config)
    _, (_, cases) = said(folder / "retouch_cirrus" / "cases.js")
    reference = np.load(paths.prepared(config, "retouch_cirrus") / "test" / "masks.npy")
    for seed in (0, 1):  # of both, whether their masks are kept or not
        masks = saved_masks(config, "retouch_cirrus", "unetpp", seed)
        for name in ("dice", "fp", "fn"):
            found = unpacked(cases[name]["unetpp"][str(seed)], N, 3)
            for image, value in np.ndindex(N, 3):
                truth, drawn = reference[image] == value + 1, masks[image] == value + 1
                tp, fp, fn = (truth & drawn).sum(), (drawn & ~truth).sum(), (truth & ~drawn).sum()
                dice = round(400 * tp / (2 * tp + fp + fn)) if tp + fp + fn else 255
                shares = {
                    k: min(254, int(np.ceil(2000 * v / 576)))
                    for k, v in {"fp": fp, "fn": fn}.items()
                }
                wanted = {"dice": dice, **shares}[name]
                wanted = {"dice": 255}.get(name, 0) if image == UNSCORED else wanted
                assert found[image, value] == wanted, (name, image, value)
    assert "vit" not in cases["dice"]
    labels = len(config.datasets["retouch_cirrus"].labels)
    probabilities = unpacked(cases["probabilities"]["vit"]["0"], N, labels)
    assert set(np.unique(probabilities)) == {round(250 / (1 + np.e)), round(250 / (1 + 1 / np.e))}
    _, (_, skin) = said(folder / "isic2017" / "cases.js")
    assert list(skin["dice"]["unetpp"]) == ["1"], "seed 0 failed"


@pytest.mark.parametrize(
    ("changes", "called"),
    [
        # Sigmoids are 0.73 0.88, 0.5 0.5, 0.12 0.27, 0.5001 0.4999.
        ({}, [[1, 1], [0, 0], [0, 0], [1, 0]]),
        ({"threshold": 0.8}, [[0, 1], [0, 0], [0, 0], [0, 0]]),
        ({"threshold": 0.2}, [[1, 1], [1, 1], [0, 1], [1, 1]]),
        ({"decision": "softmax", "threshold": 0.7}, [[0, 1], [0, 0], [0, 1], [0, 0]]),
        ({"decision": "argmax"}, [[0, 1], [1, 0], [0, 1], [1, 0]]),
    ],
)
def test_labels_are_called_as_the_tables_count_them(tmp_path, changes, called):
    evaluation = paper_config().evaluation.model_copy(update=changes)
    logits = np.array([[1, 2], [0, 0], [-2, -1], [4e-4, -4e-4]], np.float32)
    ids, file = list("abcd"), tmp_path / "counts.parquet"
    rows = classification_rows(ids, ids, ["wet", "dry"], np.zeros((4, 2), np.uint8), logits)
    write_counts_file(file, [rows])
    places = {"a": 0, "b": 1, "c": 2, "d": 3, "not scored": 4}
    scores = read_scores(file, places, evaluation)
    assert scores.dice is None
    assert scores.probabilities is not None
    assert scores.called is not None
    assert scores.probabilities.tolist() == [
        [183, 220],
        [125, 125],
        [30, 67],
        [125, 125],
        [255, 255],
    ]
    assert scores.called.tolist() == [*called, [0, 0]]


def test_disagreement_is_of_first_seeds_without_controls(config):
    folder, _ = browse(config)
    _, (_, cases) = said(folder / "retouch_cirrus" / "cases.js")
    one, other = (saved_masks(config, "retouch_cirrus", m, 0) for m in ("unetpp", "resformer_par"))
    same = ((one == other) & (one > 0)).sum((1, 2))
    size = (one > 0).sum((1, 2)) + (other > 0).sum((1, 2))
    wanted = np.where(size > 0, 200 * (1 - 2 * same / np.maximum(size, 1)), 0)
    found = unpacked(cases["disagreement"], N)
    assert np.abs(found - wanted).max() <= 0.5
    assert found.max() > 0
    _, (_, alone) = said(folder / "isic2017" / "cases.js")
    assert not unpacked(alone["disagreement"], N).any(), "one method cannot differ"


def test_what_was_trained_on_shuffled_labels_is_not_compared(config, monkeypatch):
    monkeypatch.setattr(write, "is_control", lambda _, method: method == "unetpp")
    folder, _ = browse(config)
    _, (_, cases) = said(folder / "retouch_cirrus" / "cases.js")
    assert "unetpp" in cases["dice"]
    assert not unpacked(cases["disagreement"], N).any()


def test_no_text_ends_a_script(config):
    folder, _ = browse(config)
    scripts = list(folder.rglob("*.js"))
    assert len(scripts) == 8
    for file in scripts:
        text = file.read_text(encoding="utf-8")
        assert text.isascii()
        assert "<" not in text
        assert text.count("\n") == 1


def test_what_has_not_changed_is_not_written_again(config):
    browse(config)
    assert again(config) == set()
    file = paths.evaluation(config, "retouch_cirrus", "unetpp", 0) / "masks.npz"
    masks = saved_masks(config, "retouch_cirrus", "unetpp", 0)
    masks[7] = 0
    np.savez_compressed(file, masks=masks)
    assert again(config) == {
        "images/retouch_cirrus/unetpp/seed0/0.js",
        "images/retouch_cirrus/cases.js",  # methods differ otherwise now
    }
    blocks = paths.report(config) / "images" / "retouch_cirrus" / "unetpp" / "seed0"
    assert not all_masks(blocks)[7].any()
    os.utime(file)
    assert again(config) == set(), "a time is no change"


def test_what_was_interrupted_is_made_again(config):
    browse(config)
    part = paths.report_images(config) / "retouch_cirrus" / "unetpp" / "seed0"
    part.with_name("seed0.key").unlink()
    (part / "0.js").write_text("half")
    assert again(config) == {"images/retouch_cirrus/unetpp/seed0/0.js"}
    shutil.rmtree(paths.report_images(config))
    assert "images/isic2017/pictures/00000.webp" in again(config)


def test_the_store_forgets_what_is_not_shown(config):
    browse(case_config(report={"masks": "all"}))
    store = paths.report_images(config)
    assert (store / "isic2017" / "unetpp" / "seed1").is_dir()
    shutil.rmtree(paths.report(config))
    browse(config)
    assert not (store / "isic2017" / "unetpp").exists()
    assert (store / "isic2017" / "resformer_par" / "seed0.key").is_file()


def test_without_hard_links_files_are_copied(config, monkeypatch):
    folder, _ = browse(config)
    linked = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.*")}
    picture = folder / "isic2017" / "pictures" / "00000.webp"
    assert picture.stat().st_nlink == 2

    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    shutil.rmtree(paths.report(config))
    folder, _ = browse(config)
    assert picture.stat().st_nlink == 1
    assert {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*.*")} == linked


def test_results_of_another_split_are_refused(config):
    folder = paths.evaluation(config, "isic2017", "resformer_par", 0)
    masks = saved_masks(config, "isic2017", "resformer_par", 0)
    np.savez_compressed(folder / "masks.npz", masks=masks[1:])
    with pytest.raises(DataError, match=r"resformer_par/seed0/masks\.npz: found masks uint8 \(9,"):
        browse(config)
    shutil.rmtree(paths.report(config))
    np.savez_compressed(folder / "masks.npz", masks=masks)
    index = paths.prepared(config, "isic2017") / "test" / "index.parquet"
    index.write_bytes((index.parents[1] / "val" / "index.parquet").read_bytes())
    with pytest.raises(DataError, match=r"counts\.parquet: scores .*, which is not in the test"):
        browse(config)


def test_a_data_set_that_is_not_prepared_is_left_out(config):
    shutil.rmtree(paths.prepared(config, "isic2017"))
    folder, _ = browse(config)
    assert [one["key"] for one in said(folder / "index.js")[1][0]["datasets"]] == ["retouch_cirrus"]
    assert not (folder / "isic2017").exists()


def test_masks_of_controls_are_not_shown():
    config = paper_config()
    controls = {name for name, entry in config.methods.items() if entry.control is not None}
    shown = {run: shown_seeds(config, run) for run in runs(config)}
    assert controls
    for run, seeds in shown.items():
        assert seeds == ([] if run.method in controls else config.seeds[:1])
    every = paper_config(report={"masks": "all"})
    assert shown_seeds(every, Run("isic2017", "unetpp")) == every.seeds
