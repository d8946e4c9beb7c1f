"""The card: what it counts, how it tells a difference, what it refuses."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from workflow.config.load import load_config
from workflow.planning import card

CONFIG = load_config(ROOT / "config.yaml")


def test_the_card_of_a_method_prints_its_counts_and_that_they_are_met(capsys):
    assert card.show(CONFIG, ["octnet"], steps=0) == 0
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[:5] == ["octnet", "1,858,403", "2.60", "1,858,403", "13.61"]
    assert line[5:] == ["1,858,403", "13", "of", "13", "-"]


def test_a_count_that_differs_is_told_with_its_block(capsys, monkeypatch):
    network = card.load_anchors("octnet")
    case = network.cases[0].model_copy(update={"parameters": 1_858_400})
    wrong = network.model_copy(update={"cases": [case]})
    monkeypatch.setattr(card, "load_anchors", lambda name: wrong)
    assert card.show(CONFIG, ["octnet"], steps=0) == 1
    said = capsys.readouterr().out
    assert f"{card.count('octnet', CONFIG.methods['octnet']).anchors - 1} of" in said
    assert "parameters: found 1,858,403, expected 1,858,400 (+3)" in said


def test_no_step_is_timed_on_images_that_are_too_small(capsys):
    assert CONFIG.datasets["isic2017"].image_size < CONFIG.methods["inceptionv3"].sizes.minimum
    assert card.show(CONFIG, ["inceptionv3"], steps=1) == 0
    assert capsys.readouterr().out.split()[-1] == "-"


def test_a_step_is_timed():
    small = load_config(
        ROOT / "config.yaml",
        {"datasets": {"isic2017": {"image_size": 96}}, "training": {"batch_size": 2, "threads": 1}},
    )
    assert 0 < card.seconds_per_step(small, "octnet", steps=1) < 60


@pytest.mark.parametrize("name", ["octnett", "control_oracle"])
def test_a_method_without_a_network_is_refused_by_name(name):
    command = [sys.executable, "-m", "workflow", "card", "--methods", name]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"unknown method '{name}'; choose from resformer_seq" in refused.stderr
