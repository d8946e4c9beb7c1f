"""What tests of runs beside each other share."""

import subprocess
import sys

import pytest


@pytest.fixture
def other():
    """Another process of this machine, which waits until the test is over."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()
