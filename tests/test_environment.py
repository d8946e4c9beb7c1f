"""The environments that sites may prefer hold the same versions as the lock file."""

import subprocess

from tests.workspace import ROOT

EXPORT = ("uv", "export", "--frozen", "--no-dev", "--no-hashes", "--no-header", "--no-annotate")


def test_requirements_are_those_of_the_lock() -> None:
    exported = subprocess.run(EXPORT, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "envs" / "requirements.txt").read_text() == exported
