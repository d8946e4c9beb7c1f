"""`snakemake preflight`, or `resformer preflight`: is this cluster ready?

Looks before a job is queued at what would make jobs wait for ever or fail at once. Each finding is
one line: what was found, why it matters, what to do. A finding that stops a run can be overruled by
its name in `ignore` of slurm/site.yaml. As a command it also asks nodes (`workflow.cluster.node`);
what runs by itself before each run starts no job.
"""

import contextlib
import http.client
import math
import shutil
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from workflow.base.errors import ConfigError
from workflow.cluster import node
from workflow.cluster.findings import Cluster, PreflightFinding, answers, output
from workflow.cluster.notify import mailer
from workflow.cluster.partitions import Partition, partitions
from workflow.cluster.runtime import device_of
from workflow.cluster.site import FILE, Site
from workflow.config import cells, paths
from workflow.config.model import Config
from workflow.config.sources import SOURCES
from workflow.planning.bill import make_bill

# Folders that each machine has for itself, as a rule.
LOCAL = ("/tmp", "/var/tmp", "/dev/shm", "/scratch/local")
SECONDS_TO_REACH = 10.0
# Shorter than this, and training spends its jobs on starting.
LEAST_MINUTES = 30
# With one of these no job would be taken, so no node is asked.
NO_JOBS = {"commands", "controller", "partition", "gpu", "gpu-model"}


def preflight(config: Config, site: Site, folder: Path | None = None) -> list[PreflightFinding]:
    """Everything that stands in a run's way, the worst first; those ignored do not stop it.

    Starts no job, and so knows nothing of nodes but what Slurm says of them.
    """
    cluster = Cluster(config, site, partitions(), folder or Path.cwd())
    return _known(cluster, [finding for check in CHECKS for finding in check(cluster)])


def preflight_with_nodes(
    config: Config, site: Site, folder: Path | None = None, patience: float = node.PATIENCE
) -> tuple[list[PreflightFinding], list[str]]:
    """The same, and what nodes say that run a short job each, if they do so in time.

    Args:
        config: what is to be run.
        site: what is known of the cluster.
        folder: the repository; the current folder if None.
        patience: seconds until nodes must have answered.

    Returns:
        What stands in a run's way, and a line on each node that answered.
    """
    cluster = Cluster(config, site, partitions(), folder or Path.cwd())
    found = preflight(config, site, cluster.folder)
    if any(finding.stops and finding.name in NO_JOBS for finding in found):
        return found, []
    heard = node.ask(cluster, patience)
    if any(answer.elsewhere and answer.reported.get("folder") == "yes" for answer in heard):
        found = [finding for finding in found if finding.name != "shared"]  # it was a guess
    full = any(finding.name == "disk" for finding in found)
    found += node.findings(cluster, heard, 0 if full else _needed(cluster))
    return _known(cluster, found), [node.summary(answer) for answer in heard if answer.reported]


def _known(cluster: Cluster, found: list[PreflightFinding]) -> list[PreflightFinding]:
    """What was found, the worst first, with what the user knows better."""
    ignored = cluster.site.ignore
    known = [f._replace(stops=f.stops and f.name not in ignored) for f in found]
    return sorted(known, key=lambda finding: not finding.stops)


def _commands(_: Cluster) -> Iterator[PreflightFinding]:
    missing = [name for name in ("sbatch", "squeue", "scancel", "srun") if not shutil.which(name)]
    if missing:
        yield PreflightFinding(
            "commands",
            True,
            f"{', '.join(missing)} not found",
            "jobs are handed to Slurm with them",
            "Log in to a host that submits jobs, or load the cluster's Slurm module",
        )


def _controller(_: Cluster) -> Iterator[PreflightFinding]:
    if shutil.which("squeue") and not answers("squeue", "--me", "--noheader"):
        yield PreflightFinding(
            "controller",
            True,
            "squeue does not answer",
            "Slurm's controller is down or does not know this host",
            "Try `squeue --me` by hand, and ask the administrators if it fails",
        )


def _job_age(_: Cluster) -> Iterator[PreflightFinding]:
    """Snakemake asks every three minutes at most; Slurm forgets ended jobs after MinJobAge."""
    settings = output("scontrol", "show", "config") or ""
    ages = [line.split("=")[1] for line in settings.splitlines() if line.startswith("MinJobAge")]
    age = int("".join(c for c in ages[0] if c.isdigit()) or 0) if ages else 300
    if age < 200 and not answers("sacct", "--allusers", "--starttime=now"):
        yield PreflightFinding(
            "job-age",
            False,
            f"Slurm forgets jobs {age} s after their end, and has no accounting",
            "a job that ends between two looks counts as failed and is tried again",
            "Ask for MinJobAge of 300 s or more",
        )


def _gpus(cluster: Cluster) -> Iterator[PreflightFinding]:
    site = cluster.site
    wanted = site.gpu_partition or site.partition
    found = site.partitions_of(True, cluster.partitions)
    with_gpus = [p for p in cluster.partitions if p.gpus and p.up]
    names = ", ".join(f"{p.name} ({'/'.join(sorted(p.gpus))})" for p in with_gpus) or "none"
    if cluster.config.demo or not cluster.partitions:
        return
    without = [p.name for p in found if not p.gpus]
    types = sorted({kind for p in found for kind in p.gpus})
    if missing := _missing(wanted, found):
        cure = f"Name one in {FILE}: gpu_partition; with GPUs there are: {names}"
        yield PreflightFinding("partition", True, missing, "training jobs would be refused", cure)
    elif without:
        yield PreflightFinding(
            "gpu",
            True,
            f"partition {' and '.join(without)} has no GPU",
            "training and evaluation ask for one each, and would be refused or wait for ever",
            f"Set gpu_partition in {FILE}; with GPUs there are: {names}",
        )
    elif site.gpu_model and site.gpu_model not in types:
        yield PreflightFinding(
            "gpu-model",
            True,
            f"partition {' and '.join(p.name for p in found)} has no GPU {site.gpu_model}",
            "training jobs would be refused",
            f"Set gpu_model in {FILE} to one of {', '.join(types)}, or drop it",
        )


