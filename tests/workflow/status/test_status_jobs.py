"""Snakemake's jobs, as the summary at its end takes them."""

from pathlib import Path
from types import SimpleNamespace

from workflow.status.ending import Job
from workflow.status.jobs import jobs_of


class Asked:
    """A job as Snakemake has it."""

    def __init__(self, name, *wildcards, log=None):
        self.name, self.rule = name, SimpleNamespace(name=name)
        self.wildcards, self.log = wildcards, [log] if log else []

    def is_group(self):
        return False


class Group(list):
    """Jobs that are one of Slurm's."""

    name = "run_isic2017_unetpp_seed0"

    def is_group(self):
        return True


def told(jobs, done=(), failed=()):
    dag = SimpleNamespace(jobs=jobs, noneedrun_finished=lambda job: job in done)
    return jobs_of(dag, failed)


def test_jobs_are_done_or_open_with_their_wildcards_and_log():
    prepare = Asked("prepare", "isic2017", log="results/demo/logs/prepare/isic2017.log")
    report = Asked("report")
    assert told([prepare, report], done=[prepare]) == [
        Job("prepare", ("isic2017",), Path("results/demo/logs/prepare/isic2017.log"), "done"),
        Job("report", (), None, "open"),
    ]


def test_a_job_that_failed_is_named_once_and_first():
    first, second = Asked("split", "isic2017"), Asked("prepare", "isic2017")
    found = told([first, second], done=[first], failed=[second])
    assert [(job.rule, job.state, job.group) for job in found] == [
        ("prepare", "failed", None),
        ("split", "done", None),
    ]


def test_all_jobs_of_a_group_that_failed_have_failed_in_their_order():
    train = Asked("train_seed0", "isic2017", "unetpp")
    evaluate = Asked("evaluate_seed0", "isic2017", "unetpp")
    found = told([evaluate, train], failed=[Group([train, evaluate])])
    assert [(job.rule, job.state, job.group) for job in found] == [
        ("train_seed0", "failed", Group.name),
        ("evaluate_seed0", "failed", Group.name),
    ]
