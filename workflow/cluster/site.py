"""slurm/site.yaml: what only the user's cluster knows, and what follows for the jobs' resources.

The file is optional and is kept out of git; slurm/site.example.yaml lists its keys.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from workflow.base.errors import ConfigError
from workflow.base.files import read_yaml
from workflow.cluster.partitions import Partition, chosen

FILE = Path("slurm/site.yaml")
# Sent to the job's step so many seconds before Slurm ends it; training then saves and stops.
SIGNAL = "--signal=USR1@120"


class Site(BaseModel):
    """A cluster's own names; None leaves a choice to the cluster's defaults.

    Attributes:
        longest: minutes; no job asks for more.
        ignore: names of the preflight's findings that must not stop a run.
        webhook: the URL that is told how a run ended (`workflow.cluster.notify`).
        mail: the address that is told so by the host's own mail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: str | None = None
    gpu_partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpu_model: str | None = None
    extra: str = ""
    longest: PositiveInt | None = None
    ignore: tuple[str, ...] = ()
    webhook: str | None = Field(default=None, pattern=r"^https?://\S+$")
    mail: str | None = Field(default=None, pattern=r"^[^\s-]\S*$")

    def resources(self, gpu: bool) -> dict[str, str]:
        """What a job asks for because of this site, in the Slurm plugin's words."""
        asked = {
            "slurm_partition": (self.gpu_partition if gpu else None) or self.partition,
            "slurm_account": self.account,
            "qos": self.qos,
            "constraint": self.constraint if gpu else None,
            "gpu_model": self.gpu_model if gpu else None,
            "slurm_extra": f"{SIGNAL} {self.extra}".strip(),
        }
        return {name: value for name, value in asked.items() if value}

    def longest_of(self, gpu: bool, among: list[Partition]) -> int | None:
        """Minutes that a job may ask for: as the site's file says, or as its partition does."""
        partition = self._partition(gpu, among)
        limits = [limit for limit in (self.longest, partition and partition.minutes) if limit]
        return min(limits, default=None)

    def most_memory_of(self, gpu: bool, among: list[Partition]) -> int | None:
        """MB that a job may ask for: Slurm refuses more than the largest node has."""
        partition = self._partition(gpu, among)
        return partition.memory if partition else None

    def _partition(self, gpu: bool, among: list[Partition]) -> Partition | None:
        return chosen(among, (self.gpu_partition if gpu else None) or self.partition)


def growing(first: int | Callable[[Any], int], longest: int | None = None) -> Callable[..., int]:
    """A resource that grows with each attempt, up to a limit: the last may have run out of it.

    Args:
        first: the value of the first attempt, or how it follows from a job's wildcards.
        longest: the limit.
    """

    def asked(wildcards: Any, attempt: int) -> int:
        amount = attempt * (first if isinstance(first, int) else first(wildcards))
        return min(amount, longest or amount)

    return asked


def load_site(file: Path = FILE) -> Site:
    """The site's file, or the cluster's defaults where there is none.

    Raises:
        ConfigError: it is not a mapping of the known keys.
    """
    if not file.is_file():
        return Site()
    try:
        given = read_yaml(file) or {}
        return Site.model_validate(given)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from None
    except ValidationError as error:
        allowed = ", ".join(Site.model_fields)
        lines = [
            f"{file}: {'.'.join(map(str, found['loc'])) or 'the file'}: {found['msg']}, "
            f"found {found['input']!r}; allowed keys: {allowed}"
            for found in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from None
