"""A warm process: torch and friends imported once, then forked for each local job.

Importing torch, its compiler (the optimiser pulls it in) and timm costs a job 8 to 12 seconds,
more than the demo's training itself. Snakemake starts this server for local runs; it imports when
the first job asks. Jobs reach it through `workflow.running.launch`, which runs them itself where
there is no server (clusters, other systems). The server computes nothing, opens no GPU and starts
no threads, so a fork of it is as good as a fresh process, and gives the same bits.

Protocol, over a Unix socket: one JSON line {module, arguments, cwd, environment} together with the
client's three standard streams; the answers are `started` and the exit code, a line each. A client
that goes away takes its job with it.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path

import psutil

# What training and evaluation jobs import, the largest first.
PRELOADED = (
    "torch._dynamo",
    "segmentation_models_pytorch",
    "timm",
    "safetensors.torch",
    "pandas",  # reading a parquet file imports it
    "pyarrow.dataset",
    "pyarrow.parquet",
    "workflow.metrics.counts",
    "workflow.training.loop",
    "workflow.training.state.record",
)
SECONDS_BETWEEN_LOOKS = 1.0


def serve(path: Path, owner: int) -> None:
    """Answer requests until the process `owner` (Snakemake) is gone."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(64)
        server.settimeout(SECONDS_BETWEEN_LOOKS)
        try:
            while _alive(owner):
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    for module in PRELOADED:  # at once, but for the first job
                        importlib.import_module(module)
                    _fork(_handle, connection)
                    connection.close()
                with contextlib.suppress(ChildProcessError):
                    while os.waitpid(-1, os.WNOHANG) != (0, 0):
                        pass  # each handler that has ended is taken off the process table
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)


def _alive(process: int) -> bool:
    """Whether a process runs; one that has ended and only waits for its parent does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _fork(function, *arguments) -> int:  # noqa: ANN001, ANN002 (any function, its arguments)
    """Run a function in a forked process, which ends with it; returns the process id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        code = function(*arguments)
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:  # noqa: BLE001 (the last stop before the process ends)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code(end: SystemExit) -> int:
    """What the interpreter would do with `sys.exit(...)`: a message is printed and counts as 1."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


def _handle(connection: socket.socket) -> int:
    """Start one job, wait for it or for its client to go away, and answer with its exit code."""
    data, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(1 << 20)
    job = _fork(_run, json.loads(data), streams, connection)
    connection.sendall(b"started\n")
    for stream in streams:
        os.close(stream)
    # A process descriptor becomes readable when the process ends, the connection when it closes.
    ended = os.pidfd_open(job)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.killpg(job, signal.SIGTERM)
    _, status = os.waitpid(job, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return 0


def _run(request: dict, streams: list[int], connection: socket.socket) -> int:
    """Become the job: its streams, folder, environment and arguments, in a group of its own."""
    connection.close()
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
