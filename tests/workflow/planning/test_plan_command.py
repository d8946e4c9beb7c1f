"""The command and the rule: what they print, what they refuse, and what calibration leaves."""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from workflow.__main__ import main
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.load import load_config, load_raw, resolve
from workflow.planning import devices
from workflow.planning.calibrate import calibrate
from workflow.planning.devices import Device


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """A cache folder of the test's own, and none of the machine's calibrations."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_without_a_device_the_bill_says_that_it_is_estimated(capsys):
    assert main(["plan", "paper", "--gpus", "8"]) == 0
    said = capsys.readouterr().out
    assert "109 pairs of data set and method, 5 seeds" in said
    assert "device: A100, ESTIMATED, no device was measured: 312 TFLOP/s" in said
    assert "isic2017                    2,000 train    150 val    600 test  (on record)" in said
    assert "hours on 8 at a time" in said
    assert all(f"\n{table} " in said for table in ("II", "VI", "IX"))


def test_the_bill_for_programs_adds_up(capsys):
    assert main(["plan", "paper", "--json", "--device", "h100"]) == 0
    bill = json.loads(capsys.readouterr().out)
    assert bill["device"] == {"name": "H100", "measured": None}
    assert sum(bill["methods"].values()) == pytest.approx(bill["device_hours"])
    assert len(bill["runs"]) == 109
    assert bill["device_hours_factors"][0] < 1 < bill["device_hours_factors"][1]


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (2, ["--gpus", "0"], "--gpus: found 0; give 1 or more"),
        (2, ["--device", "abacus"], "--device: unknown name 'abacus'.*H200.*--calibrate"),
        (1, ["nowhere.json"], "nowhere.json: no such file.*Name a preset"),
        (2, ["papper"], "PRESET: unknown name 'papper'; did you mean 'paper'.* Allowed: "),
    ],
)
def test_bad_input_is_refused_with_what_to_do(code, arguments, said, capsys):
    assert main(["plan", *arguments]) == code
    assert re.match(f"error: {said}", capsys.readouterr().err)


def test_a_calibration_is_remembered_and_taken(capsys, cache):
    measured = Device(
        "Some GPU 9000", 5e14, 48e9, "2026-01-01T00:00:00+00:00", rates={"octnet": 1e14}
    )
    file = devices.save(measured)
    assert cache in file.parents
    assert devices.choose(None) == measured
    assert devices.choose("some gpu-9000") == measured
    assert main(["plan", "paper"]) == 0
    said = capsys.readouterr().out
    assert "device: Some GPU 9000, measured on this device at 2026-01-01" in said
    assert "ESTIMATED" not in said
    assert "1 networks trained for some steps" in said


def test_calibrating_measures_each_network_until_the_time_is_up():
    config = load_config(
        overrides={
            "preset": "everything",
            "select": {
                "datasets": ["retouch_spectralis"],
                "methods": ["octnet", "control_prior"],
            },
            "training": {"device": "cpu"},
        }
    )
    lines = []
    device = calibrate(config, 0.0, lines.append)
    assert device.rates == {}
    assert "not measured, the time is up" in lines[-1]
    device = calibrate(config, 60.0, lines.append)
    assert set(device.rates) == set(device.evaluating) == {"octnet"}
    # A training step is more than its forward pass, and no network beats matrix products by far.
    assert 0 < device.rates["octnet"] < 3 * device.peak
    assert not device.gpu


def test_afterwards_it_sets_used_beside_predicted(tmp_path, monkeypatch, capsys):
    select = {"datasets": ["retouch_spectralis"], "methods": ["octnet"]}
    raw = load_raw(overrides={"preset": "everything", "select": select})
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "results" / "everything" / "config.json", raw)
    run = paths.run(resolve(raw), "retouch_spectralis", "octnet", 0)
    write_json(run / "run.json", {"wall_seconds": 12.5, "device": "an abacus"})
    assert main(["plan", "results/everything/config.json", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["used"]
    assert (line["method"], line["runs"], line["used"]) == ("octnet", 1, 12.5)
    assert line["predicted"] > 0
    assert main(["plan", "results/everything"]) == 0
    assert "12.5" in capsys.readouterr().out.splitlines()[-1]


def test_a_plan_imports_no_torch():
    code = (
        "import sys; from workflow.__main__ import main; "
        "sys.exit(main(['plan', 'paper']) or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE)
