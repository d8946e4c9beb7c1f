"""What nodes say when the preflight asks them: can a job of ours run there?

One short job on a node for each kind of job, CPU and GPU, both at the same time. A run is not held
up by nodes that are busy: after a minute of patience they are left unasked.
"""

import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from workflow.cluster.findings import Cluster, PreflightFinding
from workflow.cluster.site import FILE, Site

# Seconds until a job must have started and answered.
PATIENCE = 60
# As small a job as the workflow has: less, and importing torch is killed where memory is enforced.
MEMORY = "2000"
ASKED = (
    "--job-name=resformer-preflight",
    "--time=2",
    "--ntasks=1",
    "--cpus-per-task=1",
    "--chdir=/",
)
# Prints `key=value` lines as it goes, so that what was answered in time counts. A new file may take
# moments to be seen through a network's caches.
PROBE = r"""
echo "host=$(uname -n)"
echo "node=${SLURMD_NODENAME:-$(uname -n)}"
for second in 1 2 3 4 5; do [ -r "$1" ] && break; sleep 1; done
[ "$(cat "$1" 2>/dev/null)" = "$2" ] && echo folder=yes || echo folder=no
echo "free=$(df -Pk "$3" 2>/dev/null | awk 'END {print $4}')"
[ -n "$CUDA_VISIBLE_DEVICES" ] || nvidia-smi -L >/dev/null 2>&1 && echo gpu=yes || echo gpu=no
said=$("$4" -c 'import snakemake, torch; print("cuda", torch.cuda.is_available())' 2>&1)
case $said in
*"cuda True") echo cuda=yes; echo python=yes ;;
*"cuda False") echo cuda=no; echo python=yes ;;
*) echo "python=$(printf %s "$said" | tail -n 1)" ;;
esac
"""


class Answer(NamedTuple):
    """What a node said, or why none did.

    Attributes:
        gpu: whether a node with a GPU was asked.
        partition: its partition; None for the default one.
        reported: the probe's answers; empty if no node answered.
        refused: what Slurm said of the job, if it took none.
    """

    gpu: bool
    partition: str | None
    reported: dict[str, str]
    refused: str

    @property
    def where(self) -> str:
        """The node and its partition, as a reader names them."""
        return (
            f"{self.reported.get('node', 'no node')} of {self.partition or 'the default partition'}"
        )

    @property
    def elsewhere(self) -> bool:
        """Whether another host than this one answered."""
        return self.reported.get("host", socket.gethostname()) != socket.gethostname()


def ask(cluster: Cluster, patience: float = PATIENCE) -> list[Answer]:
    """Ask a node with CPUs and, where the configuration trains on GPUs, one with a GPU.

    Args:
        cluster: what the preflight looks at.
        patience: seconds until a node must have answered.
    """
    kinds = (False,) if cluster.config.demo else (False, True)
    deadline = time.monotonic() + patience
    with _written(cluster.folder) as (file, content), tempfile.TemporaryDirectory() as streams:
        probe = ["sh", "-c", PROBE, "sh", str(file), content, str(cluster.results), sys.executable]
        jobs = [_start(cluster.site, gpu, probe, Path(streams)) for gpu in kinds]
        return [_heard(job, deadline) for job in jobs]


def findings(cluster: Cluster, answers: list[Answer], needed: float) -> Iterator[PreflightFinding]:
    """What the answers mean for a run.

    Args:
        cluster: what the preflight looks at.
        answers: the answers of `ask`.
        needed: bytes that a run writes.
    """
    for answer in answers:
        if answer.refused:
            yield PreflightFinding(
                "refused",
                True,
                f"a short job on {answer.partition or 'the default partition'} was refused: "
                f"{answer.refused}",
                "the run's jobs would be refused too",
                f"Set what is missing in {FILE}; if only srun is forbidden here, ignore this",
            )
        elif not answer.reported:
            yield PreflightFinding(
                "node",
                False,
                f"not checked, {answer.where} answered in {PATIENCE} s",
                "whether nodes see this folder and its Python is not known",
                "Ask again when the queue is shorter, or go on",
            )
        else:
            yield from _of_node(answer, cluster, needed)


def summary(answer: Answer) -> str:
    """One line on what a node can do."""
    reported = answer.reported
    able = {
        "sees this folder": reported.get("folder") == "yes",
        "imports torch and snakemake": reported.get("python") == "yes",
        "computes on its GPU": answer.gpu and reported.get("cuda") == "yes",
    }
    able |= {f"{_free(answer) / 1e9:.0f} GB free for results": bool(reported.get("free"))}
    return f"{answer.where}: {', '.join(what for what, is_so in able.items() if is_so) or 'up'}"


