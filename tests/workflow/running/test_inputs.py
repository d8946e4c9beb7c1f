"""What rules read, as it follows from the configuration."""

from pathlib import Path

import pytest

from tests.workflow.config.config_changes import changed
from workflow.config import cells
from workflow.config.cells import Run
from workflow.running import inputs

PHANTOM = Path("results/everything")
RUNS = [Run("isic2017", "unetpp"), Run("isic2017", "octnet")]


def local(**data):
    return changed({"preset": "paper", "data": data} if data else {"preset": "paper"})


def test_phantoms_and_downloads_are_made_and_given_folders_are_not(monkeypatch):
    for variable in ("ISIC2017_DIR", "RETOUCH_DIR"):
        monkeypatch.delenv(variable, raising=False)
    demo = changed({})
    assert inputs.raw_inputs(demo, "retouch") == [PHANTOM / "raw" / "retouch" / "original"]
    paper = local()
    assert inputs.raw_inputs(paper, "isic2017") == [
        Path("results/paper/data/isic2017_downloaded.txt")
    ]
    assert inputs.raw_inputs(paper, "retouch") == []  # nobody else can fetch it
    assert inputs.raw_inputs(local(isic2017_dir="given"), "isic2017") == []


def test_a_folder_of_ones_own_is_there_already(tmp_path):
    folder = {"images": str(tmp_path), "masks": str(tmp_path), "labels": str(tmp_path / "l.csv")}
    isic = changed({}).datasets["isic2017"]
    own = isic.model_copy(update={"folder": folder})
    config = changed({}).model_copy(update={"datasets": {"mine": own}})
    assert inputs.raw_inputs(config, "mine") == []


@pytest.mark.parametrize(("resolution", "number"), [("input", 0), ("native", 1)])
def test_raw_masks_are_read_where_images_are_scored_at_their_size(resolution, number):
    config = changed({"evaluation": {"resolution": resolution}})
    read = inputs.native_masks(config, "retouch_cirrus")
    assert read == [PHANTOM / "data" / "retouch_files.json"][:number]


def test_counts_and_records_are_of_all_seeds():
    config = changed({"seeds": [0, 3]})
    folders = [Path("isic2017", run.method, f"seed{seed}") for run in RUNS for seed in (0, 3)]
    counts = [PHANTOM / "evaluation" / folder / "counts.parquet" for folder in folders]
    assert inputs.counts_of(config, RUNS) == counts
    records = [PHANTOM / "runs" / folder / "run.json" for folder in folders]
    assert inputs.records_of(config, RUNS) == records


def test_gates_are_read_once_where_duplicates_are_left_out_of_scores():
    assert inputs.duplicates_in(changed({"evaluation": {"drop_duplicates": False}}), RUNS) == []
    dropped = changed({"evaluation": {"drop_duplicates": True}})
    assert inputs.duplicates_in(dropped, RUNS) == [PHANTOM / "data" / "isic2017" / "gates.json"]


def test_a_table_reads_what_it_is_of():
    config = changed({"evaluation": {"drop_duplicates": False}})
    assert {f.name for f in inputs.read_for_table(config, "efficiency")} == {"run.json"}
    assert {f.name for f in inputs.read_for_table(config, "VI")} == {"counts.parquet"}
    assert {f.name for f in inputs.read_for_table(config, "I")} == {"manifest.json", "gates.json"}


def test_a_figure_reads_the_data_sets_of_its_panels():
    config = changed({})
    read = inputs.read_for_figure(config, "5")
    datasets = {run.dataset for run in cells.figure_runs(config, "5")}
    assert {file.parent.name for file in read if file.name == "manifest.json"} == datasets
    counts = [file for file in read if file.name == "counts.parquet"]
    assert len(counts) == len(cells.figure_runs(config, "5")) * len(config.seeds)


def test_the_report_reads_no_masks_of_what_was_not_trained_and_the_verdicts_read_none():
    config = changed({"report": {"masks": "all"}})
    masks = [file for file in inputs.read_for_report(config) if file.name == "masks.npz"]
    trained = [run for run in cells.runs(config) if config.methods[run.method].module]
    assert len(masks) == len(trained) * len(config.seeds)
    methods = {file.parent.parent.name for file in masks}
    assert all(config.methods[method].control is None for method in methods)
    names = {file.name for file in inputs.read_for_verdicts(config)}
    assert "counts.parquet" in names
    assert "masks.npz" not in names
