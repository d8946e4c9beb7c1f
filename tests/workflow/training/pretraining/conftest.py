"""The configuration of `tiny_tree` with autoSMIM's networks replaced by small ones."""

import pytest

from tests.conftest import ROOT, TINY
from tests.workflow.training.pretraining.small_network import SETTINGS
from workflow.config.errors import merge
from workflow.config.load import load_config

SMALL = {
    "module": "tests.workflow.training.pretraining.small_network",
    "pretraining": SETTINGS,
}


def small(**settings):
    method = merge(SMALL, {"pretraining": settings})
    return load_config(ROOT / "config.yaml", merge(TINY, {"methods": {"autosmim": method}}))


@pytest.fixture
def pretraining_config(tiny_config):
    """In a working folder of its own, with the prepared data of `tiny_tree`."""
    return small()


@pytest.fixture
def limited():
    """Makes the configuration with so many images."""
    return lambda count: small(images=count)
