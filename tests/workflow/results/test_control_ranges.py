"""A learned method inside or outside its controls, worked out by hand."""

import math

import pandas as pd
import pytest

from tests.conftest import ROOT
from workflow.config.cells import Run
from workflow.config.load import load_config
from workflow.results.controls import ControlRange, as_table, control_ranges
from workflow.results.setup_text import setup

CONFIG = load_config(ROOT / "config.yaml")
CONTROLS = {
    "control_oracle": 100,
    "control_shuffled": 20,
    "control_prior": 30,
    "control_background": 0,
}


def frame(**dsc):
    rows = [("isic2017", name, 0, "dsc", value) for name, value in (CONTROLS | dsc).items()]
    return pd.DataFrame(rows, columns=["dataset", "method", "seed", "metric", "value"])


def test_the_best_of_the_ignorant_controls_is_the_floor():
    (one,) = control_ranges(CONFIG, frame(unetpp=31.0))
    expected = ControlRange(
        Run("isic2017", "unetpp"), "segmentation", 31.0, 30.0, "control_prior", 100.0
    )
    assert one == expected
    assert one.inside


@pytest.mark.parametrize(
    ("score", "inside"), [(30.0, False), (29.9, False), (100.0, True), (100.1, False)]
)
def test_the_floor_is_outside_and_the_ceiling_inside(score, inside):
    (one,) = control_ranges(CONFIG, frame(unetpp=score))
    assert one.inside is inside


def test_classification_is_bracketed_by_informedness_and_means_over_seeds():
    sen_spe = {  # accuracy would praise the second, which is right about negatives only
        "control_oracle": (100, 100),
        "control_background": (0, 100),
        "control_prior": (33, 66),
        "efficientnet": (70, 60),
    }
    rows = [
        ("isic2017", name, seed, metric, value + shift)
        for name, pair in sen_spe.items()
        for metric, value in zip(("sen", "spe"), pair, strict=True)
        for seed, shift in ((0, -2), (1, 2))
    ]
    rows.append(("isic2017", "efficientnet", 2, "sen", math.nan))
    results = pd.DataFrame(rows, columns=["dataset", "method", "seed", "metric", "value"])
    (one,) = control_ranges(CONFIG, results)
    assert (one.task, one.score, one.floor) == ("classification", 30.0, 0.0)
    assert one.by == "control_background"


def test_the_printed_table_has_every_seed_and_the_least_of_them_against_the_floor():
    found = pd.concat([frame(unetpp=60.0), frame(unetpp=28.0).assign(seed=1)])
    *_, line = as_table(CONFIG, found).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "ISIC 2017", "UNet++", "DSC", "60.0", "28.0", "30.0 (Class prior)", "-2.0", "100.0"
    ]  # fmt: skip


def test_without_controls_nothing_is_said():
    lone = frame(unetpp=50.0)
    assert control_ranges(CONFIG, lone[lone["method"] == "unetpp"]) == []
    assert control_ranges(CONFIG, lone[lone["method"] != "control_oracle"]) == []


def test_recipe_and_weights_of_a_row_in_words():
    config, raw = CONFIG, CONFIG.model_dump()
    assert setup(config, ["unetpp"]) == "unified, random"
    assert setup(config, ["unetpp", "efficientnet"]) == "unified, random"
    assert setup(config, ["control_oracle"]) == "control"
    raw["methods"]["unetpp"] |= {
        "recipe": "native",
        "native": {"source": "x", "training": {}},
        "pretrained": "weights/own.safetensors",
    }
    raw["methods"]["efficientnet"]["pretrained"] = "hub:tf_efficientnet_b3.aa_in1k"
    changed = type(config).model_validate(raw)
    both = setup(changed, ["unetpp", "efficientnet"])
    assert both == "native, own.safetensors / unified, hub:tf_efficientnet_b3.aa_in1k"