def _of_node(answer: Answer, cluster: Cluster, needed: float) -> Iterator[PreflightFinding]:
    """What is wrong with a node that answered; what it did not get to say is not."""
    reported, where = answer.reported, answer.where
    if reported.get("folder") == "no":
        yield PreflightFinding(
            "node-folder",
            True,
            f"{where} does not see what was written just now in {cluster.folder}",
            "jobs there find neither their code nor their inputs",
            "Clone into a folder that all nodes share, such as your home",
        )
    if "python" not in reported:
        yield PreflightFinding(
            "node-slow",
            False,
            f"{where} has not imported torch within {PATIENCE} s",
            "each job starts with that",
            "Ask again: the second time it may be in the node's memory",
        )
    elif reported["python"] != "yes":
        yield PreflightFinding(
            "node-python",
            True,
            f"{where} cannot import torch and snakemake with {sys.executable}: "
            f"{reported['python']}",
            "jobs there would fail at once",
            "Install Python and the environment where all nodes see them (`uv sync` in this "
            "folder; UV_PYTHON_INSTALL_DIR for a Python of uv's own)",
        )
    if reported.get("free") and _free(answer) < needed:
        yield PreflightFinding(
            "node-disk",
            False,
            f"{where} sees {_free(answer) / 1e9:.0f} GB free where results go, and "
            f"{needed / 1e9:.0f} GB or more will be written",
            "runs that cannot save their state fail",
            "Free some space, or set training.keep_weights to false",
        )
    if answer.gpu:
        yield from _of_gpu(answer)


def _of_gpu(answer: Answer) -> Iterator[PreflightFinding]:
    if answer.reported.get("gpu") == "no":
        yield PreflightFinding(
            "node-gpu",
            True,
            f"{answer.where} shows no GPU to a job that asked for one",
            "training would compute on the processor, for weeks",
            "Try `srun --gpus=1 nvidia-smi` there, and ask the administrators",
        )
    elif answer.reported.get("cuda") == "no":
        yield PreflightFinding(
            "node-cuda",
            True,
            f"torch cannot use the GPU of {answer.where}",
            "training would compute on the processor, for weeks",
            "Its driver may be too old for this torch: compare `nvidia-smi` there with "
            '`python -c "import torch; print(torch.version.cuda)"`',
        )


def _free(answer: Answer) -> float:
    """Bytes that are free where results go, as the node sees it."""
    return int(answer.reported.get("free") or 0) * 1024


@contextmanager
def _written(folder: Path) -> Iterator[tuple[Path, str]]:
    """A new file in a folder, and its content, which nobody could have guessed."""
    file, content = folder / f".preflight-{os.getpid()}", secrets.token_hex()
    try:
        file.write_text(content)
        yield file, content
    finally:
        file.unlink(missing_ok=True)


class _ProbeJob(NamedTuple):
    """A probe that was handed to Slurm. Its streams are files: a pipe may outlive its `srun`."""

    gpu: bool
    partition: str | None
    process: subprocess.Popen[bytes]
    out: Path
    err: Path


def _start(site: Site, gpu: bool, probe: list[str], streams: Path) -> _ProbeJob:
    """Hand the probe to Slurm with what the run's own jobs ask for because of this site."""
    partition = (site.gpu_partition if gpu else None) or site.partition
    flags = {
        "partition": partition,
        "account": site.account,
        "qos": site.qos,
        "constraint": site.constraint if gpu else None,
        "mem": MEMORY if site.ask_memory else None,
        "gres": site.gres if gpu and site.gpu_option == "gres" else None,
        "gpus": site.gres.removeprefix("gpu:") if gpu and site.gpu_option == "gpus" else None,
    }
    given = [f"--{name}={value}" for name, value in flags.items() if value]
    # Inside a job of the user's, srun would not ask for a new one.
    outside = {k: v for k, v in os.environ.items() if k == "SLURM_CONF" or k[:6] != "SLURM_"}
    out, err = streams / f"{gpu}.out", streams / f"{gpu}.err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            ["srun", *ASKED, *given, *shlex.split(site.extra), *probe],
            env=outside,
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_err,
        )
    return _ProbeJob(gpu, partition, process, out, err)


def _heard(job: _ProbeJob, deadline: float) -> Answer:
    """Wait for a probe until the deadline; then end it, and take what it has said."""
    late = False
    try:
        job.process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        late = True
        _end(job.process)
    out, err = (file.read_text(errors="replace").splitlines() for file in (job.out, job.err))
    reported = dict(line.split("=", 1) for line in out if "=" in line)
    errors = [line.strip() for line in err if "error" in line.lower()] or err
    refused = (errors or [f"exit code {job.process.returncode}"])[-1]
    return Answer(job.gpu, job.partition, reported, "" if reported or late else refused)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a job that waits or runs, politely first, so that Slurm takes it from the queue."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
