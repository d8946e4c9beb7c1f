"""How the DAG is cut into jobs."""

import re

import pytest
from snakemake.persistence.file import FilePersistence

from tests.workflow.config.config_changes import changed
from workflow.running import triggers
from workflow.running.packs import NO_METHOD, at_once, methods_pattern, pack_name, packs
from workflow.running.triggers import own_inputs


@pytest.mark.parametrize(
    ("per_job", "expected"),
    [(1, [[0], [1], [2]]), (2, [[0, 1], [2]]), (5, [[0, 1, 2]])],
)
def test_each_job_is_for_some_seeds_and_the_last_for_the_rest(per_job, expected):
    config = changed({"seeds": [0, 1, 2], "training": {"seeds_per_job": per_job}})
    assert packs(config) == expected


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [([0, 1, 2, 3], [[0, 1], [2, 3]]), ([1, 2], [[1], [2]]), ([3, 7, 2], [[3, 2], [7]])],
)
def test_a_seed_has_the_same_companions_whichever_are_asked_for(seeds, expected):
    config = changed({"seeds": seeds, "training": {"seeds_per_job": 2}})
    assert packs(config) == expected


def test_of_a_seeds_inputs_its_own_count():
    both = ["data/identity.txt", "runs/a/b/seed0/w", "runs/a/b/seed1/w", "seed10/x"]
    assert own_inputs(both, "evaluation/a/b/seed1/counts.parquet") == [both[0], both[2]]
    assert own_inputs(both, "tables/table_I.csv") == both
    assert own_inputs(both, "evaluation/seed10/counts.parquet") == [both[0], both[3]]


def test_the_snakemake_in_use_compares_so():
    class Same(FilePersistence):
        def __init__(self):
            pass

        def input(self, path):
            return {"counts/seed0/c": ["w/seed0", "w/seed1/w"]}.get(path)

        def _input(self, job):
            return job

    assert triggers.install(Same)
    assert not triggers.install(object)
    same = Same()
    assert not same._input_changed(["w/seed0"], "counts/seed0/c")
    assert same._input_changed(["w/seed0", "more"], "counts/seed0/c")
    assert not same._input_changed(["anything"], "unknown")


def test_a_pack_is_called_by_its_seeds():
    assert [pack_name(pack) for pack in ([3], [0, 10])] == ["seed3", "seed0_10"]


def test_no_more_seeds_train_at_once_than_the_job_has():
    config = changed({"training": {"seeds_per_job": 4, "seeds_at_once": 2}})
    assert [at_once(config, pack) for pack in ([0], [0, 1], [0, 1, 2])] == [1, 2, 2]


def test_every_method_is_of_one_kind_and_pretrained_ones_are_trained():
    config = changed({})
    trained, control, pretrained = (
        re.compile(methods_pattern(config, kind)) for kind in ("trained", "control", "pretrained")
    )
    for name in config.methods:
        assert bool(trained.fullmatch(name)) != bool(control.fullmatch(name))
        assert not pretrained.fullmatch(name) or trained.fullmatch(name)
    assert pretrained.fullmatch("autosmim")
    assert control.fullmatch("control_oracle")


def test_a_kind_without_methods_is_a_pattern_that_none_has():
    config = changed({}).model_copy(update={"methods": {}})
    assert methods_pattern(config, "control") == NO_METHOD
