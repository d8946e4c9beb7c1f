"""What follows for a cluster from what the rules ask for."""

from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from tests.workflow.config.config_changes import changed
from workflow.cluster.partitions import Partition
from workflow.cluster.placement import Placement, chains, place
from workflow.cluster.site import SIGNAL, Site

BATCH = Partition("batch", True, 600, frozenset(), True, 64000)
WILDCARDS = SimpleNamespace(dataset="isic2017", method="unetpp")


class Resource:
    """A value as Snakemake's rules hold it."""

    def __init__(self, value):
        self.value = value

    def is_evaluable(self):
        return callable(self.value)


def rule(name, **resources):
    return SimpleNamespace(
        name=name, group="old", resources={key: Resource(v) for key, v in resources.items()}
    )


def placement(**changes):
    known = Placement(
        Site(partition="batch", gpu_partition="gpu", gpu_model="a100"),
        [BATCH],
        chains(changed({"seeds": [0, 1], "training": {"seeds_per_job": 2}})),
        {"train_seed0_1": 2},
        lambda wildcards, seeds, otherwise: 100 * seeds,
        {},
    )
    return known._replace(**changes)


def asked(one, name, attempt=1):
    return one.resources[name](WILDCARDS, attempt=attempt)


def test_the_shares_of_a_group_are_its_whole_time():
    found = chains(changed({"seeds": [0, 1, 2], "training": {"seeds_per_job": 2}}))
    groups: dict[str, float] = {}
    for chain in found.values():
        groups[chain.group] = groups.get(chain.group, 0) + chain.share
    assert groups == {
        "data_{dataset}": 1,
        "run_{dataset}_{method}_seed0_1": 1,
        "run_{dataset}_{method}_seed2": 1,
    }
    assert found["evaluate_seed2"].group == found["train_seed2"].group
    assert "table_II" not in found


def test_a_step_asks_for_its_partition_and_grows_up_to_its_share_of_the_limit():
    one = rule("prepare", mem_mb=4000, runtime=120)
    place(one, placement())
    assert one.group == "data_{dataset}"
    assert one.resources["slurm_partition"] == "batch"
    assert one.resources["slurm_extra"] == SIGNAL
    assert [asked(one, "runtime", attempt) for attempt in (1, 2)] == [120, 150]  # 600 / 4
    assert [asked(one, "mem_mb", attempt) for attempt in (1, 20)] == [4000, 64000]


def test_a_step_on_its_own_may_take_all_of_the_limit():
    one = rule("table_II", mem_mb=2000, runtime=400)
    place(one, placement())
    assert one.group is None
    assert asked(one, "runtime", 2) == 600


def test_training_on_a_gpu_asks_for_what_the_plan_predicts_for_its_seeds():
    one = rule("train_seed0_1", gpu=1, mem_mb=16000, runtime=1440)
    place(one, placement())
    assert one.resources["slurm_partition"] == "gpu"
    assert one.resources["gpu_model"] == "a100"
    assert asked(one, "runtime") == 200
    on_processor = rule("train_seed0_1", gpu=0, mem_mb=16000, runtime=300)
    place(on_processor, placement())
    assert asked(on_processor, "runtime") == 300


@pytest.mark.parametrize("name", ["runtime", "slurm_partition"])
def test_what_the_command_line_gives_stays(name):
    given = {"runtime": 33, "slurm_partition": "own"}
    one = rule("train_seed0_1", gpu=1, **given)
    place(one, placement(given={"train_seed0_1": given}))
    if name == "runtime":
        assert asked(one, "runtime") == 33
    else:
        assert one.resources[name].value == "own"


def test_a_site_that_takes_neither_gpus_nor_memory_is_asked_for_neither():
    """Of what is 0 the plugin says nothing to Slurm."""
    site = Site(gpu_model="3090", gpu_option="gres", ask_memory=False)
    one = rule("train_seed0_1", gpu=1, mem_mb=16000, runtime=60)
    place(one, placement(site=site))
    assert (one.resources["gres"], one.resources["gpu"]) == ("gpu:3090:1", 0)
    assert one.resources["mem_mb"] == 0
    assert "gpu_model" not in one.resources


def test_the_plugin_says_what_the_site_takes():
    job = SimpleNamespace(
        resources=Asked(gpu=0, gres="gpu:3090:1", mem_mb=0, runtime=60, cpus_per_task=2), threads=2
    )
    settings = SimpleNamespace(requeue=True, no_requeue=False, qos=None, reservation=None)
    names = ("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir")
    command = get_submit_command(job, dict.fromkeys(names, "x"), settings) + set_gres_string(job)
    assert command.endswith(" --gres=gpu:3090:1")
    assert "--mem" not in command
    assert "--gpus" not in command


class Asked(dict):
    """Resources as Snakemake's jobs hold them."""

    __getattr__ = dict.__getitem__


def test_what_follows_from_wildcards_stays():
    amount = Resource(lambda wildcards: 1)
    one = rule("prepare")
    one.resources["mem_mb"] = amount
    place(one, placement())
    assert one.resources["mem_mb"] is amount
