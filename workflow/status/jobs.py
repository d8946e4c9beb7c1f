"""The jobs of Snakemake's DAG when it ends, as the summary of `ending.py` takes them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow.status.ending import Job


def jobs_of(dag: Any, failed: Iterable[Any]) -> list[Job]:
    """All jobs that were asked for; those of a group that failed stay in their order.

    Args:
        dag: Snakemake's.
        failed: what its scheduler gave up after the last attempt: jobs, and groups of jobs.
    """
    groups: dict[Any, str | None] = {}
    for job in failed:
        for one in job if job.is_group() else [job]:
            groups[one] = job.name if job.is_group() else None
    jobs = []
    for job in [*groups, *(one for one in dag.jobs if one not in groups)]:
        state = "done" if dag.noneedrun_finished(job) else "open"
        file = Path(job.log[0]) if job.log else None
        jobs.append(
            Job(
                job.rule.name,
                tuple(job.wildcards),
                file,
                "failed" if job in groups else state,
                groups.get(job),
            )
        )
    return jobs
