"""The controls score what can be worked out for them, and are saved like any method's results."""

import numpy as np
import pytest

from workflow.base.files import read_json
from workflow.config import paths
from workflow.config.cells import Run
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.evaluation.controls import control_seeds, predictions
from workflow.metrics.metrics import collect

CONTROLS = ("control_oracle", "control_prior", "control_background")


def scores(config, method, dataset="isic2017"):
    """metric -> seed -> per cent, of a control that is made and read back from its files."""
    control_seeds(config, dataset, method, *map(str, config.seeds))
    found = collect(config, [Run(dataset, method)])
    return {m: dict(zip(f["seed"], f["value"], strict=True)) for m, f in found.groupby("metric")}


def test_an_oracle_is_right_everywhere(tiny_config) -> None:
    found = scores(tiny_config, "control_oracle")
    assert set(found) == {"ji", "dsc", "acc", "sen", "spe", "auc", "ece"}
    assert found.pop("ece") == pytest.approx({0: 0.0, 1: 0.0}, abs=1e-12)
    assert {value for seeds in found.values() for value in seeds.values()} == {100.0}


def test_all_background_finds_nothing_and_accuses_nobody(tiny_config) -> None:
    found = scores(tiny_config, "control_background")
    labels = load_arrays(tiny_config, "isic2017", "test").labels
    absent = 100 * (1 - labels.mean())
    assert found["ji"] == found["dsc"] == found["sen"] == {0: 0.0, 1: 0.0}
    assert found["spe"] == {0: 100.0, 1: 100.0}
    assert found["acc"][0] == pytest.approx(absent)


def test_the_prior_scores_its_expectation(tiny_config) -> None:
    found = scores(tiny_config, "control_prior")
    share = (load_arrays(tiny_config, "isic2017", "train").masks == 1).mean()
    areas = (load_arrays(tiny_config, "isic2017", "test").masks == 1).mean(axis=(1, 2))
    # A pixel is called lesion with probability `share`, whatever it is.
    expected = 100 * np.mean(2 * share * areas / (share + areas))
    assert found["dsc"] == pytest.approx({0: expected, 1: expected}, abs=2)
    assert found["dsc"][0] != found["dsc"][1]  # each seed draws for itself
    assert scores(tiny_config, "control_prior") == found  # and draws the same again


def test_labels_are_drawn_with_their_share_of_training(tiny_config) -> None:
    train, test = (load_arrays(tiny_config, "isic2017", split) for split in ("train", "test"))
    drawn = [predictions("class_prior", train, test, seed)[1] > 0 for seed in range(300)]
    assert np.mean([d.numpy() for d in drawn], axis=(0, 1)) == pytest.approx(
        train.labels.mean(axis=0), abs=0.05
    )


def test_images_without_a_mask_tell_the_prior_nothing(tiny_config) -> None:
    train, test = (load_arrays(tiny_config, "isic2017", split) for split in ("train", "test"))
    masks = np.zeros_like(train.masks)
    masks[1:] = NO_MASK
    drawn, _ = predictions(
        "class_prior", type(train)(train.images, masks, train.labels, train.folder), test, 0
    )
    assert not drawn.any()


@pytest.mark.parametrize("method", CONTROLS)
def test_a_control_leaves_a_record(tiny_config, method) -> None:
    scores(tiny_config, method)
    record = read_json(paths.run(tiny_config, "isic2017", method, 1) / "run.json")
    assert record["seed"] == 1
    assert record["initialisation"] == "none"
    assert record["configuration"]["method"]["control"] == method.removeprefix("control_").replace(
        "prior", "class_prior"
    ).replace("background", "all_background")
