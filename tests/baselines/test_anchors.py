"""Every network counts what is on record for it: parameters, FLOPs, and each block by itself."""

import pytest

from tests.conftest import ROOT
from workflow.config.load import load_config
from workflow.networks.anchors import FOLDER, differences, load_anchors, on_meta

CONFIG = load_config(ROOT / "config.yaml")
CASES = [
    pytest.param(
        name, case, id=f"{name}-{case.image_size}-{case.n_seg}-{case.n_cls}-{case.options or ''}"
    )
    for name in CONFIG.methods
    if (anchors := load_anchors(name)) is not None
    for case in anchors.cases
]


def test_every_file_belongs_to_a_method():
    assert {file.stem for file in FOLDER.glob("*.yaml")} <= set(CONFIG.methods)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_counts_are_those_on_record(name, case):
    wrong = differences(on_meta(CONFIG.methods[name], case), case)
    assert not wrong, f"{name} {case.options} at {case.image_size}:\n" + "\n".join(wrong)
