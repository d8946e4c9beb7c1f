"""The bill: images, networks, costs and schedule against hand-worked cases and properties."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from workflow.base.errors import ConfigError
from workflow.config.cells import Run
from workflow.config.load import load_config
from workflow.planning.bill import REPORTING, make_bill, table_bill
from workflow.planning.cost import COMPILING, START, cost, predicted_runtime, steps_of, work
from workflow.planning.counting import count
from workflow.planning.devices import ASSUMED_SHARE, Device, known_device
from workflow.planning.images import ImageCounts, images_of
from workflow.planning.networks import network_of
from workflow.planning.schedule import wall_seconds
from workflow.training.optimisers import make_optimizer

DEVICE = Device(
    "drill", peak=1e12, memory=10e9, rates={"octnet": 2e11}, evaluating={"octnet": 4e11}
)


def configured(**changes):
    return load_config(ROOT / "config.yaml", {"preset": "paper", **changes})


PAPER = configured()
SMALL = configured(
    select={"datasets": ["retouch_spectralis"], "methods": ["octnet", "control_prior"]},
    seeds=[0, 1, 2],
    training={"seeds_per_job": 2},
)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("isic2017", (2000, 150, 600)),
        # 17, 3 and 4 volumes of 128 B-scans; 17, 3 and 4 of 49.
        ("retouch_cirrus", (17 * 128, 3 * 128, 4 * 128)),
        ("retouch_spectralis", (17 * 49, 3 * 49, 4 * 49)),
    ],
)
def test_images_before_anything_is_prepared(dataset, expected):
    assert images_of(PAPER, dataset) == ImageCounts(*expected, "on record")


def test_a_split_that_draws_its_volumes_is_known_roughly_and_in_all():
    exact = images_of(PAPER, "retouch_cirrus")
    drawn = configured(datasets={"retouch_cirrus": {"split": "kfold 1/4"}})
    found = images_of(drawn, "retouch_cirrus")
    assert found.known == "roughly"
    assert found.total == exact.total
    assert found.test == 6 * 128
    thinned = configured(datasets={"retouch_cirrus": {"slice_step": 8}})
    assert images_of(thinned, "retouch_cirrus").total == exact.total / 8


def test_the_volumes_must_be_on_record_or_prepared():
    unknown = configured(data={"retouch_record": None})
    with pytest.raises(ConfigError, match=r"data.retouch_record: found null.*prepare the data"):
        images_of(unknown, "retouch_cirrus")


@pytest.mark.parametrize("run", [("isic2017", "octnet"), ("retouch_topcon", "efficientnet")])
def test_what_is_on_record_of_a_network_is_what_is_counted(run):
    assert network_of(PAPER, *run) == count(PAPER, *run)


def test_what_is_kept_is_what_a_real_backward_pass_keeps():
    # The same network on a real device, where each tensor has an address of its own.
    sizes = []
    config = configured(datasets={"isic2017": {"image_size": 96}})
    from workflow.networks.build import build_method

    network = build_method(config, "isic2017", "octnet").train()
    for images in (2, 4):
        seen = {}

        def keep(tensor, seen=seen):
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            prediction = network(torch.rand(images, 3, 96, 96))
        sizes.append(sum(seen.values()))
        del prediction
    assert count(config, "isic2017", "octnet")[2] == (sizes[1] - sizes[0]) // 2


def test_every_network_of_the_paper_is_on_record(monkeypatch):
    def refuse(*run):
        raise AssertionError(f"{run} is not in networks.csv")

    monkeypatch.setattr("workflow.planning.networks._count", refuse)
    bill = make_bill(PAPER, DEVICE, gpus=1)
    assert len(bill.costs) == 109
    make_bill(load_config(ROOT / "config.yaml", {"preset": "everything"}), DEVICE, gpus=1)


def test_steps_are_those_that_the_trainer_counts():
    training = PAPER.training
    assert steps_of(training, 2000) == 100 * 250
    assert steps_of(training, 2001) == 100 * 250  # a last batch of one image is left out
    assert steps_of(training, 2002) == 100 * 251
    assert steps_of(training.model_copy(update={"max_steps": 7}), 2000) == 7


def test_a_run_costs_its_passes_over_its_rate():
    network, images = (
        network_of(SMALL, "retouch_spectralis", "octnet"),
        images_of(SMALL, "retouch_spectralis"),
    )
    assert network is not None
    done = work(SMALL, "retouch_spectralis", "octnet", network, images)
    epochs = SMALL.training_for("retouch_spectralis", "octnet").epochs
    assert done.training == 3 * network.flops * epochs * 832  # one image is left over
    assert done.validation == network.flops * epochs * 147
    assert done.scoring == network.flops * 196
    found = cost(SMALL, "retouch_spectralis", "octnet", DEVICE)
    assert found.training == pytest.approx(done.training / 2e11 + done.validation / 4e11)


def test_weights_and_moments_are_those_of_a_real_optimiser():
    network = torch.nn.Linear(10, 10, bias=False)
    training = PAPER.training
    optimizer = make_optimizer(list(network.parameters()), training)
    network(torch.rand(2, 10)).sum().backward()
    optimizer.step()
    held = sum(
        value.nbytes
        for state in optimizer.state.values()
        for name, value in state.items()
        if name != "step"
    )
    found = cost(PAPER, "retouch_spectralis", "octnet", DEVICE)
    assert found.state_bytes / found.weights_bytes == 2 + held / network.weight.nbytes


def test_the_bill_of_a_hand_worked_case():
    bill = make_bill(SMALL, DEVICE, gpus=2)
    one = bill.costs[Run("retouch_spectralis", "octnet")].seconds
    control = bill.costs[Run("retouch_spectralis", "control_prior")].seconds
    assert bill.jobs == 4  # packs of two seeds and of one, of each method
    assert bill.hours(bill.costs) == pytest.approx(3 * (one + control) / 3600)
    start = 2 * START
    longest = start + COMPILING + 2 * one
    others = 3 * start + COMPILING + one + 3 * control
    assert bill.wall == pytest.approx(max(longest, others) + REPORTING)
    assert bill.span == (1.0, 1.0)
    assert bill.disk["weights"] == 3 * 4 * 1_858_403


def test_a_run_that_two_tables_show_counts_once_in_all():
    config = configured(select={"datasets": ["isic2017"], "methods": ["resformer_seq", "unetpp"]})
    bill = make_bill(config, DEVICE, gpus=1)
    tables = table_bill(config, bill)
    assert sum(bill.hours(runs) for runs in tables.values()) > bill.hours(bill.costs)
    shown = {run for runs in tables.values() for run in runs}
    assert bill.hours(shown) == pytest.approx(bill.hours(bill.costs))


def test_more_epochs_and_seeds_cost_more_in_proportion():
    bill = make_bill(SMALL, DEVICE, gpus=1)
    run = Run("retouch_spectralis", "octnet")
    longer = make_bill(configured(training={"epochs": 200}), DEVICE, gpus=1)
    assert longer.costs[run].training == pytest.approx(2 * bill.costs[run].training)
    assert predicted_runtime(SMALL, *run, seeds=4, device=DEVICE) == pytest.approx(
        predicted_runtime(SMALL, *run, seeds=1, device=DEVICE) + 3 * bill.costs[run].training / 60
    )


def test_seeds_at_once_are_those_that_memory_holds():
    run = Run("retouch_spectralis", "octnet")
    needed = make_bill(SMALL, DEVICE, gpus=1).costs[run].device_bytes
    for memory, fit in ((0.5, 0), (1.5, 1), (2.5, 2), (100, 3)):  # there are three seeds
        device = replace(DEVICE, memory=memory * needed)
        assert make_bill(SMALL, device, gpus=1).at_once(run) == fit


def test_a_method_that_was_not_measured_takes_the_median_share():
    measured = Device("x", 1e12, 1e9, rates={"a": 1e11, "b": 3e11, "c": 9e11})
    assert measured.rate("other") == pytest.approx(3e11)
    assert known_device("a100 80").rate("any") == pytest.approx(ASSUMED_SHARE * 312e12)


@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(1, 60))
def test_devices_are_neither_idle_nor_in_two_places(jobs, devices):
    wall, longest = wall_seconds(jobs, devices), max(jobs, default=0.0)
    least = max(sum(jobs) / devices, longest)
    assert wall >= least * (1 - 1e-9)
    # Graham's bound for jobs given in any order; the longest first does at least as well.
    assert wall <= (sum(jobs) - longest) / devices + longest + 1e-3


def test_the_schedule_of_a_hand_worked_case():
    assert wall_seconds([2, 3, 3, 4], 2) == 6
    assert wall_seconds([2, 3, 3, 4], 1) == 12
    with pytest.raises(ValueError, match="found 0 devices"):
        wall_seconds([1], 0)


def test_the_network_of_a_control_is_none():
    assert network_of(PAPER, "isic2017", "control_oracle") is None
