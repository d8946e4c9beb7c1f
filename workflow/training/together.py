"""Several seeds of a job at the same time, each in a process of its own.

Threads or CUDA streams of one process are ruled out: torch has one default generator per device,
so initialisation, dropout and stochastic depth of one run would take numbers from another's, and
no run would give the bits that it gives alone. For the same reason each process computes with as
many threads as a run alone: another number of them may sum in another order.

Where torch sees no GPU the processes are forks of this one, which has torch imported and has
computed nothing, so that they start at once. CUDA does not survive a fork: beside a GPU they are
started afresh, and each pays its imports.
"""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import torch

from workflow.base.errors import ConfigError, DataError
from workflow.training.state.interruption import SIGNALS, TRY_AGAIN, Interruption
from workflow.training.state.saved import print_line

SECONDS_BETWEEN_LOOKS = 0.2


def train_together(train_one: Callable[[str], None], seeds: Sequence[str], at_once: int) -> int:
    """Train each seed in a process, and wait for all of them.

    A signal of `interruption.SIGNALS` is passed on to the processes, and no other is started then.
    One that fails or is killed is told of, and the others go on.

    Args:
        train_one: trains a seed; it ends by returning, by SystemExit or by an error. Beside a GPU
            it must be picklable.
        seeds: what to train, in this order.
        at_once: how many processes there may be at a time.

    Returns:
        The exit code of the job: 0 if all seeds are trained; else that of the first seed, in the
        order given, that failed (128 + k if signal k killed it); TRY_AGAIN if none did, and a
        signal kept some from their end.
    """
    waiting, running, codes = list(seeds), dict[str, BaseProcess](), dict[str, int]()
    passed_on = False
    with Interruption() as interruption:
        while running or (waiting and not interruption.asked):
            while waiting and len(running) < at_once and not interruption.asked:
                seed = waiting.pop(0)
                running[seed] = _start(train_one, seed)
            if interruption.asked and not passed_on:
                passed_on = True
                for process in running.values():
                    assert process.pid is not None  # it was started
                    os.kill(process.pid, interruption.asked)  # one that has ended is not reaped yet
            wait([process.sentinel for process in running.values()], SECONDS_BETWEEN_LOOKS)
            for seed in [seed for seed, process in running.items() if process.exitcode is not None]:
                code = running.pop(seed).exitcode
                codes[seed] = _code(seed, code or 0, stopped=passed_on)
    failed = [codes[seed] for seed in seeds if codes.get(seed, 0) not in (0, TRY_AGAIN)]
    if failed:
        return failed[0]
    return TRY_AGAIN if waiting or any(codes.values()) else 0


def _start(train_one: Callable[[str], None], seed: str) -> BaseProcess:
    """Start the process of a seed; a signal that comes meanwhile reaches it when it can take it."""
    forks = sys.platform == "linux" and not torch.cuda.is_available()
    context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(train_one, seed), name=f"seed {seed}")
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return process


def _run(train_one: Callable[[str], None], seed: str) -> None:
    """What the process of a seed does."""
    for number in SIGNALS:  # not the parent's: until training takes them, they may end this process
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        train_one(seed)
    except (ConfigError, DataError) as error:
        sys.exit(f"seed {seed}: error: {error}")
    except Exception:  # noqa: BLE001 (the last stop before the process ends)
        lines = traceback.format_exc().splitlines()
        # All in one piece, so that another seed's lines do not come between.
        print_line("\n".join(f"seed {seed}: {line}" for line in lines))
        sys.exit(1)


def _end_with_parent() -> None:
    """If the parent is killed nobody waits for this process: it saves its state and ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a child
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _code(seed: str, code: int, *, stopped: bool) -> int:
    """The exit code of a seed's process as a shell has it; says what became of one that failed."""
    if code in (0, TRY_AGAIN):
        return code
    if code > 0:
        print_line(f"seed {seed}: failed with exit code {code}")
        return code
    if stopped and -code in SIGNALS:
        return TRY_AGAIN  # before it could take a signal; it had nothing to save yet
    name = signal.Signals(-code).name
    reason = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
    print_line(f"seed {seed}: killed by {name}{reason}; its last saved state is kept")
    return 128 - code
