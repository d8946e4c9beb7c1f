"""The drill: twenty kills at random moments, some while the state is written, and the same bits."""

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
