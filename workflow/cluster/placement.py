"""What follows for a cluster from what the rules ask for, settled while the DAG is built.

Where each job goes, the signal ahead of its time limit, more memory and time with each attempt, and
which steps are one job of Slurm's. The rules themselves know of no cluster.
"""

import atexit
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from workflow.base.errors import ConfigError
from workflow.cluster import polling
from workflow.cluster.partitions import Partition, partitions
from workflow.cluster.runtime import device_of, to_train
from workflow.cluster.site import Site, growing, load_site
from workflow.cluster.submission import tell_submission
from workflow.config.model import Config
from workflow.running.packs import pack_name, packs

DATA_STEPS = ("inventory", "split", "prepare", "gates")
# Of the time limit of a job that trains and then evaluates.
TRAIN_SHARE, EVALUATE_SHARE = 3 / 4, 1 / 4
# As `uv.lock` has it; `polling` puts a function of ours in the place of one of its.
PLUGIN = "snakemake_executor_plugin_slurm"


class Chain(NamedTuple):
    """The group that a rule's jobs are in, with its wildcards, and their share of its time."""

    group: str
    share: float


class Placement(NamedTuple):
    """All that places the rules of one run.

    Attributes:
        site: the cluster's own names.
        partitions: what Slurm says of the cluster; none where it does not answer.
        chains: rule -> the group that its jobs are in; other jobs are submitted one by one.
        seeds: rule that trains -> the number of seeds that its jobs train.
        minutes: how long training takes, by a job's wildcards (`workflow.cluster.runtime`).
        given: rule -> the resources that the command line sets; they stay.
    """

    site: Site
    partitions: list[Partition]
    chains: dict[str, Chain]
    seeds: dict[str, int]
    minutes: Callable[..., int]
    given: dict[str, dict[str, Any]]


def place_all(config: Config, workflow: Any) -> Site:
    """Give all rules of a workflow what this cluster needs, and return the cluster's own names.

    A dry run will say at its end which jobs Slurm would be given, and the Slurm plugin asks how
    jobs stand as `workflow.cluster.polling` does.

    Args:
        config: the configuration of the run.
        workflow: Snakemake's, with all its rules.

    Raises:
        WorkflowError: slurm/site.yaml cannot be used.
    """
    try:
        site = load_site()
    except ConfigError as error:
        raise WorkflowError(f"The cluster's settings cannot be used.\n{error}") from None
    placement = Placement(
        site,
        partitions(),
        chains(config),
        {f"train_{pack_name(pack)}": len(pack) for pack in packs(config)},
        to_train(config, device_of(site.gpu_model)),
        workflow.resource_settings.overwrite_resources,
    )
    for rule in workflow.rules:
        place(rule, placement)
    atexit.register(tell_submission, workflow)  # Snakemake has no hook for dry runs
    if not polling.install(import_module(PLUGIN)):
        logger.warning(
            "This version of the Slurm plugin is not the one in uv.lock: jobs that are held or "
            "preempted for good are not noticed. Run `uv sync`."
        )
    return site


def chains(config: Config) -> dict[str, Chain]:
    """Rule -> the group of those that follow each other on the same files.

    A group is one job of Slurm's. Tables and figures stay apart: a group waits for all that its
    rules rest on, and one run that cannot be trained would keep back the tables without it.
    """
    found = {step: Chain("data_{dataset}", 1 / len(DATA_STEPS)) for step in DATA_STEPS}
    for pack in packs(config):
        seeds = pack_name(pack)
        group = f"run_{{dataset}}_{{method}}_{seeds}"
        found[f"train_{seeds}"] = Chain(group, TRAIN_SHARE)
        found[f"evaluate_{seeds}"] = Chain(group, EVALUATE_SHARE)
    return found


def place(rule: Any, placement: Placement) -> None:
    """Give one rule of Snakemake's what the cluster needs; what the command line gives stays."""
    site, resources = placement.site, rule.resources
    gpu = bool(resources["gpu"].value) if "gpu" in resources else False
    for name, value in site.resources(gpu).items():
        if name not in resources:
            resources[name] = value
    given = placement.given.get(rule.name, {})
    seeds = placement.seeds.get(rule.name)
    chain = placement.chains.get(rule.name)
    rule.group = chain.group if chain else None
    longest = site.longest_of(gpu, placement.partitions)
    limits = {
        "mem_mb": site.most_memory_of(gpu, placement.partitions),
        "runtime": longest and int((chain.share if chain else 1) * longest),
    }
    for name, most in limits.items():
        if name in resources and not resources[name].is_evaluable():
            first = resources[name].value
            if name == "runtime" and gpu and seeds and name not in given:
                first = partial(placement.minutes, seeds=seeds, otherwise=first)
            resources[name] = growing(first, most)
    unasked = ["gpu"] if gpu and site.gpu_option == "gres" else []
    unasked += [] if site.ask_memory else ["mem_mb"]
    for name in unasked:
        if name in resources and name not in given:
            resources[name] = 0  # of which the plugin says nothing to Slurm
