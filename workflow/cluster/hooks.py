"""What is said and asked around a run of Snakemake: ahead of its first job, and at its end.

The Snakefile calls it at these moments. What a moment needs is imported when it has come: most
runs, and all jobs, have nothing to ask or to say.
"""

import time
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from workflow.base.errors import ConfigError
from workflow.cluster.site import Site
from workflow.config.model import Config
from workflow.running import owners
from workflow.status.terminal import Display

# Targets that say something of a run and are none.
ABOUT_RUNS = {"preflight", "plan"}
# When this process began; what it made is younger.
BEGAN = time.time()


def begin_run(config: Config, workflow: Any, asked: Any) -> bool:
    """Write down that this run goes on; False, and nothing done, of what is only about runs.

    Args:
        config: the configuration of the run.
        workflow: Snakemake's.
        asked: what the run was asked for, as plain values.

    Raises:
        WorkflowError: another run writes to the same folder, and was asked for something else.
    """
    if {job.rule.name for job in workflow.dag.needrun_jobs()} <= ABOUT_RUNS:
        return False
    executor = getattr(workflow.scheduler, "_executor", None)
    try:
        owners.begin(config.results, asked, getattr(executor, "run_uuid", None))
    except ConfigError as error:
        raise WorkflowError(f"Two runs would be mixed.\n{error}.") from None
    return True


def check_cluster(config: Config, workflow: Any, site: Site) -> None:
    """End before the first job, with what to do, where the cluster could not run them.

    Args:
        config: the configuration of the run.
        workflow: Snakemake's.
        site: the cluster's own names.

    Raises:
        WorkflowError: the cluster is not ready, or still has jobs of a run that was killed.
    """
    if ABOUT_RUNS & {job.rule.name for job in workflow.dag.needrun_jobs()}:
        return
    from workflow.cluster.leftovers import end_leftovers
    from workflow.cluster.preflight import preflight

    found = preflight(config, site)
    for finding in found:
        logger.warning(f"preflight: {finding}")
    if any(finding.stops for finding in found):
        raise WorkflowError(
            "This cluster is not ready for the run, as the lines above say. Where a finding is "
            "wrong, add its name to `ignore` in slurm/site.yaml."
        )
    if not workflow.execution_settings.lock:
        return  # another Snakemake may run here, and the jobs may be its
    try:
        left = end_leftovers(Path.cwd(), config.results)
    except ConfigError as error:
        raise WorkflowError(f"A run that was killed may still have jobs.\n{error}.") from None
    if left.ended:
        logger.warning(
            f"Slurm jobs {', '.join(left.ended)} of a run that was killed were still in the queue; "
            "they are cancelled, and training goes on from its last states."
        )
    if left.unknown:
        logger.warning(
            f"Slurm jobs {', '.join(left.unknown)} were submitted from this folder by a run of "
            "which nothing is known here, perhaps because .snakemake was deleted. They are left "
            f"alone; if they are of {config.results}, stop this run and cancel them (scancel)."
        )


def tell_end(
    config: Config, workflow: Any, site: Site | None, display: Display | None = None
) -> None:
    """Say what came of it and which runs failed; and to whom slurm/site.yaml names, too.

    Args:
        config: the configuration of the run.
        workflow: Snakemake's.
        site: the cluster's own names; None if this is no cluster.
        display: what shows progress, which ends; None where Snakemake shows it.
    """
    if display:
        display.end()
    rules = {job.rule.name for job in workflow.dag.jobs}
    if not workflow.is_main_process:
        return
    owners.end()
    if workflow.touch or rules & ABOUT_RUNS:
        return
    from workflow.status.ending import ending
    from workflow.status.jobs import jobs_of

    jobs = jobs_of(workflow.dag, workflow.scheduler.failed)
    try:
        end = ending(config, jobs, began=BEGAN, now=time.time())
        for line in end.headlines if end else ():
            logger.info(line)
    except Exception as error:  # noqa: BLE001 - what was made must not count as failed for this
        logger.warning(f"How the runs ended cannot be told: {error!r}")
        return
    if end is None:
        return
    (logger.warning if end.failures else logger.info)(end.text)
    if site is not None:
        from workflow.cluster.notify import notify

        for warning in notify(site, end.title, end.text):
            logger.warning(warning)
