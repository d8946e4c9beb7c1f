"""What is known without counting, what is kept of a count, and what a calibration file must be."""

from dataclasses import replace

import pytest

from tests.conftest import ROOT
from workflow.base.errors import ConfigError
from workflow.config.load import load_config
from workflow.planning import devices, networks
from workflow.planning.cost import SPARE, cost, predicted_runtime
from workflow.planning.devices import KNOWN, choose, known_device
from workflow.planning.images import images_of
from workflow.planning.networks import Network, known_network, network_of


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "resformer"


def configured(**changes):
    return load_config(ROOT / "config.yaml", {"preset": "paper", **changes})


PAPER = configured()
SMALL = configured(datasets={"isic2017": {"image_size": 128}})


def test_a_count_is_kept_until_the_code_changes(monkeypatch, cache):
    counted = []

    def count(*run):
        counted.append(run)
        return Network(1, 2, 3)

    monkeypatch.setattr(networks, "_count", count)
    assert network_of(SMALL, "isic2017", "octnet") == (1, 2, 3)
    assert network_of(SMALL, "isic2017", "octnet") == (1, 2, 3)
    assert len(counted) == 1
    assert len(list((cache / "networks").iterdir())) == 1
    monkeypatch.setattr(networks, "digest", lambda *of: "of other code")
    network_of(SMALL, "isic2017", "octnet")
    assert len(counted) == 2


def test_what_is_not_on_record_is_taken_from_the_nearest_size(monkeypatch):
    monkeypatch.setattr(networks, "_count", None)  # nothing is counted
    large, small = (known_network(config, "isic2017", "efficientnet") for config in (PAPER, SMALL))
    assert large == network_of(PAPER, "isic2017", "efficientnet")
    assert large is not None
    assert small is not None
    assert small.parameters == large.parameters
    # 128 is nearer to 96, which preset everything has, than to 224.
    demo = load_config(ROOT / "config.yaml", {"preset": "everything"})
    nearest = known_network(demo, "isic2017", "efficientnet")
    assert nearest is not None
    assert small.flops == round(nearest.flops * (128 / 96) ** 2)
    minutes = [predicted_runtime(c, "isic2017", "efficientnet") for c in (SMALL, PAPER)]
    assert 0 < minutes[0] < minutes[1]


def test_an_unknown_network_and_a_control_have_no_prediction(monkeypatch):
    monkeypatch.setattr(networks, "_on_record", dict)
    assert known_network(SMALL, "isic2017", "octnet") is None
    assert predicted_runtime(SMALL, "isic2017", "octnet") == 0
    assert predicted_runtime(PAPER, "isic2017", "control_prior") == 0


def test_measured_memory_replaces_the_reckoned():
    run = ("isic2017", "octnet")
    plain = known_device("A100")
    images = images_of(PAPER, "isic2017")
    pixels = (images.train + images.val) * 224**2 * 4
    reckoned = cost(PAPER, *run, plain).device_bytes - pixels
    measured = replace(plain, memory_factors={"octnet": 3 * SPARE})
    found = cost(PAPER, *run, measured).device_bytes - pixels
    assert found == pytest.approx(3 * reckoned)


def test_a_phantom_volume_has_the_slices_of_a_real_one_at_any_scale():
    made = {"volumes": 10, "scale": 0.25}
    config = load_config(
        ROOT / "config.yaml",
        {
            "preset": "everything",
            "data": {"phantom": {"retouch": made}, "store": "nowhere"},
            "datasets": {"retouch_spectralis": {"slice_step": 4, "split": "kfold 1/5"}},
        },
    )
    images = images_of(config, "retouch_spectralis")
    # Every fourth of 49 is 13; two of ten volumes are a fold, one fold tests and one validates.
    assert images[:3] == (6 * 13, 2 * 13, 2 * 13)


@pytest.mark.parametrize(
    ("name", "known"),
    [("NVIDIA A100 80GB", "A100-80"), ("h100 pcie", "H100-PCIe"), ("rtx 4090", "RTX4090")],
)
def test_a_device_is_found_by_what_people_call_it(name, known):
    assert known_device(name).name == known
    assert known_device(name).peak == KNOWN[known][0] * 1e12


def test_a_file_that_is_no_calibration_is_named(cache):
    file = cache / "calibrations" / "old.json"
    file.parent.mkdir(parents=True)
    for content in ('{"name": "x", "speed": 3}', "{"):
        file.write_text(content)
        with pytest.raises(ConfigError, match=r"old.json: not a calibration.*delete it"):
            choose(None)
    file.unlink()
    devices.save(known_device("T4"))
    assert choose(None).name == "T4"
