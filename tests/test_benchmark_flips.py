"""No bit that flips in what a run has written is taken for a result."""

import re
import subprocess
import sys

from tests.workspace import ROOT, environment


def test_no_flip_is_silent() -> None:
    command = [sys.executable, "-m", "benchmarks.flips", "--flips", "4"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (total,) = re.findall(r"^all +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", done.stdout, re.M)
    tried, noticed, harmless, silent, traceback = map(int, total)
    assert tried >= 150
    assert (silent, traceback) == (0, 0)
    assert noticed + harmless == tried
    assert noticed >= 0.95 * tried
