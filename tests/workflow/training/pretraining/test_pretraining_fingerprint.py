"""What makes superpixels, a pretraining and a pretrained run anew, and what does not."""

import pytest

from tests.workflow.training.pretraining.conftest import small
from workflow.config.errors import merge
from workflow.config.load import load_config
from workflow.running import fingerprint

RUN = ("isic2017", "autosmim")
KINDS = {
    "superpixels": fingerprint.superpixels_fingerprint,
    "pretraining": fingerprint.pretraining_fingerprint,
    "run": fingerprint.run_fingerprint,
}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


def changed(before, after, run=RUN):
    return {kind for kind, of in KINDS.items() if of(before, *run) != of(after, *run)}


@pytest.mark.parametrize(
    ("settings", "made_anew"),
    [
        ({"epochs": 3}, {"pretraining", "run"}),
        ({"proxy_epochs": 3}, {"pretraining", "run"}),
        ({"trials": 5}, {"pretraining", "run"}),
        ({"learning_rate": 0.1}, {"pretraining", "run"}),
        ({"search_images": 1}, {"pretraining", "run"}),
        ({"base": {"masked": 2}}, {"pretraining", "run"}),
        ({"superpixels": [4, 9]}, {"pretraining", "run"}),  # those that are there stay
        ({"images": 8}, set(KINDS)),
        ({"compactness": 10}, set(KINDS)),
    ],
)
def test_the_budget_counts(settings, made_anew):
    assert changed(small(), small(**settings)) == made_anew


def paper(**changes):
    return load_config(overrides=merge({"preset": "paper"}, changes))


@pytest.mark.parametrize(
    ("changes", "made_anew"),
    [
        ({"training": {"epochs": 7}}, {"run"}),
        ({"training": {"precision": "float32"}}, {"pretraining", "run"}),
        ({"training": {"threads": 1}}, set()),
        ({"datasets": {"isic2017": {"image_size": 192}}}, set(KINDS)),
        ({"datasets": {"isic2017": {"title": "ISIC"}}}, set()),
        ({"methods": {"autosmim": {"title": "SMIM"}}}, set()),
        ({"methods": {"autosmim": {"pretraining": None}}}, set(KINDS)),
    ],
)
def test_what_else_counts(changes, made_anew):
    assert changed(paper(), paper(**changes)) == made_anew


def test_a_methods_pretraining_changes_its_own_runs_only():
    after = paper(methods={"autosmim": {"pretraining": {"epochs": 9}}})
    assert changed(paper(), after, ("isic2017", "unetpp")) == set()


def test_runs_do_not_rest_on_the_code_that_searches():
    """Other methods' runs must not be made anew when the pretraining changes."""
    training = fingerprint.closure("workflow.training.train")
    package = {name for name in training if name.startswith("workflow.training.pretraining.")}
    assert package == {"workflow.training.pretraining.weights"}
    pretraining = fingerprint.closure("workflow.training.pretraining.pretrain")
    parts = ("masking", "fitting", "inpainting", "proxy", "search", "superpixels", "views")
    assert {f"workflow.training.pretraining.{part}" for part in parts} <= pretraining
    assert "workflow.training.loop" not in pretraining
