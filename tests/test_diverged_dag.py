"""A method that diverges, in a real small run: the rest of the workflow goes on and says so."""

import csv

import numpy as np
import pyarrow.parquet as pq

from tests.workspace import copy_tree, snakemake
from workflow.base.files import read_json

CHOSEN = (
    "--config",
    "preset=smoke",
    "select={datasets: [retouch_spectralis], methods: [resformer_par, unetpp]}",
    "training={max_steps: 4}",
    "methods={unetpp: {training: {learning_rate: 1.0e+30}}}",
)


def test_a_diverged_run_is_shown_as_failed_and_all_else_is_made(tmp_path) -> None:
    copy_tree(tmp_path)
    done = snakemake(tmp_path, *CHOSEN)
    assert done.returncode == 0, done.stdout[-4000:]
    results = tmp_path / "results" / "smoke"

    failure = read_json(results / "runs/retouch_spectralis/unetpp/seed0/run.json")["failure"]
    assert (failure["kind"], failure["learning_rate"] > 1e20) == ("diverged", True)
    assert f"] Spectralis · UNet++ · failed: {failure['message']}" in done.stdout
    log = (results / "logs/evaluate/retouch_spectralis/unetpp/seed0.log").read_text()
    assert f"retouch_spectralis unetpp seed 0: no results, failed: {failure['message']}" in log
    assert "results/smoke: 2 runs: 1 done, 1 failed; the report is " in done.stdout
    assert "failure" not in read_json(
        results / "runs/retouch_spectralis/resformer_par/seed0/run.json"
    )
    evaluated = next(results.rglob("retouch_spectralis/unetpp/seed0/counts.parquet")).parent
    assert pq.read_metadata(evaluated / "counts.parquet").num_rows == 0
    with np.load(evaluated / "masks.npz") as masks:
        assert list(masks) == []

    with (results / "tables/table_VI.csv").open(newline="") as stream:
        states = {(x["method"], x["metric"]): x["state"] for x in csv.DictReader(stream)}
    for metric in ("ji", "dsc"):
        assert states["unetpp", metric] == "failed"
        assert states["resformer_par", metric] == "value"
    assert (results / "figures" / "figure_7.png").is_file()
    index = (results / "report" / "index.html").read_text()
    assert "failed: diverged at epoch" in index
    # The state of a run is removed with its evaluation, whatever became of it.
    assert not list((results / "state").rglob("*.safetensors"))

    again = snakemake(tmp_path, *CHOSEN)
    assert "Nothing to be done" in again.stdout
