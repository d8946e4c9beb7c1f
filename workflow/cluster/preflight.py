"""`snakemake preflight`, or `python -m workflow.cluster.preflight`: is this cluster ready?

Looks before a job is queued at what would make jobs wait for ever or fail at once. Each finding is
one line: what was found, why it matters, what to do. A finding that stops a run can be overruled by
its name in `ignore` of slurm/site.yaml. It starts no job.
"""

import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from workflow import cells, paths
from workflow.cluster.partitions import Partition, chosen, partitions
from workflow.cluster.runtime import device_of
from workflow.cluster.site import FILE, Site, load_site
from workflow.config import Config
from workflow.config_errors import ConfigError
from workflow.planning.bill import make_bill
from workflow.step import read_config

# Folders that each machine has for itself, as a rule.
LOCAL = ("/tmp", "/var/tmp", "/dev/shm", "/scratch/local")
# Shorter than this, and training spends its jobs on starting.
LEAST_MINUTES = 30


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        name: what `ignore` calls it.
        stops: whether a run would fail or wait for ever because of it.
    """

    name: str
    stops: bool
    what: str
    why: str
    cure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}; {self.why}. {self.cure}."


class Cluster(NamedTuple):
    """What the checks look at."""

    config: Config
    site: Site
    partitions: list[Partition]
    folder: Path


def preflight(config: Config, site: Site, folder: Path | None = None) -> list[Finding]:
    """Everything that stands in a run's way, the worst first; those ignored do not stop it."""
    cluster = Cluster(config, site, partitions(), folder or Path.cwd())
    found = [finding for check in CHECKS for finding in check(cluster)]
    known = [f._replace(stops=f.stops and f.name not in site.ignore) for f in found]
    return sorted(known, key=lambda finding: not finding.stops)


def _commands(_: Cluster) -> Iterator[Finding]:
    missing = [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]
    if missing:
        yield Finding(
            "commands",
            True,
            f"{', '.join(missing)} not found",
            "jobs are handed to Slurm with them",
            "Log in to a host that submits jobs, or load the cluster's Slurm module",
        )


def _controller(_: Cluster) -> Iterator[Finding]:
    if shutil.which("squeue") and not _answers("squeue", "--me", "--noheader"):
        yield Finding(
            "controller",
            True,
            "squeue does not answer",
            "Slurm's controller is down or does not know this host",
            "Try `squeue --me` by hand, and ask the administrators if it fails",
        )


def _job_age(_: Cluster) -> Iterator[Finding]:
    """Snakemake asks every three minutes at most; Slurm forgets ended jobs after MinJobAge."""
    said = _output("scontrol", "show", "config") or ""
    ages = [line.split("=")[1] for line in said.splitlines() if line.startswith("MinJobAge")]
    age = int("".join(c for c in ages[0] if c.isdigit()) or 0) if ages else 300
    if age < 200 and not _answers("sacct", "--allusers", "--starttime=now"):
        yield Finding(
            "job-age",
            False,
            f"Slurm forgets jobs {age} s after their end, and has no accounting",
            "a job that ends between two looks counts as failed and is tried again",
            "Ask for MinJobAge of 300 s or more",
        )


def _gpus(cluster: Cluster) -> Iterator[Finding]:
    site = cluster.site
    wanted = site.gpu_partition or site.partition
    partition = chosen(cluster.partitions, wanted)
    with_gpus = [p for p in cluster.partitions if p.gpus and p.up]
    names = ", ".join(f"{p.name} ({'/'.join(sorted(p.gpus))})" for p in with_gpus) or "none"
    if cluster.config.demo or not cluster.partitions:
        return
    if partition is None:
        found = f"no partition {wanted}" if wanted else "no default partition"
        cure = f"Name one in {FILE}: gpu_partition; with GPUs there are: {names}"
        yield Finding("partition", True, found, "training jobs would be refused", cure)
    elif not partition.gpus:
        yield Finding(
            "gpu",
            True,
            f"partition {partition.name} has no GPU",
            "training and evaluation ask for one each, and would be refused or wait for ever",
            f"Set gpu_partition in {FILE}; with GPUs there are: {names}",
        )
    elif site.gpu_model and site.gpu_model not in partition.gpus:
        yield Finding(
            "gpu-model",
            True,
            f"partition {partition.name} has no GPU {site.gpu_model}",
            "training jobs would be refused",
            f"Set gpu_model in {FILE} to one of {', '.join(sorted(partition.gpus))}, or drop it",
        )


