"""Start a step: `python -m workflow.running.launch MODULE ARGUMENT...`, warm where it can be.

Gives the step to the warm server (`workflow.running.warm`) if this run has one, and otherwise
becomes the step itself; either way it ends with the step's exit code. Imports next to nothing.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from workflow.running.lease import lease, needs_lease

# Where the server of this run listens; set by the Snakefile for local jobs only.
VARIABLE = "RESFORMER_WARM_SERVER"
SECONDS_TO_WAIT = 5.0
LONGEST_ADDRESS = 107
SHORT_FOLDERS = ("/tmp", "/var/tmp")
SERVER_LOG = ".snakemake/warm.log"


def use_this_interpreter(clone: Path) -> None:
    """Make `python` in jobs the one that runs now, so that nobody has to activate anything.

    Args:
        clone: the folder of this code, which jobs find also where they run in another folder.
    """
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    os.environ["PATH"] = os.pathsep.join(folders)
    if not clone.samefile(Path.cwd()):
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(clone), *([known] if known else [])])


def start_server() -> None:
    """Start the warm server of this process and tell jobs of it, where the system can fork one."""
    if sys.platform != "linux" or os.environ.get("SLURM_JOB_ID"):
        return
    path = _socket_path()
    if path is None:
        return  # each job starts by itself
    with Path(SERVER_LOG).open("wb") as log:
        subprocess.Popen(
            [sys.executable, "-m", "workflow.running.warm", str(path), str(os.getpid())],
            # Not Snakemake's own streams: whoever reads those waits until all holders are gone.
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for Snakemake; the server ends when it has ended
        )
    os.environ[VARIABLE] = str(path)


def _socket_path() -> Path | None:
    """A place of its own for the server to listen at; None where the system takes none.

    The address of a socket may have 107 bytes, and `TMPDIR` may have more.
    """
    for parent in dict.fromkeys((tempfile.gettempdir(), *SHORT_FOLDERS)):
        path = Path(parent, "resformer-12345678", "warm.sock")
        if len(os.fsencode(path)) > LONGEST_ADDRESS:
            continue
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="resformer-", dir=parent)) / path.name
    return None


def launch(module: str, arguments: list[str]) -> int:
    """Run a module as a program and return its exit code."""
    path = os.environ.get(VARIABLE)
    if job := os.environ.get("SLURM_JOB_ID"):
        node = os.environ.get("SLURMD_NODENAME", socket.gethostname())
        sys.stderr.write(f"Slurm job {job} on {node}\n")  # for `resformer status`
    if needs_lease(module, arguments):
        lease(os.environ)  # until this process, or the step that it becomes, has ended
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        if path and not os.environ.get("SLURM_JOB_ID") and _connected(connection, path):
            answers = _request(connection, module, arguments)
            if answers.readline():
                code = answers.readline()
                if not code:
                    sys.stderr.write(f"{module}: its warm process went away; start it again\n")
                # Killed by signal k is 128 + k, as in a shell.
                return int(code or 1) if int(code or 1) >= 0 else 128 - int(code)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _request(connection: socket.socket, module: str, arguments: list[str]) -> TextIO:
    """Ask the server for a job with this process's streams; its answers come line by line."""
    request = {
        "module": module,
        "arguments": arguments,
        "cwd": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    line = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(connection, [line], [0, 1, 2])
    connection.sendall(line[sent:])
    # Ending closes the connection, and the server then ends the job.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return connection.makefile()


def _connected(connection: socket.socket, path: str) -> bool:
    """Connect to the server, which listens a moment after it was started; False if it is gone."""
    if len(os.fsencode(path)) > LONGEST_ADDRESS:
        return False
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection.connect(path)
            return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1], sys.argv[2:]))
