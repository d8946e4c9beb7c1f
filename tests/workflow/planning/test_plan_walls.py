"""The time that a bill gives for some devices, whatever they are and however seeds are packed."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from workflow.config.load import load_config
from workflow.planning.bill import REPORTING, make_bill
from workflow.planning.devices import Device, known_device

MEASURED = Device("drill", peak=1e12, memory=10e9, rates={"unetpp": 3e11})


@functools.cache
def configured(seeds, pack, epochs=100):
    return load_config(
        ROOT / "config.yaml",
        {
            "preset": "paper",
            "select": {"datasets": ["isic2017"], "methods": ["unetpp", "vit", "control_prior"]},
            "seeds": list(range(seeds)),
            "training": {"seeds_per_job": pack, "epochs": epochs},
        },
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 12))
def test_the_time_is_between_a_fair_share_and_all_of_it(seeds, pack, gpus):
    bill = make_bill(configured(seeds, pack), known_device("T4"), gpus)
    wall = bill.wall - REPORTING
    assert bill.held / gpus <= wall * (1 + 1e-9)
    assert wall <= bill.held * (1 + 1e-9)
    assert bill.held > 3600 * bill.hours(bill.costs)  # jobs have to start
    least, most = bill.walls
    assert least < bill.wall < most


def test_more_seeds_and_epochs_take_longer_and_more_devices_do_not():
    def wall(seeds, epochs, gpus):
        return make_bill(configured(seeds, 1, epochs), MEASURED, gpus).wall

    assert wall(2, 100, 1) < wall(3, 100, 1) < wall(3, 101, 1)
    assert wall(3, 100, 1) > wall(3, 100, 2) >= wall(3, 100, 30) == wall(3, 100, 31)


def test_a_measured_device_leaves_no_range_and_packs_save_starts():
    alone, packed = (make_bill(configured(4, pack), MEASURED, gpus=1) for pack in (1, 4))
    assert alone.walls == pytest.approx((alone.wall, alone.wall))
    assert (alone.jobs, packed.jobs) == (4 * len(alone.costs), len(alone.costs))
    assert packed.held < alone.held
    assert packed.hours(packed.costs) == pytest.approx(alone.hours(alone.costs))