def _partition(cluster: Cluster) -> Iterator[Finding]:
    name = cluster.site.partition
    partition = chosen(cluster.partitions, name)
    names = ", ".join(p.name for p in cluster.partitions)
    if cluster.partitions and (partition is None or not partition.up):
        yield Finding(
            "partition",
            True,
            f"partition {name} is not there or takes no jobs" if name else "no default partition",
            "jobs on CPUs would be refused or wait for ever",
            f"Set partition in {FILE}; there are: {names}",
        )


def _time(cluster: Cluster) -> Iterator[Finding]:
    longest = cluster.site.longest_of(True, cluster.partitions)
    if longest and longest < LEAST_MINUTES:
        yield Finding(
            "time",
            True,
            f"jobs on GPUs may take {longest} minutes at most",
            "training would spend its jobs on starting",
            f"Choose another gpu_partition or longest in {FILE}",
        )


def _shared(cluster: Cluster) -> Iterator[Finding]:
    folder = str(cluster.folder.resolve())
    executable = str(Path(sys.executable).resolve())
    for what, path in (("this folder", folder), ("Python", executable)):
        if path.startswith(tuple(f"{local}/" for local in LOCAL)):
            yield Finding(
                "shared",
                False,
                f"{what} is under {path}, which is usually local to one machine",
                "jobs on other nodes would not find it",
                "Clone and `uv sync` on a file system that all nodes see, such as your home",
            )


def _disk(cluster: Cluster) -> Iterator[Finding]:
    try:
        bill = make_bill(cluster.config, device_of(cluster.site.gpu_model), gpus=1)
    except ConfigError:
        return  # a folder of the user's own, whose images are counted once it is prepared
    free, needed = shutil.disk_usage(cluster.folder).free, sum(bill.disk.values())
    if free < needed:
        yield Finding(
            "disk",
            False,
            f"{free / 1e9:.0f} GB are free, and {needed / 1e9:.0f} GB or more will be written",
            "runs that cannot save their state fail",
            "Free some space, or set training.keep_weights to false",
        )


def _internet(cluster: Cluster) -> Iterator[Finding]:
    config, url = cluster.config, cluster.config.data.isic2017_url
    needed = "isic2017" in cells.chosen_datasets(config) and not config.given_dir("isic2017")
    if config.demo or not needed or paths.downloaded(config, "isic2017").exists():
        return
    if not _reachable(url):
        yield Finding(
            "internet",
            True,
            f"{url} cannot be reached from this host",
            "ISIC 2017 is downloaded here, on the submitting host",
            "Set HTTPS_PROXY, or fetch the archives elsewhere and set ISIC2017_DIR",
        )


CHECKS: tuple[Callable[[Cluster], Iterator[Finding]], ...] = (
    _commands,
    _controller,
    _job_age,
    _partition,
    _gpus,
    _time,
    _shared,
    _disk,
    _internet,
)


def _output(*command: str) -> str | None:
    """What a command prints; None if it is missing, fails or takes more than 20 seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _answers(*command: str) -> bool:
    return _output(*command) is not None


def _reachable(url: str) -> bool:
    """Whether a server answers, whatever it says."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=8).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Print what is found for a results/PRESET/config.json; 1 if anything stops a run."""
    found = preflight(read_config(Path(arguments[0])), load_site())
    lines = [f"{'STOP' if finding.stops else 'note'}  {finding}" for finding in found]
    lines = lines or ["Nothing stands in the way of a run on this cluster."]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(finding.stops for finding in found))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as error:
        sys.exit(f"error: {error}")
