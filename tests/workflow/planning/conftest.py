"""A plan reads what has been prepared below `results`, so its tests look at a tree without any."""

import pytest

from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def nothing_is_prepared(tmp_path_factory, monkeypatch):
    """The folder that a command is started in: code and configuration, and no results."""
    folder = tmp_path_factory.mktemp("nothing")
    for name in ("workflow", "config.yaml"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
