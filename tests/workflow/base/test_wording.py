"""Quantities in words."""

import math

import pytest

from workflow.base.wording import (
    duration,
    initialisation,
    known,
    memory,
    millions,
    number,
    score,
    short_commit,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (600, "10 min"),
        (7200, "2.0 h"),
        (3 * 86400, "3.0 days"),
        (None, "not recorded"),
        (math.nan, "not recorded"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_sizes_and_numbers():
    assert memory(912e6) == "912 MB"
    assert memory(3.44e9) == "3.4 GB"
    assert memory(None) == millions(None) == number(None) == known(None) == "not recorded"
    assert millions(29_201_675) == "29.2 M"
    assert number(0.123456) == "0.1235"
    assert known(0) == "0"


def test_scores_and_commits():
    assert score(0.41234) == "0.4123"
    assert score({"loss": 0.5, "ji": None}) == "loss 0.5"
    assert score({"loss": 0.5, "ji": 0.25}) == "loss 0.5, ji 0.25"
    assert score({}) == score(None) == "not recorded"
    assert short_commit("0123456789abcdef+changes") == "0123456789ab+changes"
    assert short_commit("unknown") == "unknown"


def test_initial_weights_name_their_source_and_what_fitted():
    given = {
        "kind": "file",
        "source": "a.pth",
        "matched": 8,
        "tensors": 10,
        "left_random": ["h.w", "h.b"],
    }
    assert initialisation(given) == "file a.pth: 8 of 10 tensors; random: h.w, h.b"
    assert initialisation(given | {"left_random": ["head.weight"] * 40}).endswith(
        "random: 40 tensors"
    )
    policy = {"masked": 12, "superpixels": 48, "ratio": 0.25}
    assert initialisation(given | {"policy": policy}).endswith("; 12 of 48 superpixels masked")
    assert initialisation("random") == "random"
    assert initialisation(None) == known(None)
