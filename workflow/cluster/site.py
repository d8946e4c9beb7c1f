"""slurm/site.yaml: what only the user's cluster knows, and what follows for the jobs' resources.

The file is optional and is kept out of git; slurm/site.example.yaml lists its keys.
"""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from workflow.base.errors import ConfigError
from workflow.base.plain import hidden
from workflow.cluster.partitions import Partition, chosen, minutes

FILE = Path("slurm/site.yaml")
# Sent to the job's step so many seconds before Slurm ends it; training then saves and stops.
SIGNAL = "--signal=USR1@120"
# What stands for no value, and for no limit.
NOTHING = ("", "~", "null")
ENDLESS = ("infinite", "unlimited")


def _minutes(given: Any) -> Any:
    """A time limit as Slurm's commands take it, as minutes."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    text = str(given).strip()
    found = None if text.lower() in ENDLESS else minutes(text)
    if found is None and text.lower() not in ENDLESS:
        raise ValueError(
            "expected a time limit as Slurm writes it: minutes (90), hours:minutes:seconds "
            "(24:00:00) or days-hours (1-12)"
        )
    return found


def _listed(given: Any) -> Any:
    """Several partitions as sbatch takes them: `gpu,scav`."""
    names = given if isinstance(given, list) else str(given).split(",")
    return ",".join(str(name).strip() for name in names)


def _flags(text: str) -> str:
    """Flags for sbatch that a shell takes as they are, whatever stands in them."""
    if number := hidden(text):
        raise ValueError(f"expected flags that can be read, so take {number} out")
    return shlex.join(shlex.split(text))


Name = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*$")]
Partitions = Annotated[Name, BeforeValidator(_listed)]
Limit = Annotated[Annotated[int, Field(gt=0)] | None, BeforeValidator(_minutes)]


class Site(BaseModel):
    """A cluster's own names; None leaves a choice to the cluster's defaults.

    Attributes:
        partition, gpu_partition: one name, or several with commas between them.
        gpu_option: the option by which a job asks for a GPU; some sites take --gres alone.
        ask_memory: whether jobs say how much memory they need; some sites refuse --mem.
        longest: minutes; no job asks for more.
        ignore: names of the preflight's findings that must not stop a run.
        webhook: the URL that is told how a run ended (`workflow.cluster.notify`).
        mail: the address that is told so by the host's own mail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: Partitions | None = None
    gpu_partition: Partitions | None = None
    account: Name | None = None
    qos: Name | None = None
    constraint: Name | None = None
    # What the Slurm plugin takes; another type is asked for by `constraint`.
    gpu_model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$")] | None = None
    gpu_option: Literal["gpus", "gres"] = "gpus"
    ask_memory: bool = True
    extra: Annotated[str, AfterValidator(_flags)] = ""
    longest: Limit = None
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
            "gpu_model": self.gpu_model if gpu and self.gpu_option == "gpus" else None,
            "gres": self.gres if gpu and self.gpu_option == "gres" else None,
            "slurm_extra": f"{SIGNAL} {self.extra}".strip(),
        }
        return {name: value for name, value in asked.items() if value}

    @property
    def gres(self) -> str:
        """One GPU, as `--gres` has it."""
        return ":".join(filter(None, ("gpu", self.gpu_model, "1")))

    def longest_of(self, gpu: bool, among: list[Partition]) -> int | None:
        """Minutes that a job may ask for, so that it can start in each of its partitions."""
        limits = [self.longest, *(p.minutes for p in self.partitions_of(gpu, among))]
        return min(filter(None, limits), default=None)

    def most_memory_of(self, gpu: bool, among: list[Partition]) -> int | None:
        """MB that a job may ask for: Slurm refuses more than the largest node has."""
        return max((p.memory for p in self.partitions_of(gpu, among)), default=None)

    def partitions_of(self, gpu: bool, among: list[Partition]) -> list[Partition]:
        """The partitions that a job may start in, of those that are there."""
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
        # All of it as text: an account may be a number, and 24:00:00 is one to YAML.
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        given = yaml.load(file.read_text(encoding="utf-8"), Loader=loader) or {}
        if isinstance(given, dict):
            given = {key: value for key, value in given.items() if value not in NOTHING}
        return Site.model_validate(given)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8: {error}; save it as UTF-8") from None
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
