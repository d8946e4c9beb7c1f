"""The controls: what they score where the answer is known, and what the command prints."""

import numpy as np

from workflow.evaluation.controls import controls, show


def test_background_scores_nothing_and_the_prior_its_expectation(tiny_config) -> None:
    scores = controls(tiny_config, "isic2017")
    assert scores["all background"] == {"ji": 0.0, "dsc": 0.0}
    folder = tiny_config.results / "data" / "isic2017"
    share = (np.load(folder / "train" / "masks.npy") == 1).mean()
    areas = (np.load(folder / "test" / "masks.npy") == 1).mean(axis=(1, 2))
    # A pixel is called lesion with probability `share`, whatever it is.
    expected = 100 * np.mean(2 * share * areas / (share + areas))
    assert abs(scores["class prior"]["dsc"] - expected) < 2


def test_the_draw_is_the_same_every_time(tiny_config) -> None:
    assert controls(tiny_config, "isic2017") == controls(tiny_config, "isic2017")


def test_the_command_prints_a_line_for_each_control(tiny_config, capsys) -> None:
    show(tiny_config, "isic2017")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["all", "class"]
