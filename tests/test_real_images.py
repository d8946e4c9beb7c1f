"""The DAG on real dermoscopy: 96 images of ISIC 2017, as 256x256 copies, through every step."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from tests.workspace import ROOT, copy_tree, snakemake

IMAGES = ROOT.parent / "shared" / "data" / "isic2017_256"
RUN = (
    "--config",
    "preset=isic256",
    "select={datasets: [isic2017], methods: [resformer_par, efficientnet]}",
    "datasets={isic2017: {image_size: 64, split: workflow/data/splits/isic2017_ci96.csv}}",
    "training={epochs: 2}",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not IMAGES.is_dir() and not os.environ.get("RESFORMER_TEST_EVERYTHING"):
        pytest.skip(f"the real images are not at hand (looked for {IMAGES.name} beside the tree)")
    folder = copy_tree(tmp_path_factory.mktemp("real"))
    done = snakemake(folder, *RUN, ISIC2017_DIR=str(IMAGES))
    assert done.returncode == 0, done.stdout[-4000:]
    return folder / "results" / "isic256"


def test_the_split_is_the_published_subset(results: Path) -> None:
    manifest = json.loads((results / "data/isic2017/manifest.json").read_text())
    counts = {name: split["images"] for name, split in manifest["splits"].items()}
    assert counts == {"train": 48, "val": 24, "test": 24}
    for split in manifest["splits"].values():  # the subset has as many of each diagnosis
        assert set(split["positive"].values()) == {split["images"] // 3}


def test_labels_and_masks_agree_with_the_manifest_of_the_copies(results: Path) -> None:
    index = pd.concat(
        pd.read_parquet(results / f"data/isic2017/{split}/index.parquet")
        for split in ("train", "val", "test")
    ).set_index("id")
    known = pd.read_csv(IMAGES / "manifest.csv", index_col="image_id").loc[index.index]
    for label in ("melanoma", "seborrheic_keratosis", "nevus"):
        assert (index[f"label_{label}"] == known[label]).all()
    assert (index["sha256"] == known["image_sha256"]).all()


def test_every_test_image_is_scored_once(results: Path) -> None:
    counts = pd.read_parquet(results / "evaluation/isic2017/resformer_par/seed0/counts.parquet")
    segmentation = counts[counts["task"] == "segmentation"]
    assert len(segmentation) == segmentation["id"].nunique() == 24
    assert (segmentation[["tp", "fp", "fn", "tn"]].sum(axis=1) == 64 * 64).all()
    assert (counts["task"] == "classification").sum() == 24 * 3


def test_tables_and_report_say_what_they_rest_on(results: Path) -> None:
    table = (results / "tables" / "table_IV.md").read_text()
    assert "256×256 copies of ISIC 2017" in table
    assert "phantom" not in table
    assert "256×256 copies of ISIC 2017" in (results / "report" / "index.html").read_text()
