"""A results tree for the image browser: nasty ids, a failed run, one without masks, and controls.

`write_case` leaves what the other rooms would leave; `browse` writes the browser's data from it.
"""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.workflow.report.reporting_tree import small_raw, write_data, write_evaluation, write_run
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.metrics.counts_file import write_counts_file, write_failed_counts_file
from workflow.report.browser.write import write_microscope
from workflow.report.pages import Pages

EVIL = "</script><script>window.hit=1</script>"
IDS = [f"b&w {EVIL}\u2028#1=%+", "../ü/片.png", "'\"`${window.hit=1}", "<img src=x onerror=hit=1>"]
FAILED = ("isic2017", "unetpp", 0)
UNSCORED = 4  # an image without a reference


def case_config(**changes):
    """Two data sets, three methods of different tasks and a control, two seeds."""
    raw = small_raw(**changes)
    del raw["methods"]["resformer_seq"]
    raw["methods"]["unetpp"]["title"] = f"UNet++ {EVIL}"
    raw["methods"]["oracle"] = {
        "title": "Oracle", "control": "oracle", "tasks": ["segmentation", "classification"],
    }  # fmt: skip
    columns = [
        {"title": name, "dataset": name, "metrics": ["ji", "acc"]} for name in raw["datasets"]
    ]
    rows = [{"title": name, "method": name} for name in raw["methods"]]
    raw["tables"] = {"IV": {"caption": "All.", "columns": columns, "rows": rows}}
    raw["figures"] = {}
    return Config.model_validate(raw)


def write_case(config):
    """Data, and every run of every seed."""
    for dataset in config.datasets:
        write_data(config, dataset)
        spoil(config, dataset)
    for run in runs(config):
        for seed in config.seeds:
            write_run(config, *run, seed)
            write_evaluation(config, *run, seed)
            forget_unscored(paths.evaluation(config, *run, seed) / "counts.parquet")
            masks = paths.evaluation(config, *run, seed) / "masks.npz"
            if not masks.is_file():
                np.savez_compressed(masks)
    folder = paths.evaluation(config, *FAILED)
    write_failed_counts_file(folder / "counts.parquet", "not finite")
    np.savez_compressed(folder / "masks.npz")


def forget_unscored(file):
    """Leave out what evaluation does not count: pixels where there is no reference."""
    table = pq.read_table(file)
    rows = zip(table["id"].to_pylist(), table["task"].to_pylist(), strict=True)
    unscored = (f"test-{UNSCORED:03d}", "segmentation")
    write_counts_file(file, [table.filter(pa.array([row != unscored for row in rows]))])


def spoil(config, dataset):
    """Give a test split ids that break out of everything, and an image without a reference."""
    test = paths.prepared(config, dataset) / "test"
    index, masks = pd.read_parquet(test / "index.parquet"), np.load(test / "masks.npy")
    index.loc[: len(IDS) - 1, "id"] = IDS
    index.loc[UNSCORED, ["has_mask", "score_segmentation"]] = False
    masks[UNSCORED] = 255
    index.to_parquet(test / "index.parquet", index=False)
    np.save(test / "masks.npy", masks)
    manifest = json.loads((test.parent / "manifest.json").read_text())
    (test.parent / "manifest.json").write_text(json.dumps({**manifest, "hash": dataset}))


def browse(config):
    """Write the browser's data; its folder, and the names of the scripts that are new."""
    folder = paths.report(config)
    folder.mkdir(parents=True)
    pages = Pages(folder, paths.report_store(config))
    write_microscope(config, pages)
    pages.close()
    return folder / "images", pages.made


def saved_masks(config, *run):
    with np.load(paths.evaluation(config, *run) / "masks.npz") as archive:
        return archive["masks"]
