"""The drills: runs that are killed at random moments, and the same bits at the end."""

import re
import subprocess
import sys

from tests.workspace import ROOT, environment


def test_a_run_that_is_killed_twenty_times_gives_the_same_bits() -> None:
    command = [sys.executable, "-m", "benchmarks.drill", "--kills", "20", "--seconds", "0.3"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=1200
    )
    said = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, said
    kills = {kind: int(n) for n, kind in re.findall(r"^ +(\d+) (SIG.+)$", done.stdout, re.M)}
    assert sum(kills.values()) == 20, said
    assert kills.get("SIGKILL while a state was written"), said
    assert re.findall(r"^  (.+): the same$", done.stdout, re.M) == [
        "weights", "history", "record", "test results",
    ]  # fmt: skip


def test_a_workflow_that_is_killed_in_its_steps_ends_as_one_that_is_not() -> None:
    command = [sys.executable, "-m", "benchmarks.kills", "--short", "--each", "1"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=1500
    )
    said = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, said
    (kills,) = re.findall(r"^(\d+) kills", done.stdout, re.M)
    assert int(kills) >= 4, said
    (files,) = re.findall(r"^  (\d+) files compared, 0 differ$", done.stdout, re.M)
    assert int(files) > 100, said
