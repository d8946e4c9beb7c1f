"""A fresh copy of the working tree, and Snakemake in it, for tests that run the DAG."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_tree(folder: Path) -> Path:
    """Copy what git tracks or would track, so that no result of a developer comes along."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():  # a tracked file may be deleted and not yet committed
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]


def environment(**extra: str) -> dict[str, str]:
    """Tests run several at a time: threads that wait must not burn the others' processor."""
    return {**os.environ, "OMP_WAIT_POLICY": "passive", **extra}


def snakemake(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a copy of the tree and return what it said, both streams together."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )


def jobs(said: str) -> dict[str, int]:
    """rule -> number of jobs, from the table that Snakemake prints."""
    counts: dict[str, int] = {}
    lines = said.splitlines()
    if "Job stats:" not in lines:
        return counts
    for line in lines[lines.index("Job stats:") + 3 :]:
        words = line.split()
        if len(words) != 2 or words[0] == "total":
            break
        counts[words[0]] = int(words[1])
    return counts
