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
from workflow.running import locks
from workflow.status.terminal import Display

# Targets that say something of a run and are none.
ABOUT_RUNS = {"preflight", "plan"}


def check_cluster(config: Config, workflow: Any, site: Site) -> None:
    """End before the first job, with what to do, where the cluster could not run them.

    Args:
        config: of the run.
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
        ended = end_leftovers(Path.cwd())
    except ConfigError as error:
        raise WorkflowError(f"A run that was killed may still have jobs.\n{error}.") from None
    if ended:
        logger.warning(
            f"Slurm jobs {', '.join(ended)} of a run that was killed were still in the queue; they "
            "are cancelled, and training goes on from its last states."
        )


def tell_end(
    config: Config, workflow: Any, site: Site | None, display: Display | None = None
) -> None:
    """Say what came of it and which runs failed; and to whom slurm/site.yaml names, too.

    Args:
        config: of the run.
        workflow: Snakemake's.
        site: the cluster's own names; None if this is no cluster.
        display: what shows progress, which ends; None where Snakemake shows it.
    """
    if display:
        display.end()
    rules = {job.rule.name for job in workflow.dag.jobs}
    if not workflow.is_main_process or workflow.touch or rules & ABOUT_RUNS:
        return
    from workflow.status.ending import ending
    from workflow.status.jobs import jobs_of

    jobs = jobs_of(workflow.dag, workflow.scheduler.failed)
    try:
        end = ending(config, jobs, began=locks.OWNER.stat().st_mtime, now=time.time())
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
