"""Raw files that only the user can give: a run ends before its first job where they are not there.

Imports next to nothing, because each run of Snakemake asks here.
"""

from typing import Any

from workflow.base.errors import ConfigError
from workflow.config.model import Config
from workflow.running import raw_files


def needed_sources(dag: Any) -> set[str]:
    """The sources whose raw files jobs of Snakemake's DAG are about to list."""
    return {job.wildcards.source for job in dag.needrun_jobs() if job.rule.name == "raw"}


def require_raw_files(config: Config, needed: set[str]) -> None:
    """See that raw files are there which nobody else can fetch.

    Args:
        config: says where they lie.
        needed: sources whose raw files are about to be listed.

    Raises:
        ConfigError: they are not there; the message says how to get them.
    """
    if missing := raw_files.missing(config, needed):
        raise ConfigError(missing)
