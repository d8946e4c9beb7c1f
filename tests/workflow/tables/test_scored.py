"""A table says on its face which test images are missing from its scores."""

import pandas as pd
import pytest

from tests.workflow.report.reporting_tree import paper_config
from workflow.config import paths
from workflow.config.cells import Run
from workflow.tables.formats import to_markdown
from workflow.tables.make import load_table
from workflow.tables.scored import missing_from_scores


@pytest.fixture
def config(tmp_path, monkeypatch):
    config = paper_config()
    monkeypatch.chdir(tmp_path)
    return config


def lay_out(config, masks, tasks):
    """A prepared test split of images that have masks or not, and are scored for some tasks."""
    folder = paths.prepared(config, "isic2017")
    (folder / "test").mkdir(parents=True)
    ids = [f"x{k}" for k in range(len(masks))]
    pd.DataFrame({"id": ids, "split": "test", "tasks": tasks}).to_csv(folder / "split.csv")
    pd.DataFrame({"id": ids, "has_mask": masks}).to_parquet(folder / "test" / "index.parquet")


SEGMENTS = [Run("isic2017", "unetpp")]


def test_images_without_a_mask_are_counted(config):
    lay_out(config, [True, True, False, False, False, False], "both")
    assert missing_from_scores(config, SEGMENTS) == (
        "segmentation is scored on 2 of 6 test images of ISIC 2017: the others have no mask",
    )
    classifies = [
        Run("isic2017", name)
        for name, method in config.methods.items()
        if "segmentation" not in method.tasks
    ]
    assert classifies
    assert missing_from_scores(config, classifies) == ()


def test_images_that_a_split_does_not_mean_are_not_missing(config):
    lay_out(config, [True, True, False], ["both", "segmentation", "classification"])
    assert missing_from_scores(config, SEGMENTS) == ()


def test_nothing_is_said_where_nothing_is_prepared_or_nothing_missing(config):
    assert missing_from_scores(config, SEGMENTS) == ()
    lay_out(config, [True, True], "both")
    assert missing_from_scores(config, SEGMENTS) == ()


def test_the_notice_stands_on_the_table(config):
    lay_out(config, [True, False], "both")
    (key,) = [
        key
        for key, table in config.tables.items()
        if table.kind == "results" and any(c.dataset == "isic2017" for c in table.columns)
    ][:1]
    table = load_table(config, key)
    assert table.notices[-1].startswith("segmentation is scored on 1 of 2 test images of ISIC 2017")
    assert f"> **{table.notices[-1]}**" in to_markdown(table)