def _partition(cluster: Cluster) -> Iterator[PreflightFinding]:
    found = cluster.site.partitions_of(False, cluster.partitions)
    missing = _missing(cluster.site.partition, [p for p in found if p.up])
    names = ", ".join(p.name for p in cluster.partitions)
    if cluster.partitions and missing:
        yield PreflightFinding(
            "partition",
            True,
            f"{missing}, or it takes no jobs" if cluster.site.partition else missing,
            "jobs on CPUs would be refused or wait for ever",
            f"Set partition in {FILE}; there are: {names}",
        )


def _missing(wanted: str | None, found: list[Partition]) -> str | None:
    """What is not among the partitions that are there; None if all is."""
    if wanted is None:
        return None if found else "no default partition"
    absent = [name for name in wanted.split(",") if name not in {p.name for p in found}]
    return f"no partition {' and '.join(absent)}" if absent else None


def _time(cluster: Cluster) -> Iterator[PreflightFinding]:
    longest = cluster.site.longest_of(True, cluster.partitions)
    if longest and longest < LEAST_MINUTES:
        yield PreflightFinding(
            "time",
            True,
            f"jobs on GPUs may take {longest} minutes at most",
            "training would spend its jobs on starting",
            f"Choose another gpu_partition or longest in {FILE}",
        )


def _shared(cluster: Cluster) -> Iterator[PreflightFinding]:
    folder = str(cluster.folder.resolve())
    executable = str(Path(sys.executable).resolve())
    for what, path in (("this folder", folder), ("Python", executable)):
        if path.startswith(tuple(f"{local}/" for local in LOCAL)):
            yield PreflightFinding(
                "shared",
                False,
                f"{what} is under {path}, which is usually local to one machine",
                "jobs on other nodes would not find it",
                "Clone and `uv sync` on a file system that all nodes see, such as your home",
            )


def _disk(cluster: Cluster) -> Iterator[PreflightFinding]:
    free, needed = shutil.disk_usage(cluster.results).free, _needed(cluster)
    if free < needed:
        yield PreflightFinding(
            "disk",
            False,
            f"{free / 1e9:.0f} GB are free, and {needed / 1e9:.0f} GB or more will be written",
            "runs that cannot save their state fail",
            "Free some space, or set training.keep_weights to false",
        )


def _quota(cluster: Cluster) -> Iterator[PreflightFinding]:
    """What `quota` says of the file system that results go to; it fails where one is exceeded."""
    device = (output("df", "-P", str(cluster.results)) or "").splitlines()[-1:]
    lines = (output("quota", "--no-wrap", failed=True) or "").splitlines()
    words = [line.split() for line in lines]
    mine = [w for w in words if device and len(w) > 3 and w[0] == device[0].split()[0]]
    needed = _needed(cluster) if mine else 0
    for _, used, *limits in mine:
        allowed = [int(limit) for limit in limits[:2] if limit.isdigit() and int(limit)]
        left = (min(allowed) - int(used.rstrip("*"))) * 1024 if allowed else math.inf
        if left < needed:
            yield PreflightFinding(
                "quota",
                False,
                f"your quota leaves {max(0, left) / 1e9:.0f} GB where results go, and "
                f"{needed / 1e9:.0f} GB or more will be written",
                "runs that cannot save their state fail",
                "Ask for more, make results a link to a larger file system, or set "
                "training.keep_weights to false",
            )


def _needed(cluster: Cluster) -> float:
    """Bytes that a run writes; 0 where images of the user's own are not counted yet."""
    try:
        bill = make_bill(cluster.config, device_of(cluster.site.gpu_model), gpus=1)
    except ConfigError:
        return 0
    return sum(bill.disk.values())


def _internet(cluster: Cluster) -> Iterator[PreflightFinding]:
    config = cluster.config
    needed = {config.datasets[dataset].source for dataset in cells.chosen_datasets(config)}
    for source in sorted(filter(config.fetches, needed)):
        url = config.address(source)
        if not paths.downloaded(config, source).exists() and not _reachable(url):
            yield PreflightFinding(
                "internet",
                True,
                f"{url} cannot be reached from this host",
                f"{SOURCES[source].title} is downloaded here, on the submitting host",
                f"Set HTTPS_PROXY, or fetch the archives elsewhere and set {source.upper()}_DIR",
            )


def _mail(cluster: Cluster) -> Iterator[PreflightFinding]:
    if cluster.site.mail and not mailer():
        yield PreflightFinding(
            "mail",
            False,
            f"{FILE} has mail, and this host has neither `mail` nor `sendmail`",
            "nobody would be told how the run ended",
            "Use a webhook, or start the run from a host that sends mail",
        )


CHECKS: tuple[Callable[[Cluster], Iterator[PreflightFinding]], ...] = (
    _commands,
    _controller,
    _job_age,
    _partition,
    _gpus,
    _time,
    _shared,
    _disk,
    _quota,
    _internet,
    _mail,
)


def _reachable(url: str) -> bool:
    """Whether a server answers, whatever it says, within ten seconds."""
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(
                    urllib.request.Request(url, method="HEAD"), timeout=8
                ).close()
            answered.set()

    # The time-out is for each wait; a server that goes on saying nothing takes longer.
    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(SECONDS_TO_REACH)
