"""What many tests share: the repository's root, and two tiny prepared data sets."""

import locale
import os

# Before torch is imported: several tests run at a time, and a thread that spins while it waits
# takes the processor from the others' (a step took ten times as long).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from contextlib import chdir
from pathlib import Path

import hypothesis
import pytest

from workflow.config import paths
from workflow.config.load import load_config
from workflow.data import make
from workflow.data.phantom import write_retouch

ROOT = Path(__file__).parents[1]
LANGUAGE = locale.setlocale(locale.LC_ALL)
# A busy machine is no failure: how long an example takes is asserted nowhere.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
TINY = {
    "preset": "everything",
    "select": {
        "datasets": ["retouch_spectralis", "isic2017"],
        "methods": ["resformer_seq", "unetpp", "efficientnet"],
    },
    "data": {
        # Records are named relative to the repository, and tests work elsewhere.
        "retouch_record": None,
        "isic2017_record": None,
        "val_volumes": 1,
        "test_volumes": 1,
        "phantom": {
            "retouch": {"volumes": 4, "scale": 0.1},
            "isic2017": {"train": 12, "val": 6, "test": 6, "size": [64, 48]},
        },
    },
    "datasets": {
        **{f"retouch_{vendor}": {"image_size": 32} for vendor in ("cirrus", "topcon")},
        "retouch_spectralis": {"image_size": 32, "slice_step": 7},
        "isic2017": {"image_size": 32, "duplicates": None},
    },
    # The same numbers on every processor, also where bfloat16 would be chosen.
    "training": {"precision": "float32"},
}


@pytest.fixture(autouse=True)
def _own_language():
    """Put back what SimpleITK changes when it writes DICOM: how this process reads text."""
    yield
    locale.setlocale(locale.LC_ALL, LANGUAGE)


@pytest.fixture(scope="session")
def repo():
    return ROOT


@pytest.fixture(scope="session")
def tiny_tree(tmp_path_factory):
    """A folder with raw and prepared phantom data, for reading only."""
    root, config = tmp_path_factory.mktemp("tiny"), load_config(ROOT / "config.yaml", TINY)
    with chdir(root):
        # The one vendor that is used, where `make.phantom` would write all three.
        phantom = config.data.phantom.retouch.model_dump()
        write_retouch(paths.raw_dir(config, "retouch"), vendor="Spectralis", **phantom, seed=1)
        make.phantom(config, "isic2017")
        for source in ("retouch", "isic2017"):
            make.raw(config, source)
        for dataset in config.select.datasets:
            make.inventory(config, dataset)
            make.split(config, dataset)
            make.prepare(config, dataset)
            make.gates(config, dataset)
    return root


@pytest.fixture
def tiny_config(tiny_tree, tmp_path, monkeypatch):
    """The configuration of `tiny_tree`, in a working folder of its own that may be written to."""
    config = load_config(ROOT / "config.yaml", TINY)
    (tmp_path / config.results).mkdir(parents=True)
    for name in ("raw", "data"):
        (tmp_path / config.results / name).symlink_to(tiny_tree / config.results / name)
    monkeypatch.chdir(tmp_path)
    return config
