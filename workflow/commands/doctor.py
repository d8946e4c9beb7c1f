"""What to paste into a report of a problem: versions, device, presets and their last errors.

Prints Markdown. Folders, user and host are left out, so that nothing private is pasted; read it
over all the same.

    resformer doctor
"""

import getpass
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    *("torch", "timm", "segmentation-models-pytorch", "snakemake"),
    *("snakemake-executor-plugin-slurm", "numpy", "pandas", "pyarrow", "simpleitk", "matplotlib"),
)
PROGRAMS = (("git", "--version"), ("uv", "--version"), ("sbatch", "--version"))
MOST_ERRORS = 3
# A folder from the root on; what follows it in the same path stays.
FOLDER = re.compile(r"(?<![\w./~-])/(?:[^\s/:;,'\"()<>]+/)+")


def add_arguments(parser: ArgumentParser) -> None:
    """The command has no arguments."""


def run(options: Namespace) -> None:
    """Print it all."""
    lines = [*_machine(), "", *_device(), "", *_presets()]
    sys.stdout.write(without_names("\n".join(lines)) + "\n")


def without_names(text: str) -> str:
    """A text without folders, and without the names of this user and this machine."""
    text = text.replace(str(Path.cwd()), ".").replace(str(Path.home()), "~")
    text = FOLDER.sub("…/", text)
    for name, instead in ((_user(), "<user>"), (socket.gethostname(), "<host>")):
        if len(name) > 1:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text)
    return text


def _user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # no name for this number
        return ""
    return "" if name == "root" else name


def _machine() -> Iterator[str]:
    """Versions of the project, of what it runs on and of what it uses."""
    from workflow.base.files import sha256
    from workflow.running.provenance import commit

    lock = Path("uv.lock")
    yield "### Versions"
    yield f"- this project: {_version('resformer-reproduction')}, commit {commit()}"
    yield f"- uv.lock: {sha256(lock)[:12] if lock.is_file() else 'not here'}"
    yield f"- Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield f"- {os.cpu_count()} processors, {_memory()}"
    yield f"- {', '.join(f'{name} {_version(name)}' for name in LIBRARIES)}"
    yield f"- {', '.join(_program(*command) for command in PROGRAMS)}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _memory() -> str:
    import psutil

    memory, disk = psutil.virtual_memory(), shutil.disk_usage(".")
    return (
        f"{memory.total / 1e9:.0f} GB of memory ({memory.available / 1e9:.0f} free), "
        f"{disk.free / 1e9:.0f} GB free on disk"
    )


def _program(name: str, *arguments: str) -> str:
    if shutil.which(name) is None:
        return f"no {name}"
    done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else name


def _device() -> Iterator[str]:
    """What torch computes on."""
    import torch

    from workflow.training.state.record import machine

    yield "### Device"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = machine(device)
    yield f"- {device.type}: {found['device']}, {found['threads']} threads"
    yield f"- CUDA of torch {torch.version.cuda}, driver {found['driver'] or 'none'}"


def _presets() -> Iterator[str]:
    """How each preset that was begun stands, and why runs failed."""
    import time

    from workflow.base.errors import ConfigError, DataError
    from workflow.commands.arguments import RESULTS, has_run
    from workflow.status.overview import overview
    from workflow.status.show import counts

    yield "### Presets"
    found = sorted(RESULTS.glob("*/config.json"))
    if not found:
        yield "- nothing has run yet"
    for file in found:
        name = file.parent.name
        try:
            seen = overview(has_run(str(file)), time.time(), None)
        except (ConfigError, DataError, OSError) as error:
            yield f"- {name}: cannot be read: {error}"
            continue
        stands = [f"{number} {stand}" for stand, number in counts(seen.runs).items() if number]
        yield f"- {name}: {', '.join(stands) or 'no runs'}"
        failed = [one for one in seen.runs if one.stand == "failed"]
        for one in failed[:MOST_ERRORS]:
            yield f"  - {one.name}, {one.step}: {one.reason}"
        if len(failed) > MOST_ERRORS:
            yield f"  - and {len(failed) - MOST_ERRORS} more"
        for data in seen.data:
            if data.reason:
                yield f"  - {data.dataset}, {data.step}: {data.reason}"
