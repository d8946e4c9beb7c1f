"""Raw files that only the user can give: a run ends before its first job where they are not there.

Imports next to nothing, because each run of Snakemake asks here.
"""

from typing import Any

from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.model import Config


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
    root = paths.raw_dir(config, "retouch")
    if "retouch" in needed and not config.demo and not root.exists():
        # Here, because it imports what reads volumes.
        from workflow.data.sources.retouch import HOW_TO_GET

        raise ConfigError(f"{root}: not there, and RETOUCH is needed.\n{HOW_TO_GET}")
