"""The benchmarks run and print what the documents cite; their figures are no tests."""

import re
import subprocess
import sys

from tests.workspace import ROOT, environment


def test_the_benchmark_of_the_data_prints_every_table() -> None:
    command = [sys.executable, "-m", "benchmarks.data", "--photographs", "9", "--volumes", "3"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    for title in ("preparation", "decoding at reduced", "images", "masks", "access to prepared"):
        assert re.search(f"^{title}", done.stdout, re.MULTILINE), title
    rows = re.findall(r"^  isic2017 to 224 +(plain|step) +([\d.]+) +[\d.]+ +\d+ +([\d.]+)$",
                      done.stdout, re.MULTILINE)  # fmt: skip
    assert [way for way, _, _ in rows] == ["plain", "step"]
    assert all(float(rate) > 0 for _, rate, _ in rows)
    assert not (ROOT / "results" / "paper" / "data" / "retouch_cirrus" / "train").exists()


def test_the_benchmark_of_the_dry_run_says_what_is_ours() -> None:
    command = [sys.executable, "-m", "benchmarks.dry_run", "--runs", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    found = re.findall(r"^(imports|bare|dry run) +([\d.]+) s, median +\2 s$", done.stdout, re.M)
    assert [name for name, _ in found] == ["imports", "bare", "dry run"]
    assert all(float(seconds) > 0 for _, seconds in found)
    assert re.search(r"^\d+ steps; ", done.stdout, re.M)
