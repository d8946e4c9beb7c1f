"""Minutes that training asks a cluster for: more than the plan predicts, and never torch for it."""

import math
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.workspace import ROOT
from workflow.base.errors import ConfigError
from workflow.cluster import runtime
from workflow.cluster.runtime import FACTOR, LEAST_MINUTES, device_of, to_train
from workflow.cluster.site import growing
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.planning.cost import predicted_runtime
from workflow.planning.devices import Device, known_device

SLOW = Device("slow", 20e12, 16e9)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config.yaml", {"preset": "paper"})


def run(dataset: str, method: str) -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset, method=method)


def test_training_asks_for_more_than_is_predicted(config) -> None:
    asked = to_train(config, SLOW)
    for_two = asked(run("retouch_cirrus", "hiformer"), 2, 1440)
    predicted = predicted_runtime(config, "retouch_cirrus", "hiformer", 2, SLOW)
    assert for_two == math.ceil(FACTOR * predicted) > asked(run("retouch_cirrus", "hiformer"), 1, 1)
    assert 2.9 < FACTOR < 3.1


def test_a_short_run_asks_for_an_hour(config) -> None:
    fast = known_device("H100")
    assert to_train(config, fast)(run("isic2017", "efficientnet"), 1, 1440) == LEAST_MINUTES


def test_the_partitions_limit_holds_and_attempts_grow(config) -> None:
    one = run("retouch_cirrus", "hiformer")
    first = to_train(config, SLOW)(one, 1, 1440)
    asked = growing(lambda wildcards: to_train(config, SLOW)(wildcards, 1, 1440), first + 1)
    assert [asked(one, attempt) for attempt in (1, 2)] == [first, first + 1]


def test_where_the_plan_has_no_answer_the_rule_says(config, monkeypatch) -> None:
    monkeypatch.setattr(runtime, "predicted_runtime", lambda *_: 0.0)
    assert to_train(config, SLOW)(run("isic2017", "unetpp"), 1, 1441) == 1441

    def unknown(*_: object) -> float:
        raise ConfigError("how many images it has is not known yet")

    monkeypatch.setattr(runtime, "predicted_runtime", unknown)
    assert to_train(config, SLOW)(run("isic2017", "unetpp"), 1, 1441) == 1441


def test_the_device_is_the_sites_or_a_measured_gpu(monkeypatch) -> None:
    processor = Device("some processor", 1e11, 1e10, measured="2", gpu=False)
    card = Device("some card", 1e13, 1e10, measured="1")
    monkeypatch.setattr(runtime, "calibrations", lambda: [processor])
    assert device_of(None).name == "A100"
    monkeypatch.setattr(runtime, "calibrations", lambda: [processor, card])
    assert device_of(None) == card
    assert device_of("v100").name == "V100"
    assert device_of("unheard-of") == card


def test_no_torch_is_imported() -> None:
    code = """
import sys
from types import SimpleNamespace
from workflow.cluster.runtime import device_of, to_train
from workflow.config.load import load_config

config = load_config(overrides={"preset": "released"})
run = SimpleNamespace(dataset="isic2017", method="resformer_seq_released")
to_train(config, device_of(None))(run, 1, 1440)
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
